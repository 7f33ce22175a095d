"""What is refused before an experiment starts, what is told while it stands in line, and what at its end."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from temporalio.service import RPCError, RPCStatusCode

from cli.output import CommandError, err
from cli.results import show_result
from cli.running import decide
from cli.session import Handle
from cli.watching import _Lines
from schemas.experiment import (
    Decision,
    DecisionAction,
    ExperimentResult,
    ExperimentStatus,
    Progress,
    Step,
    TimelineEntry,
)
from schemas.records import Event
from services.records import Records
from services.settings import Settings
from tests.cli.conftest import Command

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_id_of_an_experiment_on_record_is_taken_though_the_server_has_forgotten_it(
    command: Command, home: object
) -> None:
    """Its events would be refused, and its merge be found in place of a new one."""
    records = Records(Settings().records_url)
    records.migrate()
    known = {"strategy": "RSI_Reversal", "data_name": "GOOG"}
    records.write(
        [
            Event(
                event_id="mine#0",
                experiment_id="mine",
                sequence=0,
                at=START,
                event="experiment_opened",
                data=known,
            )
        ]
    )
    told = command("--strategy", "RSI_Reversal", "--id", "mine", "--json")
    assert told.code == 2, told.said
    assert told.json["error"].startswith("an experiment mine exists already")


async def test_a_decision_after_the_end_is_refused() -> None:
    """As at the terminal, where the deadline may pass while the question stands."""

    class Closed:
        id = "late"

        async def execute_update(self, *_: Any) -> None:
            raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")

    with pytest.raises(CommandError, match="refused: late has ended"):
        await decide(cast(Handle, Closed()), Decision(action=DecisionAction.APPROVE))


def test_each_place_in_line_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(err, "width", 200)
    progress = Progress(
        experiment_id="x",
        strategy="Alpha",
        status=ExperimentStatus.RUNNING,
        step=Step.TRY_OUT,
        attempt=1,
        max_fixes=3,
        timeline=[TimelineEntry(step=Step.TRY_OUT, attempt=1, started=START)],
    )
    shown = _Lines()
    for place in ("2nd in line", "2nd in line", "1st in line", None):
        shown.show(progress.model_copy(update={"in_line": place}))
    assert [line.strip() for line in capsys.readouterr().err.splitlines()] == [
        "waiting for a sandbox: 2nd in line",
        "waiting for a sandbox: 1st in line",
    ]


@pytest.mark.parametrize("trades", [None, "d" * 64])
def test_trades_are_next_where_there_are_some(
    home: object, capsys: pytest.CaptureFixture[str], trades: str | None
) -> None:
    result = ExperimentResult(
        experiment_id="x", strategy="Alpha", status=ExperimentStatus.ROLLED_BACK, reason="r", trades=trades
    )
    show_result(Settings(), result, as_json=False)
    said = capsys.readouterr().out
    assert "python starter.py show x" in said
    assert ("python starter.py trades x" in said) is (trades is not None)
