"""library list, versions and cleanup on libraries without experiments."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.experiment import ExperimentStatus
from schemas.records import Event
from services.library import Library
from services.records import Records
from tests.cli.conftest import Command


def _branch(library: Library, experiment: str) -> str:
    branch = f"ai/generate/Quiet/{experiment}"
    library.commit_files(
        branch=branch,
        files={"strategies/Quiet/strategy.py": "x = 1\n"},
        message="Generate Quiet",
        trailers={"Experiment-Id": experiment},
        key="generate",
    )
    return branch


def test_an_empty_library(command: Command) -> None:
    assert command("library", "list", "--json").json["strategies"] == []
    assert "nothing is merged yet" in command("library", "list").stdout
    refused = command("library", "versions", "RSI_Reversal", "--json")
    assert refused.code == 2
    assert "holds none yet" in refused.json["error"]


@pytest.mark.parametrize("version", ["0", "-1", "x", "1.5", "v", "९", "99999999999"])
def test_versions_are_numbers(command: Command, version: str) -> None:
    refused = command("library", "compare", "--json", "--", "RSI_Reversal", version, "1")
    assert refused.code == 2
    assert "is not a version" in refused.json["error"] or "library has no" in refused.json["error"]


def test_cleanup_spares_open_experiments_and_what_is_young(command: Command, home: Path) -> None:
    library = Library(home / "library.git")
    old, open_one = _branch(library, "old"), _branch(library, "open")
    records = Records(f"sqlite:///{home / 'records.db'}")
    records.migrate()
    records.write(
        [
            Event(
                event_id="open#0",
                experiment_id="open",
                sequence=0,
                at=datetime.now(UTC),
                event="experiment_opened",
                status=ExperimentStatus.RUNNING,
                data={"strategy": "Quiet"},
            )
        ]
    )
    assert command("library", "cleanup", "--json").json["deleted"] == []
    assert command("library", "cleanup", "--days", "0", "--dry-run", "--json").json["would_delete"] == [old]
    assert len(library.branches()) == 2
    assert command("library", "cleanup", "--days", "0", "--json").json["deleted"] == [old]
    assert [branch.name for branch in library.branches()] == [open_one]
    assert "no branch is older" in command("library", "cleanup", "--days", "0").stdout


def test_a_library_that_is_none(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").touch()
    monkeypatch.setenv("GENESIS_LIBRARY", str(tmp_path / "tree"))
    refused = command("library", "list", "--json")
    assert refused.code == 2
    assert "not a git repository" in refused.json["error"]
