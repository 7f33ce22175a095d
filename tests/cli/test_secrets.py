"""secrets set, get, list, rotate, doctor: values come in unseen, and are shown only on request."""

import io
import json
import os
import pty
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.door import ROOT, Outcome, arguments, environment

MARKER = "marker-0f3a"

Given = Callable[..., Outcome]


@pytest.fixture
def given(command: Command, monkeypatch: pytest.MonkeyPatch) -> Given:
    """A command with that on its stdin."""

    def call(stdin: bytes, *parts: object) -> Outcome:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return command(*parts)

    return call


def test_a_secret_s_life(given: Given, home: Path) -> None:
    assert given(b"", "secrets", "list", "--json").json == {"store": "file", "secrets": []}
    assert "holds no secret" in given(b"", "secrets", "list").stdout
    told = given(f"{MARKER}\n".encode(), "secrets", "set", "OPENAI_API_KEY")
    assert told.code == 0, told.said
    assert "set OPENAI_API_KEY, version 1" in told.stdout
    rotated = given(f"{MARKER}-2\r\n".encode(), "secrets", "rotate", "OPENAI_API_KEY", "--json")
    assert rotated.json["version"] == 2
    assert rotated.json["kept"] == [1, 2]
    looked = [
        given(b"", "secrets", "get", "OPENAI_API_KEY"),
        given(b"", "secrets", "get", "OPENAI_API_KEY", "--json"),
        given(b"", "secrets", "list"),
        given(b"", "secrets", "list", "--json"),
        given(b"", "secrets", "doctor"),
        given(b"", "secrets", "doctor", "--json"),
        given(b"", "doctor"),
        told,
        rotated,
    ]
    assert not [look.said for look in looked if MARKER in look.said or (look.code and look is not looked[6])]
    shown = given(b"", "secrets", "get", "OPENAI_API_KEY", "--show")
    assert shown.stdout == f"{MARKER}-2\n"
    earlier = given(b"", "secrets", "get", "OPENAI_API_KEY", "--show", "--version", "1", "--json")
    assert earlier.json["value"] == MARKER
    kept = [path for path in home.rglob("*") if path.is_file() and MARKER.encode() in path.read_bytes()]
    assert kept == [], "encrypted on disk"


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\xff\xfe", b"a\0b", b"a" * (64 * 1024 + 1)])
def test_values_that_cannot_be(given: Given, stdin: bytes) -> None:
    told = given(stdin, "secrets", "set", "KEY", "--json")
    assert told.code == 2
    assert set(told.json) == {"error"}
    assert given(b"", "secrets", "list", "--json").json["secrets"] == []


def test_a_value_with_newlines_keeps_all_but_the_last(given: Given) -> None:
    assert given("zwei\nZeilen ü\n\n".encode(), "secrets", "set", "KEY").code == 0
    assert given(b"", "secrets", "get", "KEY", "--show").stdout == "zwei\nZeilen ü\n\n"


def test_a_value_as_argument_is_refused_and_not_repeated(given: Given) -> None:
    for verb in ("set", "rotate"):
        told = given(b"other", "secrets", verb, "KEY", MARKER, MARKER)
        assert told.code == 2
        assert MARKER not in told.said
        assert "never an argument" in told.stderr


@pytest.mark.parametrize(
    ("parts", "code", "says"),
    [
        (["get", "NONE"], 2, "there is no secret NONE"),
        (["get", "NONE", "--show"], 2, "there is no secret NONE"),
        (["rotate", "NONE"], 2, "there is no secret NONE"),
        (["set", "../x"], 2, "can't be a secret's name"),
        (["set", "LD_PRELOAD"], 2, "means something to the system"),
        (["set"], 2, "secrets set --help"),
        (["get", "NONE", "--version", "0"], 2, "--version"),
    ],
)
def test_usage(given: Given, parts: list[str], code: int, says: str) -> None:
    told = given(b"value", "secrets", *parts)
    assert told.code == code
    assert says in told.stderr
    assert set(given(b"value", "secrets", *parts, "--json").json) == {"error"}


def test_the_environment_can_only_be_read(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_SECRETS", "env")
    monkeypatch.setenv("GENESIS_SECRET_MINE", MARKER)
    assert "MINE" in given(b"", "secrets", "list").stdout
    assert given(b"", "secrets", "get", "MINE", "--show").stdout == f"{MARKER}\n"
    assert given(b"", "secrets", "get", "PATH", "--show").code == 2
    told = given(b"value", "secrets", "set", "OTHER")
    assert told.code == 1
    assert "GENESIS_SECRET_OTHER" in told.stderr


def test_a_vault_that_is_not_there(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_SECRETS", "vault")
    for name in ("VAULT_ADDR", "BAO_ADDR", "VAULT_TOKEN", "BAO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert "VAULT_ADDR" in given(b"", "secrets", "doctor").stderr
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    assert "VAULT_TOKEN" in given(b"", "secrets", "list").stderr
    monkeypatch.setenv("VAULT_TOKEN", MARKER)
    told = given(b"", "secrets", "list", "--json")
    assert told.code == 1
    assert "doesn't answer" in told.json["error"]
    checks = {check["name"]: check for check in given(b"", "doctor", "--json").json["checks"]}
    assert checks["secrets"]["state"] == "weak", "an experiment that needs none runs"
    monkeypatch.setenv("GENESIS_VAULT_AUTH", "approle")
    assert "GENESIS_VAULT_ROLE" in given(b"", "secrets", "list").stderr


def test_a_key_that_others_can_read(given: Given, home: Path) -> None:
    assert given(b"value", "secrets", "set", "KEY").code == 0
    (home / "secrets" / "key").chmod(0o644)
    told = given(b"", "secrets", "get", "KEY")
    assert told.code == 1
    assert "chmod 600" in told.stderr


def test_a_person_is_asked_and_sees_nothing(tmp_path: Path) -> None:
    person, terminal = pty.openpty()
    with subprocess.Popen(
        arguments("secrets", "set", "KEY"),
        cwd=ROOT,
        env=environment(tmp_path / "home"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        seen = b""
        for ask in (b"value:", b"Repeat"):
            until = time.monotonic() + 60
            while ask not in seen:
                assert time.monotonic() < until, seen
                seen += os.read(person, 4096)
            while termios.tcgetattr(person)[3] & termios.ECHO:
                assert time.monotonic() < until, "what is typed would be shown"
                time.sleep(0.01)
            os.write(person, f"{MARKER}\n".encode())
        while chunk := _read(person):
            seen += chunk
        assert process.wait(30) == 0, seen
    os.close(person)
    assert MARKER.encode() not in seen
    assert b"set KEY, version 1" in seen
    done = subprocess.run(
        arguments("secrets", "get", "KEY", "--show", "--json"),
        cwd=ROOT,
        env=environment(tmp_path / "home"),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["value"] == MARKER


def _read(person: int) -> bytes:
    try:
        return os.read(person, 4096)
    except OSError:  # the terminal's other side is closed
        return b""
