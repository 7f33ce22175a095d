"""doctor: what works, what doesn't, what to do."""

from pathlib import Path

import pytest

from services.doctor import State
from tests.cli.conftest import Command


def _checks(told: dict[str, object]) -> dict[str, dict[str, str]]:
    checks = told["checks"]
    assert isinstance(checks, list)
    return {check["name"]: check for check in checks}


def test_everything_is_looked_at_and_nothing_is_made(command: Command, home: Path) -> None:
    told = command("doctor", "--json")
    checks = _checks(told.json)
    assert set(checks) >= {
        *("python", "market data", "git", "temporal", "sandbox bubblewrap", "sandbox docker"),
        *("home", "records", "library", "strategies"),
    }
    assert told.code == (0 if told.json["ready"] else 1)
    assert told.json["ready"] is not any(check["state"] == State.BROKEN for check in checks.values())
    assert "made on first use" in checks["records"]["found"]
    assert not (home / "records.db").exists()
    assert not (home / "library.git").exists()


def test_in_words(command: Command) -> None:
    text = command("doctor").stdout
    assert "TA-Lib" in text
    assert "bubblewrap" in text
    assert "python starter.py --strategy RSI_Reversal" in text or "no experiment can run" in text


def test_a_named_server_that_does_not_answer(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    told = command("doctor", "--json")
    assert told.code == 1
    found = _checks(told.json)["temporal"]
    assert found["state"] == "broken"
    assert "127.0.0.1:1" in found["found"]


def test_no_sandbox_is_no_experiment(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    monkeypatch.setenv("GENESIS_SANDBOX_PROVIDERS", '["docker"]')
    told = command("doctor", "--json")
    assert told.code == 1
    assert _checks(told.json)["sandbox docker"]["state"] == "broken"
    assert "install and start Docker" in _checks(told.json)["sandbox docker"]["found"]


def test_a_home_that_cannot_be_one(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENESIS_HOME", str(tmp_path / "file"))
    told = command("doctor", "--json")
    assert told.code == 1
    assert _checks(told.json)["home"]["state"] == "broken"


def test_records_and_a_library_that_are_damaged(command: Command, home: Path) -> None:
    home.mkdir()
    (home / "records.db").write_text("this is not a database, and long enough to be seen as none" * 20)
    (home / "library.git").mkdir()
    (home / "library.git" / "file").touch()
    told = command("doctor", "--json")
    assert told.code == 1
    checks = _checks(told.json)
    assert checks["records"]["state"] == "broken"
    assert "holds something else" in checks["records"]["found"]
    assert checks["library"]["state"] == "broken"


def test_without_git(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = command("doctor", "--json")
    assert told.code == 1
    assert "git is not installed" in _checks(told.json)["git"]["found"]
