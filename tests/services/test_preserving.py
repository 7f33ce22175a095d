"""What is kept of a sandbox's workspace, with a real one that holds what hostile code would leave."""

import io
import tarfile
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.sandbox import Limits
from services import preserving
from services.artifacts import Artifacts
from services.preserving import LEFT_OUT, contents, survey, unpack
from services.sandboxes import Sandbox, default_providers
from services.secrets.redaction import Redaction
from tests.support.canary import Canary, new_marker
from tests.support.needs import checked


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    (provider,) = default_providers(tmp_path / "state", order=["bubblewrap"], image="")
    checked(provider)
    yield provider.create(f"kept-{uuid.uuid4().hex[:8]}", limits=Limits(), labels={})
    provider.close()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def test_files_are_kept_and_measured(sandbox: Sandbox, artifacts: Artifacts, tmp_path: Path) -> None:
    sandbox.put({"strategy.py": b"pass\n", "data.csv": b"x" * 500, "out/näme.txt": b"left"})
    found = survey(sandbox, artifacts, keep=True, known={"data.csv"})
    assert found is not None
    assert found.size == 5 + 500 + 4
    assert found.kept is not None
    packed = artifacts.get(found.kept)
    assert contents(packed) == {"out/näme.txt": 4, "strategy.py": 5}
    assert survey(sandbox, artifacts, keep=True, known={"data.csv"}) == found, "again: the same bytes"
    unpack(packed, tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "out" / "näme.txt").read_bytes() == b"left"


def test_names_and_contents_are_redacted(sandbox: Sandbox, artifacts: Artifacts) -> None:
    canary = Canary(new_marker())
    name = urllib.parse.quote(canary.marker, safe="")
    sandbox.put({f"{name}/file": canary.marker.encode()})
    left = sandbox.run(
        ["sh", "-c", 'mkfifo "$1"; ln -s "$1" link; echo x >"$1.txt"', "sh", name + "-fifo"], timeout=20
    )
    assert left.ok, left.stderr
    found = survey(sandbox, artifacts, keep=True, redact=Redaction({"KEY": canary.marker}).data)
    assert found is not None
    assert found.kept is not None
    packed = artifacts.get(found.kept)
    assert set(contents(packed)) == {"[secret KEY]/file", "[secret KEY]-fifo.txt", LEFT_OUT}
    assert canary.in_bytes("workspace", packed) == []


def test_nothing_is_stored_where_nothing_failed(sandbox: Sandbox, artifacts: Artifacts) -> None:
    sandbox.put({"strategy.py": b"pass\n"})
    found = survey(sandbox, artifacts, keep=False)
    assert found is not None
    assert (found.size, found.kept) == (5, None)
    assert not artifacts.root.exists()


def test_what_is_no_file_is_named_and_never_followed(
    sandbox: Sandbox, artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preserving, "MOST_BYTES", 1000)
    left = sandbox.run(
        ["sh", "-c", "ln -s /etc/passwd link; mkfifo pipe; head -c 2000 /dev/zero >big; echo ok >fine; "
         "echo x >closed; chmod 0 closed; mkdir -p a/b"],
        timeout=20,
    )  # fmt: skip
    assert left.ok, left.stderr
    found = survey(sandbox, artifacts, keep=True)
    assert found is not None
    assert found.kept is not None
    packed = artifacts.get(found.kept)
    assert set(contents(packed)) >= {"fine", LEFT_OUT}
    assert not set(contents(packed)) & {"link", "pipe", "big"}
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.extractfile(LEFT_OUT)
        assert member is not None
        told = member.read().decode()
    assert "link: a link, FIFO or device" in told
    assert "pipe: a link, FIFO or device" in told
    assert "big: 2000 bytes, more than the" in told
    assert b"root:" not in packed


def test_a_sandbox_that_is_gone_leaves_nothing_to_keep(sandbox: Sandbox, artifacts: Artifacts) -> None:
    sandbox.destroy()
    assert survey(sandbox, artifacts, keep=True) is None
