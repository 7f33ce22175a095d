"""doctor: what works, what doesn't, what to do."""

from pathlib import Path

import pytest

from services import doctor
from services.doctor import State, _shown
from services.sandboxes import SandboxUnavailable
from services.sandboxes.bubblewrap import BubblewrapProvider
from services.sandboxes.cgroups import Groups
from services.sandboxes.refusals import explain
from tests.cli.conftest import Command
from tests.support.needs import checked


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine as loaded as it is by tests, what works may answer late."""
    monkeypatch.setattr(doctor, "PROVIDER_PATIENCE", 60.0)
    monkeypatch.setattr(doctor, "PATIENCE", 90.0)


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


def test_a_host_that_forbids_user_namespaces_is_told_so(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Ubuntu 24.04; that bubblewrap is refused there is seen in test_sandbox_bubblewrap."""
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns").write_text("1\n")

    def refused(provider: BubblewrapProvider) -> None:
        said = "bwrap: setting up uid map: Permission denied"
        raise SandboxUnavailable(explain(said, root=False, system=tmp_path))

    monkeypatch.setattr(BubblewrapProvider, "check", refused)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    told = command("doctor", "--json")
    assert told.code == 1
    found = _checks(told.json)["sandbox bubblewrap"]
    assert found["state"] == "broken"
    assert "AppArmor forbids user namespaces" in found["found"]
    assert "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" in found["found"]
    assert "no experiment can run" in command("doctor").stdout


def test_what_is_weaker_without_cgroups_is_said(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked(BubblewrapProvider(tmp_path / "probe"))
    monkeypatch.setattr(Groups, "find", classmethod(lambda cls: cls()))
    found = _checks(command("doctor", "--json").json)["sandbox bubblewrap"]
    assert found["state"] == "weak"
    for told in (
        "memory is bounded for each process and not for the sandbox",
        "processes are bounded by RLIMIT_NPROC alone",
        "the share of CPU is not bounded",
    ):
        assert told in found["found"]
    assert "RLIMIT_NPROC alone" in command("doctor").stdout


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


def test_an_at_sign_in_a_path_is_no_remote(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "ada@example.org" / "home"
    monkeypatch.setenv("GENESIS_HOME", str(home))
    for state in ("made on first use", "0 merged strategies"):
        checks = _checks(command("doctor", "--json").json)
        assert checks["library"]["state"] == "works"
        assert state in checks["library"]["found"]
        assert command("library", "list").code == 0
        assert command("list").code == 0
    assert str(home / "records.db") in checks["records"]["found"]


def test_an_empty_folder_as_library_stays_empty(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESIS_LIBRARY", str(tmp_path))
    assert "made on first use" in _checks(command("doctor", "--json").json)["library"]["found"]
    assert not (tmp_path / "HEAD").exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:sec/ret@host/genesis", "postgresql://…@host/genesis"),
        ("http://qdrant:6333", "http://qdrant:6333"),
        ("sqlite:////home/ada@host/records.db", "sqlite:////home/ada@host/records.db"),
        ("/home/ada@host/memory", "/home/ada@host/memory"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert _shown(url) == shown


def test_without_git(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = command("doctor", "--json")
    assert told.code == 1
    assert "git is not installed" in _checks(told.json)["git"]["found"]
