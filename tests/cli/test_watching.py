"""What is told while an experiment goes on, and which of several candidates `show` speaks of."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.output import err
from cli.watching import SHOWN_DETAILS, _Lines
from schemas.experiment import ExperimentStatus, Progress, Step, TimelineEntry
from schemas.gates import Gate, GateResult, Outcome
from schemas.records import Event
from services.records import Records
from services.settings import Settings
from tests.cli.conftest import Command

START = datetime(2026, 1, 1, tzinfo=UTC)
VALID = GateResult(gate=Gate.VALID, outcome=Outcome.PASSED, summary="30 lines")
WRONG = GateResult(
    gate=Gate.CONFORMS,
    outcome=Outcome.FAILED,
    summary="4 trades differ",
    details=[f"bar {number}: expected an entry" for number in range(SHOWN_DETAILS + 1)],
)


def ended(step: Step, attempt: int = 1, summary: str = "") -> TimelineEntry:
    return TimelineEntry(step=step, attempt=attempt, started=START, seconds=0.5, summary=summary)


def lines(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    timeline: list[TimelineEntry],
    attempt: int = 1,
    notices: list[str] | None = None,
) -> str:
    monkeypatch.setattr(err, "width", 200)
    progress = Progress(
        experiment_id="exp-1",
        strategy="Alpha",
        status=ExperimentStatus.RUNNING,
        step=timeline[-1].step,
        attempt=attempt,
        max_fixes=3,
        gates=[VALID, WRONG],
        timeline=timeline,
        notices=notices or [],
    )
    shown = _Lines()
    shown.show(progress)
    shown.show(progress)  # asked again, nothing is told twice
    return capsys.readouterr().err


def test_a_gate_is_told_under_its_step_and_what_failed_with_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline = [ended(Step.OPEN), ended(Step.VALIDATE), ended(Step.TRY_OUT, summary="1 of 2 gates passed")]
    told = [line.strip() for line in lines(monkeypatch, capsys, timeline).splitlines()]
    assert told[0] == "0.50 s  open"
    assert told[2].split() == ["✓", "valid", "30", "lines"]
    assert told[3] == "0.50 s  try out  1 of 2 gates passed"
    assert told[4].split() == ["✗", "conforms", "4", "trades", "differ"]
    assert told[5:] == WRONG.details[:SHOWN_DETAILS]


def test_a_contest_tells_the_chosen_candidate_s_gates_and_who_ended_early(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline = [
        ended(Step.OPEN),
        ended(Step.CONTEST, summary="candidate 2 of 3"),
        ended(Step.WEIGH, attempt=3),
    ]
    told = lines(monkeypatch, capsys, timeline, 3, ["candidate 1 (openai:x) ended early: no key"])
    assert told.count("valid") == told.count("conforms") == 1
    assert told.count("! candidate 1 (openai:x) ended early: no key") == 1
    assert "weigh\n" in told  # there is one for all attempts


def test_only_steps_of_an_attempt_are_numbered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = lines(monkeypatch, capsys, [ended(Step.TRY_OUT, 2), ended(Step.MERGE, 2)], 2)
    assert "try out (attempt 2)" in told
    assert "merge\n" in told


def test_a_notice_that_a_step_has_told_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = lines(monkeypatch, capsys, [ended(Step.FIX, summary="can't be fixed")], notices=["can't be fixed"])
    assert told.count("can't be fixed") == 1


def test_what_others_wrote_does_not_move_the_cursor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = lines(monkeypatch, capsys, [ended(Step.FIX, summary="\x1b[2Jgone")], notices=["\x1b[31mred"])
    assert "\x1b" not in told
    assert "\\x1b[2Jgone" in told
    assert "\\x1b[31mred" in told


@pytest.mark.parametrize("chosen", [1, 2])
def test_show_tells_the_gates_of_the_candidate_that_was_chosen(
    command: Command, home: Path, chosen: int
) -> None:
    opening: dict[str, object] = {
        **dict.fromkeys(("definition_sha256", "data_sha256"), "d" * 64),
        "strategy": "Alpha",
        "data_name": "GOOG",
        "engine": "offline",
        "approval": "auto",
        "requested_by": "ada",
    }
    outcomes = {1: {"valid": "passed", "runs": "passed"}, 2: {"valid": "passed", "runs": "failed"}}
    story: list[tuple[str, dict[str, object]]] = [("experiment_opened", opening)]
    for number, gates in outcomes.items():
        judged = {"attempt": number, "candidate": number, "commit": str(number) * 40, "gates": gates}
        story.append(("gates_judged", {**judged, "metrics": {"trades": number}}))
    story.append(("candidate_chosen", {"candidate": chosen, "attempt": chosen, "commit": str(chosen) * 40}))
    records = Records(Settings().records_url)
    records.migrate()
    records.write(
        [
            Event(
                event_id=f"exp-1#{number}",
                experiment_id="exp-1",
                sequence=number,
                at=START,
                event=event,
                data=data,
            )
            for number, (event, data) in enumerate(story)
        ]
    )
    told = command("show", "exp-1", "--json").json
    assert told["gates"] == outcomes[chosen]
    assert told["metrics"] == {"trades": chosen}
    assert told["judged_commit"] == str(chosen) * 40
