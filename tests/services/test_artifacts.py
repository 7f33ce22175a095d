"""Artifacts: real files, real threads, a real killed process."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.trading import Costs
from services.artifacts import ArtifactCorrupt, ArtifactError, ArtifactMissing, Artifacts
from tests.cli.door import worker
from tests.support.temporal import Place


@pytest.fixture
def store(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def stored_files(store: Artifacts) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [b"", b"x", b"\x00\xff" * 5000, "Größe 漢字".encode(), b"a" * 3_000_000])
def test_get_returns_what_put_stored_under_its_sha256(store: Artifacts, data: bytes) -> None:
    digest = store.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert store.get(digest) == data
    assert Artifacts(store.root).get(digest) == data


def test_putting_twice_keeps_one_file_untouched(store: Artifacts) -> None:
    digest = store.put(b"same")
    before = store.path(digest).stat()
    assert store.put(b"same") == digest
    after = store.path(digest).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert stored_files(store) == [store.path(digest)]


def test_artifacts_are_read_only_and_sharded(store: Artifacts) -> None:
    digest = store.put(b"data")
    path = store.path(digest)
    assert path == store.root / digest[:2] / digest
    assert path.stat().st_mode & 0o777 == 0o444


def test_missing_artifact_names_digest_and_folder(store: Artifacts) -> None:
    digest = "0" * 64
    with pytest.raises(ArtifactMissing) as caught:
        store.get(digest)
    assert digest in str(caught.value)
    assert str(store.root) in str(caught.value)


@pytest.mark.parametrize(
    "damage", [b"", b"cut", b"whole bytes, but not thess", b"whole bytes, but not these and more"]
)
def test_damage_is_found_and_mended_by_writing_again(store: Artifacts, damage: bytes) -> None:
    data = b"whole bytes, but not these"
    digest = store.put(data)
    path = store.path(digest)
    path.chmod(0o644)
    path.write_bytes(damage)
    with pytest.raises(ArtifactCorrupt, match="damaged") as caught:
        store.get(digest)
    assert str(path) in str(caught.value)
    assert store.put(data) == digest
    assert store.get(digest) == data


@pytest.mark.parametrize(
    "digest",
    ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "é" * 64, None, 7, b"a" * 64],
)
def test_what_is_not_a_digest_is_refused(store: Artifacts, digest: Any) -> None:
    with pytest.raises(ArtifactError, match="is not a digest"):
        store.get(digest)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(value=json_values)
def test_json_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    store = Artifacts(tmp_path_factory.getbasetemp() / "json")
    assert store.get_json(store.put_json(value)) == value


def test_json_is_canonical(store: Artifacts) -> None:
    assert store.put_json({"b": 1, "a": [1.5, "ü"]}) == store.put_json({"a": [1.5, "ü"], "b": 1})


def test_json_takes_shapes_and_times(store: Artifacts) -> None:
    digest = store.put_json([Costs(), {"at": datetime(2026, 1, 31, tzinfo=UTC)}])
    assert store.get_json(digest) == [
        {"cash": 1_000_000.0, "commission": 0.0, "spread": 0.0, "slippage": 0.0},
        {"at": "2026-01-31T00:00:00Z"},
    ]


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], object(), {"a": object()}, deep()])
def test_what_json_can_not_hold_is_refused(store: Artifacts, value: Any) -> None:
    with pytest.raises(ArtifactError, match="can't be stored as JSON"):
        store.put_json(value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"["])
def test_bytes_that_are_not_json_are_said_to_be_so(store: Artifacts, data: bytes) -> None:
    digest = store.put(data)
    with pytest.raises(ArtifactError, match="is not JSON"):
        store.get_json(digest)


def test_a_store_under_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="a file is where a folder should be"):
        Artifacts(tmp_path / "file" / "artifacts").put(b"x")


def test_a_full_disk_is_explained_and_leaves_nothing(
    store: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    store.put(b"makes the folders")
    monkeypatch.setattr(os, "fsync", full)
    before = stored_files(store)
    with pytest.raises(ArtifactError, match="free some space"):
        store.put(b"more")
    assert stored_files(store) == before


def test_many_threads_write_and_read_the_same_artifacts(store: Artifacts) -> None:
    contents = [f"artifact {number}".encode() * 500 for number in range(8)]
    start = threading.Barrier(16)

    def work(seed: int) -> set[str]:
        start.wait()
        found = set()
        for step in range(12):
            data = contents[(seed + step) % len(contents)]
            digest = store.put(data)
            assert store.get(digest) == data
            found.add(digest)
        return found

    with ThreadPoolExecutor(16) as threads:
        digests = set().union(*threads.map(work, range(16)))
    assert len(digests) == len(contents)
    assert len(stored_files(store)) == len(contents)


def test_a_kill_while_writing_leaves_no_half_artifact(store: Artifacts) -> None:
    script = (
        "import sys; from pathlib import Path; from services.artifacts import Artifacts\n"
        "store = Artifacts(Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    store.put(number.to_bytes(8, 'big') * 50_000)\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    acknowledged = 5 + len([line for line in process.stdout.read().splitlines() if line.isdigit()])
    process.wait(10)

    artifacts = [path for path in stored_files(store) if path.parent.name != "tmp"]
    assert len(artifacts) >= acknowledged
    for path in artifacts:
        assert len(store.get(path.name)) == 400_000


def test_clean_removes_old_leftovers_only(store: Artifacts) -> None:
    digest = store.put_json({"kept": True})
    old, young = store.root / "tmp" / "old", store.root / "tmp" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"being written")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    assert store.clean(timedelta(days=1)) == 1
    assert not old.exists()
    assert young.exists()
    assert json.loads(store.get(digest)) == {"kept": True}
    assert Artifacts(store.root / "never made").clean() == 0


@pytest.mark.server
def test_a_worker_cleans_as_it_starts(temporal: Place, tmp_path: Path) -> None:
    left = tmp_path / "artifacts" / "tmp" / "left"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    with worker(tmp_path, **temporal.environment):
        assert not left.exists()
