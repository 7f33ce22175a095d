"""Every error is one clear line and its exit code, and one JSON object where JSON is asked for."""

import importlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.errors import EXPECTED, exit_of, in_words
from cli.output import Exit, visible
from cli.running import duration
from schemas.records import Event
from tests.cli.conftest import Command
from tests.cli.door import ROOT


@pytest.mark.parametrize("name", EXPECTED)
def test_each_expected_error_is_a_class_that_there_is(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    assert issubclass(found, Exception)
    assert f"{found.__module__}.{found.__qualname__}" == name, "an error is known by where it is defined"


def test_the_nearest_class_decides_and_bugs_are_not_expected() -> None:
    from services.artifacts import ArtifactMissing
    from services.sandboxes import SandboxLost, SandboxRefusal

    assert exit_of(ArtifactMissing("gone")) is Exit.FAILED
    assert exit_of(SandboxLost("gone")) is Exit.FAILED
    assert exit_of(SandboxRefusal("path", "no")) is Exit.USAGE
    assert exit_of(PermissionError(13, "no", "/x")) is Exit.FAILED
    with pytest.raises(ValidationError) as invalid:
        Event.model_validate({})
    assert exit_of(invalid.value) is None, "no person fills in an event"
    assert exit_of(KeyError("bug")) is None
    assert exit_of(AssertionError()) is None


def test_os_errors_name_the_file() -> None:
    assert in_words(PermissionError(13, "Permission denied", "/x/y")).startswith("/x/y: Permission denied; ")


USAGE = [
    ["nonsense"],
    ["--nonsense"],
    ["approve"],
    ["list", "--status", "happy"],
    ["list", "--limit", "0"],
    ["show", "nothing"],
    ["show", ""],
    ["cancel", ""],
    ["approve", "x", "--by", ""],
    ["diff", "nothing"],
    ["trades", "nothing"],
    ["audit", "--experiment", "nothing"],
    ["library", "versions", "No-Such"],
    ["replay"],
    ["replay", "x", "--file", "y"],
    ["replay", "--file", "/dev/null"],
    ["replay", "--file", str(ROOT / "strategies" / "RSI_Reversal.json")],
    ["sandbox", "run", "x.py", "--timeout", "-1"],
    ["sandbox", "run", "x.py", "--provider", "chroot"],
    ["--strategy", "RSI_Reversl"],
    ["--strategy", "RSI_Reversal", "--definition", "x.json"],
    ["--strategy", "../../etc/passwd"],
    ["--strategy", ""],
    ["--definition", "/none.json"],
    ["--strategy", "RSI_Reversal", "--data", "/none.csv"],
    ["--strategy", "RSI_Reversal", "--timeout", "soon"],
    ["--strategy", "RSI_Reversal", "--timeout", "0"],
    ["--strategy", "RSI_Reversal", "--timeout", "99999999999999h"],
    ["--strategy", "RSI_Reversal", "--id", "../escape"],
    ["--strategy", "RSI_Reversal", "--id", "a..b"],
    ["--strategy", "RSI_Reversal", "--tokens", "9" * 17],
    ["--strategy", "RSI_Reversal", "--usd", "nan"],
    ["--strategy", "RSI_Reversal", "--holdout", "nan"],
    ["sandbox", "run", "x.py", "--timeout", "nan"],
    ["library", "cleanup", "--days", "nan"],
    ["sweep", "--grace", "nan"],
    ["sweep", "--grace", "inf"],
    ["memory", "search", "x", "--threshold", "nan"],
    ["--strategy", "RSI_Reversal", "--cash", "nan"],
    ["--strategy", "RSI_Reversal", "--max-drawdown", "0"],
    ["--strategy", "RSI_Reversal", "--min-sharpe", "inf"],
    ["--detach"],
    ["--strategy", "RSI_Reversal", "list"],
]


@pytest.mark.parametrize("given", USAGE, ids=" ".join)
def test_usage_errors(command: Command, given: list[str]) -> None:
    told = command(*given)
    assert told.code == 2, told.said
    assert told.stdout == ""
    assert told.stderr.startswith("error: ") or "\nerror: " in told.stderr
    as_json = command(*given, "--json")
    assert as_json.code == 2
    assert set(as_json.json) == {"error"}
    assert as_json.json["error"].strip()


def test_hints(command: Command) -> None:
    assert "Did you mean 'approve'?" in command("aprove").stderr
    assert "approve --help" in command("approve").stderr
    assert "did you mean RSI_Reversal?" in command("--strategy", "RSI_Reversl").stderr
    assert "write: list … --json" in command("--json", "list").stderr
    assert "--id" in command("--strategy", "RSI_Reversal", "--id", "a b").stderr
    assert "--commit" in command("approve", "x", "--commit", "zz").stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENESIS_SANDBOXES_READY", "many"),
        ("GENESIS_SANDBOX_PROVIDERS", "docker"),
        ("GENESIS_SANDBOX_PROVIDERS", '["chroot"]'),
        ("GENESIS_HOST", "a b"),
    ],
)
def test_settings_that_cannot_be_read_name_the_variable(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    told = command("list", "--json")
    assert told.code == 2
    assert name in told.json["error"]


def test_a_fresh_home_is_empty_and_no_error(command: Command, home: Path) -> None:
    assert command("list", "--json").json == {"experiments": []}
    assert command("jobs", "--json").json == {"experiments": []}
    assert command("audit", "--json").json == {"events": []}
    assert command("list").stdout == "no experiment yet\n"
    assert command("jobs").stdout == "no experiment is open\n"
    assert command("audit").stdout == "nothing has happened yet\n"
    assert command("show", "x").code == 2


def test_a_home_that_cannot_be_made(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENESIS_HOME", str(tmp_path / "file" / "home"))
    for given in (["list"], ["library", "list"], ["--strategy", "RSI_Reversal"]):
        told = command(*given, "--json")
        assert told.code in (1, 2)
        assert str(tmp_path / "file") in told.json["error"]


def test_a_database_that_is_none(command: Command, home: Path) -> None:
    home.mkdir()
    (home / "records.db").write_bytes(b"not a database" * 100)
    told = command("list", "--json")
    assert told.code == 1
    assert "records.db" in told.json["error"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("1500ms", 1.5), ("30d", 2592000)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


def test_help_is_complete(command: Command) -> None:
    told = command("--help")
    assert told.code == 0
    for name in (
        *(
            "approve",
            "reject",
            "cancel",
            "status",
            "list",
            "show",
            "diff",
            "trades",
            "audit",
            "jobs",
            "validate",
        ),
        *("export-schemas", "show-schema", "import", "code", "sandbox", "library", "replay", "doctor"),
    ):
        assert name in told.stdout
        assert command(name, "--help").code == 0
    for group, names in {
        "code": ["check", "format"],
        "sandbox": ["run", "list", "cleanup"],
        "library": ["list", "versions", "compare", "cleanup"],
    }.items():
        alone = command(group)
        assert alone.code == 2
        for name in names:
            assert name in alone.stdout
            assert "--json" in command(group, name, "--help").stdout
    assert command().code == 2


def test_foreign_text_is_shown_and_not_obeyed() -> None:
    assert visible("a\x1b[2Jb\x07\r\n\tc\u202e") == "a\\x1b[2Jb\\x07\\r\n\tc\\u202e"


def test_json_has_no_numbers_that_json_does_not_know() -> None:
    from cli.output import plain

    assert (
        json.dumps(plain({"a": [float("nan"), (float("inf"), Path("/x"))]})) == '{"a": [null, [null, "/x"]]}'
    )
