"""`starter.py budget`: what is on the accounts, and a change of a run that waits."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.budget import Budget
from schemas.experiment import ExperimentStatus
from schemas.models import CallKey
from schemas.records import Event
from schemas.usage import Usage
from services.budget import Budgets
from services.records import Records
from services.settings import Settings
from tests.cli.conftest import Command

pytestmark = pytest.mark.timeout(180)

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Midnight mustn't fall between a call and its account."""
    monkeypatch.setattr("services.budget._utc_now", lambda: START)


@pytest.fixture
def records(home: Path) -> Records:
    found = Records(Settings().records_url)
    found.migrate()
    return found


def tell(
    records: Records, number: int, event: str, status: ExperimentStatus | None = None, **data: object
) -> None:
    known = {
        **dict.fromkeys(("definition_sha256", "data_sha256"), "d" * 64),
        "strategy": "Alpha",
        "data_name": "GOOG",
        "engine": "openai:gpt-5",
        "approval": "auto",
    }
    records.write(
        [
            Event(
                event_id=f"exp-1#{number}",
                experiment_id="exp-1",
                sequence=number,
                at=START,
                event=event,
                status=status,
                data=(known | {"requested_by": "ada"} if number == 0 else {}) | data,
            )
        ]
    )


def spend(usd: float | None, attempt: int, *, settled: bool = True) -> None:
    budgets = Budgets(Settings().records_url)
    purse = budgets.purse("exp-1", Budget(), "openai:gpt-5")
    key = CallKey(experiment_id="exp-1", step="fix", attempt=attempt, ask=1)
    used = Usage(calls=1, input_tokens=1000, output_tokens=200, usd=usd)
    purse.reserve(key, used)
    if settled:
        purse.settle(key, used)
    budgets.close()


def cells(text: str, row: str) -> list[str]:
    (found,) = [line for line in text.splitlines() if line.startswith(row)]
    return found.removeprefix(row).split()


def test_a_day_without_calls(command: Command) -> None:
    told = command("budget")
    assert told.code == 0, told.said
    assert "day (UTC) 2026-01-01" in told.stdout
    assert cells(told.stdout, "US dollars") == ["none", "$0.00", "$0.00", "–"]


def test_what_a_day_has_used_beside_its_limits(
    command: Command, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESIS_BUDGET_DAY_USD", "2.5")
    monkeypatch.setenv("GENESIS_BUDGET_DAY_TOKENS", "2000")
    spend(0.0125, 1)
    spend(0.5, 2, settled=False)
    told = command("budget").stdout
    assert cells(told, "US dollars") == ["$2.50", "$0.0125", "$0.50", "$1.9875"]
    assert cells(told, "tokens") == ["2,000", "1,200", "1,200", "0"]
    assert cells(told, "calls") == ["none", "1", "1", "–"]
    found = command("budget", "--json").json
    assert found.pop("day") == "2026-01-01"
    assert found == {
        "limit": {"usd": 2.5, "tokens": 2000, "calls": None},
        "spent": {"usd": 0.0125, "tokens": 1200, "calls": 1},
        "reserved": {"usd": 0.5, "tokens": 1200, "calls": 1},
        "left": {"usd": 1.9875, "tokens": 0, "calls": None},
        "unknown_usd_calls": 0,
    }


def test_an_experiment_s_limits_are_those_on_record(command: Command, records: Records) -> None:
    tell(records, 0, "experiment_opened", ExperimentStatus.RUNNING)
    spend(0.25, 1)
    spend(None, 2)
    told = command("budget", "exp")
    assert cells(told.stdout, "US dollars") == ["unknown", "$0.25", "$0.00", "–"]
    assert "the price of 1 call is unknown" in told.stderr
    assert command("budget", "exp-1", "--json").json["limit"] is None
    tell(records, 1, "budget_changed", budget={"usd": 1.0})
    tell(records, 2, "budget_changed", budget={"usd": 2.0, "calls": 2})
    told = command("budget", "exp-1")
    assert "experiment exp-1" in told.stdout
    assert cells(told.stdout, "US dollars") == ["$2.00", "$0.25", "$0.00", "$1.75"]
    assert cells(told.stdout, "calls") == ["2", "2", "0", "0"]
    found = command("budget", "exp-1", "--json").json
    assert (found["experiment_id"], found["unknown_usd_calls"]) == ("exp-1", 1)
    assert found["left"] == {"usd": 1.75, "tokens": None, "calls": 0}


def test_the_budget_that_it_was_opened_with(command: Command, records: Records) -> None:
    tell(records, 0, "experiment_opened", ExperimentStatus.RUNNING, budget={"tokens": 5000})
    assert cells(command("budget", "exp-1").stdout, "tokens") == ["5,000", "0", "0", "5,000"]


def test_show_and_status_tell_what_is_spent_reserved_and_left(command: Command, records: Records) -> None:
    tell(records, 0, "experiment_opened", ExperimentStatus.RUNNING, budget={"usd": 2.0})
    spend(0.25, 1)
    spend(0.5, 2, settled=False)
    tell(records, 1, "cancelled", ExperimentStatus.CANCELLED)
    tell(records, 2, "experiment_closed")
    for verb in ("show", "status"):
        told = command(verb, "exp-1")
        assert told.code == 0, told.said
        assert "models          $0.25 of $2.00 spent, $0.50 reserved, $1.25 left" in told.stdout
        found = command(verb, "exp-1", "--json").json["budget"]
        assert (found["spent"]["usd"], found["reserved"]["usd"], found["left"]["usd"]) == (0.25, 0.5, 1.25)


def test_where_no_model_was_asked_show_says_nothing_of_it(command: Command, records: Records) -> None:
    tell(records, 0, "experiment_opened", ExperimentStatus.RUNNING, budget={})
    assert "models" not in command("show", "exp-1").stdout
    assert command("show", "exp-1", "--json").json["budget"] is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--usd", "nan"),
        ("--usd", "-1"),
        ("--usd", "much"),
        ("--usd", ""),
        ("--usd", "1e300"),
        ("--tokens", "1.5"),
        ("--tokens", "-1"),
        ("--calls", "9" * 5000),
        ("--calls", "∞\x1b[31m"),
    ],
)
def test_what_is_no_limit(command: Command, option: str, value: str) -> None:
    told = command("budget", "exp-1", f"{option}={value}", "--json")
    assert told.code == 2, told.said
    assert told.json["error"].startswith(f"{option}: ")
    assert told.json["error"].endswith("write a number, or none for no limit")
    assert len(told.json["error"]) < 300
    assert "\x1b" not in told.stderr


def test_what_can_not_be_changed(command: Command, records: Records) -> None:
    unknown = command("budget", "nothing", "--usd", "5")
    assert (unknown.code, "there is no experiment 'nothing' on record" in unknown.stderr) == (2, True)
    day = command("budget", "--usd", "5")
    assert (day.code, "settings of the workers: GENESIS_BUDGET_DAY_USD" in day.stderr) == (2, True), day.said
    tell(records, 0, "experiment_opened", ExperimentStatus.RUNNING)
    tell(records, 1, "cancelled", ExperimentStatus.CANCELLED)
    tell(records, 2, "experiment_closed")
    ended = command("budget", "exp-1", "--calls", "5", "--json")
    assert ended.code == 2
    assert ended.json["error"] == "refused: exp-1 has ended (cancelled); nothing was changed"
