"""`audit verify` on a home with records and a log of tools that somebody altered."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.experiment import ExperimentStatus
from schemas.records import Event
from services.records import Records
from services.tools import AuditLog, log_folder
from tests.cli.conftest import Command


@pytest.fixture
def filled(home: Path) -> Path:
    """A home with an audit of three events and a log of two entries."""
    records = Records(f"sqlite:///{home / 'records.db'}")
    records.migrate()
    records.write(
        [
            Event(
                event_id=f"exp-1/{number}",
                experiment_id="exp-1",
                sequence=number,
                at=datetime(2026, 1, 1, tzinfo=UTC),
                event=name,
                status=ExperimentStatus.RUNNING if number == 0 else None,
            )
            for number, name in enumerate(("experiment_opened", "step_started", "fix_made"))
        ]
    )
    records.close()
    log = AuditLog(log_folder(home))
    log.append({"event": "called", "tool": "read_file"})
    log.append({"event": "done", "call": 1})
    return home


def alter(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "records.db")) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute(statement)
        connection.commit()


def test_a_fresh_home_is_whole(command: Command, home: Path) -> None:
    told = command("audit", "verify")
    assert told.code == 0
    assert "0 entries, whole" in told.stdout
    (chain,) = command("audit", "verify", "--json").json["chains"]
    assert (chain["ok"], chain["entries"], chain["head"]) == (True, 0, f"--records 0:{'0' * 64}")


def test_both_chains_are_whole_and_their_heads_fit(command: Command, filled: Path) -> None:
    told = command("audit", "verify")
    assert told.code == 0, told.said
    assert "3 entries, whole" in told.stdout
    assert "2 entries, whole" in told.stdout
    as_json = command("audit", "verify", "--json").json
    assert [chain["entries"] for chain in as_json["chains"]] == [3, 2]
    heads = [word for chain in as_json["chains"] for word in chain["head"].split()]
    assert command("audit", "verify", *heads).code == 0


def test_what_was_altered_is_named_and_the_exit_code_is_1(command: Command, filled: Path) -> None:
    alter(filled, "UPDATE audit SET actor = 'mallory' WHERE number = 2")
    path = log_folder(filled) / "audit.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    told = command("audit", "verify")
    assert told.code == 1
    assert "changed: row 2 (exp-1/1): entry 2 was changed" in told.stderr
    assert "truncated: the end: entry 2 was cut off at the end" in told.stderr
    as_json = command("audit", "verify", "--json")
    assert as_json.code == 1
    assert [chain["findings"][0]["kind"] for chain in as_json.json["chains"]] == ["changed", "truncated"]


def test_a_head_that_was_kept_elsewhere_is_compared(command: Command, filled: Path) -> None:
    told = command("audit", "verify", "--records", f"3:{'a' * 64}", "--tools", f"9:{'b' * 64}")
    assert told.code == 1
    assert "rewritten" in told.stderr
    assert "truncated" in told.stderr


def test_usage(command: Command, filled: Path) -> None:
    assert "write COUNT:HASH" in command("audit", "verify", "--records", "3").stderr
    assert "write: audit verify … --strategy" in command("audit", "--strategy", "x", "verify").stderr
    (log_folder(filled) / "audit.jsonl").unlink()
    (log_folder(filled) / "audit.head").unlink()
    told = command("audit", "verify", "--tools", f"9:{'b' * 64}")
    assert (told.code, "there is no log of the tools" in told.stderr) == (2, True)


def test_a_log_that_cannot_be_read_is_one_line(command: Command, filled: Path) -> None:
    (log_folder(filled) / "audit.lock").unlink()
    (log_folder(filled) / "audit.lock").symlink_to(filled)
    told = command("audit", "verify")
    assert (told.code, "a link stands in its place" in told.stderr) == (1, True)


def test_audit_alone_lists_as_before(command: Command, filled: Path) -> None:
    assert [row["event"] for row in command("audit", "--json", "--limit", 2).json["events"]] == [
        "step_started",
        "fix_made",
    ]
    assert "verify" in command("audit", "--help").stdout
