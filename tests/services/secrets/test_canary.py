"""The canary sees what it is to see; then secrets go through stores and guard, with faults, and are told nowhere."""

import base64
import gzip
import html
import io
import json
import logging
import sqlite3
import subprocess
import sys
import tarfile
import traceback
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.secrets import Grant, IssueInput, TokensRef
from services.library.git import Git
from services.records import Records
from services.secrets import SecretsError, SecretsUnavailable
from services.secrets.file import FileStore
from services.secrets.guard import Guard
from services.secrets.login import Server, TokenLogin
from services.secrets.vault import VaultStore
from tests.support.canary import Canary, children, new_marker


@pytest.fixture
def canary() -> Canary:
    return Canary(new_marker())


def _tar(text: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("a/b")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return packed.getvalue()


def _zip(text: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", text)
    return packed.getvalue()


WAYS: dict[str, Callable[[str], bytes]] = {
    "raw": lambda text: text.encode(),
    "upper": lambda text: text.upper().encode(),
    "json": lambda text: json.dumps({"a": [text]}).encode(),
    "json in json": lambda text: json.dumps(json.dumps({"a": text})).encode(),
    "json utf-8": lambda text: json.dumps(text, ensure_ascii=False).encode(),
    "repr": lambda text: repr({"a": text}).encode(),
    "repr of bytes": lambda text: repr(text.encode()).encode(),
    "html": lambda text: html.escape(text).encode(),
    "url path": lambda text: urllib.parse.quote(f"/a/{text}").encode(),
    "url": lambda text: urllib.parse.urlencode({"a": text}).encode(),
    "hex": lambda text: b"0x" + text.encode().hex().upper().encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 of json": lambda text: base64.b64encode(json.dumps({"a": text}, ensure_ascii=False).encode()),
    "base64 of ascii json": lambda text: base64.b64encode(json.dumps({"ab": text}).encode()),
    "base64 inside": lambda text: base64.b64encode(f"Bearer {text}; and more".encode()),
    "base64 shifted": lambda text: base64.b64encode(f"ab{text}cd".encode()),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(f"a{text}?".encode()),
    "base64 folded": lambda text: base64.encodebytes(b"x" * 50 + text.encode() + b"y" * 50),
    "reversed": lambda text: text[::-1].encode(),
    "gzip": lambda text: gzip.compress(text.encode() * 3),
    "gzip inside": lambda text: b"before" * 50 + gzip.compress(text.encode()) + b"after",
    "zlib": lambda text: zlib.compress(b"blob 12\0" + text.encode()),
    "tar": lambda text: _tar(text.encode()),
    "zip": lambda text: _zip(text.encode()),
    "packed twice": lambda text: gzip.compress(_tar(base64.b64encode(text.encode()))),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_sees(canary: Canary, way: str) -> None:
    assert canary.in_bytes("here", WAYS[way](canary.marker))
    assert canary.in_bytes("here", WAYS[way](new_marker())) == [], "another marker is none of its business"


def test_a_short_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="by chance"):
        Canary("secret")


def test_it_sees_in_folders(canary: Canary, tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "file").write_bytes(b"nothing\xff\x00" * 1000)
    assert canary.in_folder(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "some.db")) as database:
        database.execute("pragma journal_mode=wal")
        database.execute("create table t (a text)")
        database.execute("insert into t values (?)", [canary.marker])
        database.commit()
        assert any("some.db" in one.where for one in canary.in_folder(tmp_path)), "in its log at least"
    library = tmp_path / "library.git"
    Git(tmp_path)("init", "--bare", "-q", str(library))
    (tmp_path / "clean" / "file").write_text(canary.marker)
    Git(library)("hash-object", "-w", str(tmp_path / "clean" / "file"))
    assert any("objects" in one.where for one in canary.in_folder(library))
    hidden = tmp_path / "names"
    hidden.mkdir()
    (hidden / urllib.parse.quote(canary.marker, safe="")).touch()
    assert canary.in_folder(hidden)


def test_it_sees_arguments_and_environment(canary: Canary) -> None:
    sleep = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    for more, environment, part in (([canary.marker], {}, "cmdline"), ([], {"A": canary.marker}, "environ")):
        with subprocess.Popen(
            [*sleep, *more], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            seen = canary.in_processes(children(process.pid))
            process.communicate(b"")
        assert [one.where for one in seen if part in one.where]
        assert not [one for one in seen if part not in one.where]
        assert canary.in_processes([process.pid]) == []


# What stores and guard say, write and log


def _faults(store: Any, guard: Guard, marker: str) -> list[Callable[[], object]]:
    token = store.issue(Grant(experiment_id="y", names=["ABSENT"], seconds=60))
    return [
        lambda: store.set("ONE", marker + "\0"),
        lambda: store.set("ONE", marker + "\ud800"),
        lambda: store.set("ONE", marker * 10_000),
        lambda: store.rotate("ONE", marker),
        lambda: store.set("A B", marker),
        lambda: store.get("ONE", 99),
        lambda: store.read("ONE", token),
        lambda: store.read("ABSENT", token),
        lambda: guard.secret("nobody", "ONE"),
        lambda: guard.secret("x", "OTHER"),
        lambda: guard.issue(IssueInput(experiment_id="x", names=["ONE"], sandbox=["TWO"], lease_seconds=9)),
        lambda: guard.sandbox_environment(["OTHER"]),
    ]


@pytest.mark.parametrize("kind", ["file", "vault"])
def test_nothing_tells(
    canary: Canary,
    request: pytest.FixtureRequest,
    kind: str,
    tmp_path: Path,
    records: Records,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    store: Any
    if kind == "file":
        store = FileStore(tmp_path / "secrets")
    else:
        vault = request.getfixturevalue("vault")
        store = VaultStore(
            Server.of_environment(vault),
            TokenLogin(environment=vault),
            mount="secret",
            path=f"canary-{canary.marker[7:23]}",
            realm=canary.marker[7:23],
        )
    store.set("ONE", canary.marker)
    guard = Guard(store, records, "a-1", environment={"KEY": canary.marker}, sandbox=["ONE"])
    said: list[str] = []
    order = IssueInput(experiment_id="x", names=["ONE"], sandbox=["ONE"], lease_seconds=60, uses=50)
    with guard.acting(order):
        assert guard.key("ONE") == canary.marker
        assert guard.sandbox_environment(["ONE"]) == {"ONE": canary.marker}
        for fault in _faults(store, guard, canary.marker):
            with pytest.raises((SecretsError, SecretsUnavailable)) as told:
                fault()
            said += traceback.format_exception(told.value)
            said.append(repr(told.value))
    secret_token = guard._held["x"].token.value.get_secret_value()
    held = {key: value for key, value in vars(guard).items() if key != "_environment"}
    said += [repr(thing) for thing in (store, guard, vars(store), held, store.list(), store.issued())]
    said += [
        guard.issue(order).model_dump_json(),
        guard.revoke(TokensRef(experiment_id="x")).model_dump_json(),
    ]
    records.open_lease("token", "last@a-1", "x", "a-1", datetime.now(UTC) + timedelta(seconds=60))
    store.close()
    shown = "\n".join([*said, caplog.text, *capfd.readouterr()])
    for hidden in (canary, Canary(secret_token)):
        assert [str(one) for one in hidden.in_bytes("what was said", shown)] == []
        assert [str(one) for one in hidden.in_folder(tmp_path)] == []
    assert "x" in shown
