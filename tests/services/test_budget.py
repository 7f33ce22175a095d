"""Budgets on a real database, from real processes: SQLite, or the PostgreSQL that GENESIS_TEST_DATABASE_URL names."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from domain.budget import broken, in_words
from schemas.budget import Amounts, Balance, Budget
from schemas.models import CallKey
from schemas.usage import Usage
from services import budget
from services.budget import (
    BudgetError,
    Budgets,
    OverBudget,
    holders_query,
    last_query,
    reservations_query,
    sums_query,
)
from services.calls.purse import Purse
from services.records import Records, RecordsError, RecordsUnavailable
from services.records.tables import Spending
from services.settings import Settings

ENGINE = "openai:gpt-5"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORK = multiprocessing.get_context("fork")


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    found = os.environ.get("GENESIS_TEST_DATABASE_URL") or f"sqlite:///{tmp_path / 'records.db'}"
    records = Records(found)
    records.migrate()
    _empty(records)
    yield found
    records.close()


def _empty(records: Records) -> None:
    with records._database.write() as session:
        session.connection().execute(sqlalchemy.text("DELETE FROM spending"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budgets(url: str, clock: Clock) -> Iterator[Budgets]:
    found = Budgets(url, now=clock)
    yield found
    found.close()


def key(attempt: int = 0, ask: int = 1, of: str = "exp-1") -> CallKey:
    return CallKey(experiment_id=of, step="fix", attempt=attempt, ask=ask)


def usage(tokens: int = 100, usd: float | None = 0.01, calls: int = 1) -> Usage:
    return Usage(calls=calls, input_tokens=tokens // 2, output_tokens=tokens - tokens // 2, usd=usd)


def amounts(balance: Balance) -> tuple[Amounts, Amounts]:
    return balance.spent, balance.reserved


# Reserving and settling


def test_a_call_is_reserved_and_then_spent(budgets: Budgets) -> None:
    limit = Budget(tokens=1000, usd=1.0, calls=3)
    purse = budgets.purse("exp-1", limit, ENGINE)
    purse.reserve(key(), usage(400, 0.25))
    assert budgets.balance("exp-1", limit) == Balance(
        limit=limit,
        spent=Amounts(),
        reserved=Amounts(tokens=400, usd=0.25, calls=1),
        left=Budget(tokens=600, usd=0.75, calls=2),
    )
    purse.settle(key(), usage(150, 0.1))
    assert budgets.balance("exp-1", limit) == Balance(
        limit=limit,
        spent=Amounts(tokens=150, usd=0.1, calls=1),
        reserved=Amounts(),
        left=Budget(tokens=850, usd=0.9, calls=2),
    )
    other = budgets.balance("exp-2", Budget(usd=1.0))
    assert other.left == Budget(usd=1.0)
    assert other.model_dump(mode="json")["left"] == {"tokens": None, "usd": 1.0, "calls": None}


def test_what_is_done_twice_counts_once(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(calls=1), ENGINE)
    for _ in range(3):
        purse.reserve(key(), usage())
    assert budgets.balance("exp-1", Budget()).reserved == Amounts(tokens=100, usd=0.01, calls=1)
    for _ in range(3):
        purse.settle(key(), usage())
    assert amounts(budgets.balance("exp-1", Budget())) == (
        Amounts(tokens=100, usd=0.01, calls=1),
        Amounts(),
    )


def test_a_call_that_was_never_reserved_is_spent_once(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(calls=1), ENGINE)
    purse.settle(key(), usage(70, 0.2))
    purse.settle(key(), usage(70, 0.2))
    assert budgets.balance("exp-1", Budget()).spent == Amounts(tokens=70, usd=0.2, calls=1)


def test_another_question_under_the_key_of_a_paid_one_is_another_call(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(calls=2), ENGINE)
    purse.reserve(key(), usage(100))
    purse.settle(key(), usage(100))
    purse.reserve(key(), usage(300))
    assert budgets.balance("exp-1", Budget()).reserved.tokens == 300
    purse.settle(key(), usage(250))
    purse.settle(key(), usage(250))
    assert budgets.balance("exp-1", Budget()).spent == Amounts(tokens=350, usd=0.02, calls=2)
    with pytest.raises(OverBudget):
        purse.reserve(key(), usage())


def test_a_call_without_an_answer_costs_nothing_and_is_checked_anew(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(calls=1), ENGINE)
    purse.settle(key(), None)  # it never was
    purse.reserve(key(), usage())
    purse.settle(key(), None)
    assert budgets.holders() == []
    other = budgets.purse("exp-1", Budget(calls=1), ENGINE)
    other.reserve(key(1), usage())
    with pytest.raises(OverBudget):
        purse.reserve(key(), usage())
    other.settle(key(1), usage())
    other.settle(key(1), None)  # paid is paid
    assert budgets.balance("exp-1", Budget()).spent.calls == 1


def test_more_may_be_used_than_was_reserved_and_nothing_is_left_then(budgets: Budgets) -> None:
    limit = Budget(usd=0.10)
    purse = budgets.purse("exp-1", limit, ENGINE)
    purse.reserve(key(), usage(usd=0.05))
    purse.settle(key(), usage(usd=0.30))
    balance = budgets.balance("exp-1", limit)
    assert (balance.spent.usd, balance.left.usd) == (0.3, 0.0)
    with pytest.raises(OverBudget, match=r"\$0\.00 left of \$0\.10 \(\$0\.30 spent, \$0\.00 reserved\)"):
        purse.reserve(key(1), usage(usd=0.0))


def test_a_larger_estimate_for_the_same_call_is_checked(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(tokens=500), ENGINE)
    purse.reserve(key(), usage(400))
    purse.reserve(key(), usage(500))
    with pytest.raises(OverBudget):
        purse.reserve(key(), usage(501))
    assert budgets.balance("exp-1", Budget()).reserved == Amounts(tokens=500, usd=0.01, calls=1)


def test_sums_of_small_prices_are_exact(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(usd=0.3), ENGINE)
    for attempt in range(3):
        purse.reserve(key(attempt), usage(usd=0.1))
        purse.settle(key(attempt), usage(usd=0.1))
    assert budgets.balance("exp-1", Budget(usd=0.3)).left.usd == 0.0
    with pytest.raises(OverBudget, match=r"may take \$0\.000000038,"):
        purse.reserve(key(9), usage(usd=37.5e-9))


def test_a_changed_budget_holds_from_the_next_call(budgets: Budgets) -> None:
    budgets.purse("exp-1", Budget(calls=1), ENGINE).reserve(key(), usage())
    with pytest.raises(OverBudget):
        budgets.purse("exp-1", Budget(calls=1), ENGINE).reserve(key(1), usage())
    budgets.purse("exp-1", Budget(calls=2), ENGINE).reserve(key(1), usage())
    lowered = Budget(calls=1)
    assert budgets.balance("exp-1", lowered).left.calls == 0
    budgets.purse("exp-1", lowered, ENGINE).reserve(key(), usage())  # what is reserved stays so


@pytest.mark.parametrize("limit", [Budget(calls=0), Budget(tokens=0), Budget(usd=0.0)])
def test_a_limit_of_nothing_allows_nothing(budgets: Budgets, limit: Budget) -> None:
    with pytest.raises(OverBudget):
        budgets.purse("exp-1", limit, ENGINE).reserve(key(), usage())
    assert budgets.holders() == []


def test_exactly_what_is_left_may_be_used(budgets: Budgets) -> None:
    limit = Budget(tokens=100, usd=0.01, calls=1)
    budgets.purse("exp-1", limit, ENGINE).reserve(key(), usage())
    assert budgets.balance("exp-1", limit).left == Budget(tokens=0, usd=0.0, calls=0)


def test_calls_of_candidates_are_paid_by_their_experiment(budgets: Budgets) -> None:
    """Several engines may ask under the same key, and keys may be the candidates' own."""
    limit = Budget(calls=3)
    one, other = (budgets.purse("exp-1", limit, engine) for engine in ("openai:a", "openai:b"))
    one.reserve(key(), usage(10))
    other.reserve(key(), usage(20))
    one.settle(key(), usage(11))
    assert amounts(budgets.balance("exp-1", limit)) == (
        Amounts(tokens=11, usd=0.01, calls=1),
        Amounts(tokens=20, usd=0.01, calls=1),
    )
    other.settle(key(), usage(22))
    one.reserve(key(of="exp-1-c1"), usage(30))
    with pytest.raises(OverBudget, match="experiment exp-1 has 0 calls left"):
        other.reserve(key(of="exp-1-c2"), usage(40))
    assert budgets.balance("exp-1-c1", limit).left == limit
    assert budgets.release("exp-1") == 1


def test_a_call_stays_on_the_account_it_is_on(budgets: Budgets) -> None:
    budgets.purse("exp-1", Budget(), ENGINE).reserve(key(), usage())
    purse: Purse = budgets.purse("exp-2", Budget(), ENGINE)
    with pytest.raises(
        BudgetError, match="exp-1/fix/0/1 is on the account of experiment exp-1, not of exp-2"
    ):
        purse.reserve(key(), usage())
    with pytest.raises(BudgetError, match="take the purse it began with"):
        purse.settle(key(), usage())
    assert budgets.day().reserved.calls == 1


def test_an_estimate_of_no_call_is_a_mistake(budgets: Budgets) -> None:
    with pytest.raises(BudgetError, match="estimate at least one"):
        budgets.purse("exp-1", Budget(), ENGINE).reserve(key(), Usage())
    assert budgets.holders() == []


def test_absurd_numbers_of_a_server_break_no_sum(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(), ENGINE)
    for attempt in range(5):
        purse.settle(key(attempt), Usage(calls=1, input_tokens=10**40, usd=1e300))
    assert budgets.balance("exp-1", Budget()).spent == Amounts(tokens=5 * 10**12, usd=500_000.0, calls=5)


# The day


def test_a_day_limits_all_experiments_together(url: str, clock: Clock) -> None:
    budgets = Budgets(url, Budget(usd=0.05, calls=10), clock)
    budgets.purse("exp-1", Budget(), ENGINE).reserve(key(), usage(usd=0.04))
    with pytest.raises(OverBudget) as refused:
        budgets.purse("exp-2", Budget(usd=1.0), ENGINE).reserve(key(of="exp-2"), usage(usd=0.02))
    assert str(refused.value) == (
        "openai:gpt-5: the call exp-2/fix/0/1 may take $0.02, 100 tokens, 1 call; the day 2026-03-01 (UTC) has $0.01 "
        "left of $0.05 ($0.00 spent, $0.04 reserved); begin again after 00:00 UTC, or start the workers with a higher "
        "GENESIS_BUDGET_DAY_USD"
    )
    assert budgets.day() == Balance(
        limit=Budget(usd=0.05, calls=10),
        spent=Amounts(),
        reserved=Amounts(tokens=100, usd=0.04, calls=1),
        left=Budget(usd=0.01, calls=9),
    )


def test_a_new_day_begins_at_midnight_utc(url: str, clock: Clock) -> None:
    budgets = Budgets(url, Budget(calls=1), clock)
    purse = budgets.purse("exp-1", Budget(), ENGINE)
    clock.at = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
    purse.reserve(key(), usage())
    clock.at = datetime(2026, 3, 2, 1, 30, tzinfo=UTC).astimezone(None)
    purse.reserve(key(1), usage())
    purse.settle(key(), usage(usd=0.07))
    assert budgets.today() == date(2026, 3, 2)
    assert amounts(budgets.day()) == (Amounts(), Amounts(tokens=100, usd=0.01, calls=1))
    assert budgets.day(date(2026, 3, 1)).spent == Amounts(tokens=100, usd=0.07, calls=1)
    assert budgets.day(date(2026, 3, 3)).spent == Amounts()


def test_a_reservation_that_is_taken_up_on_the_next_day_counts_there(url: str, clock: Clock) -> None:
    budgets = Budgets(url, Budget(calls=1), clock)
    purse = budgets.purse("exp-1", Budget(), ENGINE)
    purse.reserve(key(), usage())
    clock.at += timedelta(days=1)
    budgets.purse("exp-2", Budget(), ENGINE).reserve(key(of="exp-2"), usage())
    with pytest.raises(OverBudget, match="the day 2026-03-02"):
        purse.reserve(key(), usage())
    assert budgets.release("exp-2") == 1
    purse.reserve(key(), usage())
    assert budgets.day().reserved.calls == 1
    assert budgets.day(NOON.date()).reserved.calls == 0


# Unknown prices


def test_a_call_of_unknown_price_is_refused_where_dollars_are_limited(url: str, clock: Clock) -> None:
    budgets = Budgets(url, now=clock)
    with pytest.raises(OverBudget) as refused:
        budgets.purse("exp-1", Budget(usd=2.5), "openai:llama3").reserve(key(), usage(usd=None))
    assert str(refused.value) == (
        "openai:llama3: the call exp-1/fix/0/1 may take 100 tokens, 1 call; its price is unknown, so nobody can tell "
        "whether experiment exp-1 keeps to its $2.50; limit tokens or calls instead: "
        "python starter.py budget exp-1 --usd none --tokens N --calls N"
    )
    by_day = Budgets(url, Budget(usd=1.0), clock)
    with pytest.raises(
        OverBudget, match=r"the day .* without GENESIS_BUDGET_DAY_USD, and with GENESIS_BUDGET_DAY_"
    ):
        by_day.purse("exp-1", Budget(), "openai:llama3").reserve(key(), usage(usd=None))
    assert budgets.holders() == []


def test_calls_of_unknown_price_are_counted_and_said_to_be(budgets: Budgets) -> None:
    limit = Budget(tokens=1000, calls=10)
    purse = budgets.purse("exp-1", limit, "openai:llama3")
    for attempt, usd in enumerate((None, 0.5, None)):
        purse.reserve(key(attempt), usage(usd=usd))
    purse.settle(key(0), usage(usd=None))
    purse.settle(key(1), usage(usd=0.4))
    balance = budgets.balance("exp-1", limit)
    assert balance.unknown_usd_calls == 2
    assert balance.spent == Amounts(tokens=200, usd=0.4, calls=2)
    assert in_words(balance) == (
        "$0.40 spent (and 2 calls of unknown price); 200 of 1,000 tokens spent, 100 reserved, 700 left; "
        "2 of 10 calls spent, 1 reserved, 7 left"
    )


# What is said


def test_every_limit_that_is_broken_is_named_with_one_way_out(url: str, clock: Clock) -> None:
    budgets = Budgets(url, Budget(calls=1, tokens=50), clock)
    limit = Budget(usd=2.0, tokens=1000, calls=1)
    budgets.purse("exp-1", limit, ENGINE).settle(key(7), usage(10, 1.95))
    budgets.purse("exp-1", Budget(), "other")  # a purse alone changes nothing
    with pytest.raises(OverBudget) as refused:
        budgets.purse("exp-1", limit, ENGINE).reserve(key(1), usage(1200, 0.1234))
    assert str(refused.value) == (
        "openai:gpt-5: the call exp-1/fix/1/1 may take $0.1234, 1,200 tokens, 1 call; "
        "experiment exp-1 has $0.05 left of $2.00 ($1.95 spent, $0.00 reserved), "
        "990 tokens left of 1,000 tokens (10 tokens spent, 0 tokens reserved), "
        "0 calls left of 1 call (1 call spent, 0 calls reserved); "
        "allow it more while it runs: python starter.py budget exp-1 --usd 2.08 --tokens 1210 --calls 2; "
        "the day 2026-03-01 (UTC) has 40 tokens left of 50 tokens (10 tokens spent, 0 tokens reserved), "
        "0 calls left of 1 call (1 call spent, 0 calls reserved); begin again after 00:00 UTC, "
        "or start the workers with a higher GENESIS_BUDGET_DAY_TOKENS and GENESIS_BUDGET_DAY_CALLS"
    )


def test_what_is_proposed_suffices(budgets: Budgets) -> None:
    budgets.purse("exp-1", Budget(), ENGINE).settle(key(7), usage(10, 1.951))
    with pytest.raises(OverBudget, match=r"--usd 2\.08 --calls 2$"):
        budgets.purse("exp-1", Budget(usd=2.0, calls=1), ENGINE).reserve(key(1), usage(5, 0.1234))
    budgets.purse("exp-1", Budget(usd=2.08, calls=2), ENGINE).reserve(key(1), usage(5, 0.1234))


# Endings


def test_an_end_releases_what_is_reserved_and_keeps_what_is_spent(budgets: Budgets) -> None:
    purse = budgets.purse("exp-1", Budget(), ENGINE)
    for attempt in range(3):
        purse.reserve(key(attempt), usage())
    purse.settle(key(0), usage())
    budgets.purse("exp-2", Budget(), ENGINE).reserve(key(of="exp-2"), usage())
    assert budgets.holders() == ["exp-1", "exp-2"]
    assert [budgets.release("exp-1") for _ in range(2)] == [2, 0]
    assert budgets.release("nobody") == 0
    assert budgets.holders() == ["exp-2"]
    assert amounts(budgets.balance("exp-1", Budget())) == (
        Amounts(tokens=100, usd=0.01, calls=1),
        Amounts(),
    )
    purse.settle(key(1), usage(900, 0.9))  # the answer came after the end: it is paid all the same
    assert budgets.balance("exp-1", Budget()).spent == Amounts(tokens=1000, usd=0.91, calls=2)


# Processes


def test_eight_processes_never_exceed_one_budget(url: str) -> None:
    """Each tries 12 calls; of 96 there is money for 40, whatever the order."""
    start, results = FORK.Barrier(8), FORK.SimpleQueue()
    processes = [FORK.Process(target=_spend, args=(url, number, start, results)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * 8
    granted = sum(results.get() for _ in processes)
    assert granted == 40
    day = Budgets(url, Budget(usd=0.40), Clock()).day()
    assert (day.spent.calls + day.reserved.calls, day.left.usd) == (40, 0.0)
    assert 0 < day.reserved.calls < 40


def _spend(url: str, number: int, start, results) -> None:  # type: ignore[no-untyped-def]
    budgets = Budgets(url, Budget(usd=0.40), Clock())
    of = f"exp-{number % 2}"
    purse = budgets.purse(of, Budget(calls=90), ENGINE)
    start.wait(60)
    granted = 0
    for ask in range(1, 13):
        this = key(number, ask, of)
        with contextlib.suppress(OverBudget):
            purse.reserve(this, usage(usd=0.01))
            granted += 1
            if ask % 2:
                purse.settle(this, usage(usd=0.01))
    results.put(granted)


def test_a_retry_finds_what_a_killed_process_reserved(url: str, budgets: Budgets) -> None:
    limit = Budget(calls=1)
    process = FORK.Process(target=_reserve_and_die, args=(url, limit))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert budgets.balance("exp-1", limit).reserved.calls == 1
    purse = budgets.purse("exp-1", limit, ENGINE)
    with pytest.raises(OverBudget):
        purse.reserve(key(1), usage())  # another call finds no money
    purse.reserve(key(), usage())
    purse.settle(key(), usage())
    assert amounts(budgets.balance("exp-1", limit)) == (
        Amounts(tokens=100, usd=0.01, calls=1),
        Amounts(),
    )


def _reserve_and_die(url: str, limit: Budget) -> None:
    Budgets(url, now=Clock()).purse("exp-1", limit, ENGINE).reserve(key(), usage())
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_killed_within_a_reservation_leaves_none_and_blocks_nobody(
    url: str, budgets: Budgets
) -> None:
    process = FORK.Process(target=_die_in_the_middle, args=(url,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert budgets.holders() == []
    budgets.purse("exp-1", Budget(calls=1), ENGINE).reserve(key(), usage())


def _die_in_the_middle(url: str) -> None:
    def die(*given: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    budget.broken = die  # type: ignore[attr-defined]  # called within the transaction, its lock held
    Budgets(url).purse("exp-1", Budget(calls=1), ENGINE).reserve(key(), usage())


# Any order of events


Deed = tuple[str, int, int, int]
deeds = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "settle", "fail", "release"]),
        st.integers(0, 1),  # the experiment
        st.integers(0, 2),  # the call
        st.integers(0, 60),  # tokens
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds)
def test_any_order_of_events_comes_to_what_a_ledger_on_paper_says(url: str, given: list[Deed]) -> None:
    records = Records(url)
    _empty(records)
    records.close()
    budgets = Budgets(url, Budget(tokens=150), Clock())
    limit = Budget(tokens=100, calls=4)
    reserved: dict[CallKey, int] = {}
    spent: dict[CallKey, list[int]] = {}
    settled: set[CallKey] = set()
    for deed, experiment, call, tokens in given:
        of = f"exp-{experiment}"
        this = key(call, of=of)
        purse = budgets.purse(of, limit, ENGINE)
        match deed:
            case "reserve":
                rest = {one: held for one, held in reserved.items() if one != this}
                mine = [held for one, held in rest.items() if one.experiment_id == of]
                paid = [held for one, each in spent.items() if one.experiment_id == of for held in each]
                everything = sum(rest.values()) + sum(map(sum, spent.values())) + tokens
                allowed = (
                    sum(mine) + sum(paid) + tokens <= 100 and len(mine) + len(paid) < 4 and everything <= 150
                ) or reserved.get(this) == tokens
                if allowed:
                    purse.reserve(this, usage(tokens, 0.0))
                    reserved[this] = tokens
                    settled.discard(this)
                else:
                    with pytest.raises(OverBudget):
                        purse.reserve(this, usage(tokens, 0.0))
            case "settle":
                purse.settle(this, usage(tokens, 0.0))
                reserved.pop(this, None)
                if this not in settled:
                    spent.setdefault(this, []).append(tokens)
                    settled.add(this)
            case "fail":
                purse.settle(this, None)
                reserved.pop(this, None)
            case "release":
                held = [one for one in reserved if one.experiment_id == of]
                assert budgets.release(of) == len(held)
                for one in held:
                    del reserved[one]
        day = budgets.day()
        assert day.reserved.tokens == sum(reserved.values())
        assert day.reserved.calls == len(reserved)
        assert day.spent.tokens == sum(map(sum, spent.values()))
        assert day.spent.calls == sum(map(len, spent.values()))
        assert budgets.holders() == sorted({one.experiment_id for one in reserved})
    parts = [budgets.balance(of, limit) for of in ("exp-0", "exp-1")]
    assert sum(one.spent.tokens + one.reserved.tokens for one in parts) == day_total(budgets)
    budgets.close()


def day_total(budgets: Budgets) -> int:
    day = budgets.day()
    return day.spent.tokens + day.reserved.tokens


# The database


def test_a_database_without_the_table_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    budgets = Budgets(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(RecordsError, match=r"call Records.migrate\(\) first"):
        budgets.purse("exp-1", Budget(), ENGINE).reserve(key(), usage())
    with pytest.raises(RecordsError, match=r"call Records.migrate\(\) first"):
        budgets.day()


def test_a_database_that_can_not_be_used_now_is_no_wrong_call(tmp_path: Path) -> None:
    budgets = Budgets(f"sqlite:///{tmp_path / 'nowhere' / 'records.db'}")
    with pytest.raises(RecordsUnavailable, match="check that the folder exists"):
        budgets.purse("exp-1", Budget(), ENGINE).reserve(key(), usage())
    assert not issubclass(RecordsUnavailable, Budgets.permanent_errors)
    assert issubclass(OverBudget, Budgets.permanent_errors)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (reservations_query("exp-1"), "ix_spending_state"),
        (sums_query(col(Spending.experiment_id) == "exp-1"), "ix_spending_state"),
        (sums_query(col(Spending.day) == NOON.date()), "ix_spending_day"),
        (holders_query(), "ix_spending_state"),
        (last_query(key(), ENGINE), "sqlite_autoindex_spending_1"),
    ],
)
def test_queries_take_an_index_and_postgresql_knows_them(
    tmp_path: Path, query: sqlalchemy.Select[tuple[object]], index: str
) -> None:
    records = Records(f"sqlite:///{tmp_path / 'records.db'}")
    records.migrate()
    text = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
    with records._database.read() as session:
        plan = session.connection().execute(sqlalchemy.text(f"EXPLAIN QUERY PLAN {text}")).all()
    assert any(index in row[3] for row in plan), plan


# Shapes and settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"usd": -0.01},
        {"usd": float("nan")},
        {"usd": float("inf")},
        {"tokens": -1},
        {"calls": 1.5},
        {"euro": 1},
        {"usd": 1e7},
        {"tokens": 10**16},
        {"calls": "many"},
    ],
)
def test_what_is_no_budget(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Budget.model_validate(wrong)


def test_a_budget_changes_in_what_is_given_only() -> None:
    budget = Budget(tokens=10, usd=1.0)
    assert budget.changed(Budget(usd=2.0)) == Budget(tokens=10, usd=2.0)
    assert budget.changed(Budget(tokens=None, calls=3)) == Budget(usd=1.0, calls=3)
    assert budget.changed(Budget()) == budget
    assert budget.changed(Budget.model_validate_json(Budget(usd=2.0).model_dump_json())) == Budget(
        tokens=10, usd=2.0
    )
    assert Budget(usd=None, calls=1).model_dump(mode="json") == {"usd": None, "calls": 1}
    assert not Budget().is_limited
    assert Budget(calls=0).is_limited


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.one_of(st.none(), st.integers(0, 100)))
def test_a_limit_is_broken_where_the_sum_exceeds_it(
    spent: int, reserved: int, need: int, limit: int | None
) -> None:
    from domain.budget import Amount, balance_of

    found = broken(Budget(tokens=limit), Amount(tokens=spent), Amount(tokens=reserved), Amount(tokens=need))
    assert bool(found) == (limit is not None and spent + reserved + need > limit)
    for one in found:
        assert not broken(
            Budget(tokens=one.enough), Amount(tokens=spent), Amount(tokens=reserved), Amount(tokens=need)
        )
    left = balance_of(Budget(tokens=limit), Amount(tokens=spent), Amount(tokens=reserved)).left.tokens
    assert left == (None if limit is None else max(0, limit - spent - reserved))


def test_settings_carry_the_day_s_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USD", "TOKENS", "CALLS"):
        monkeypatch.delenv(f"GENESIS_BUDGET_DAY_{name}", raising=False)
    assert Settings().budget_day == Budget()
    monkeypatch.setenv("GENESIS_BUDGET_DAY_USD", "2.50")
    monkeypatch.setenv("GENESIS_BUDGET_DAY_TOKENS", "100000")
    monkeypatch.setenv("GENESIS_BUDGET_DAY_CALLS", "0")
    assert Settings().budget_day == Budget(usd=2.5, tokens=100_000, calls=0)
    monkeypatch.setenv("GENESIS_BUDGET_DAY_USD", "-1")
    with pytest.raises(ValueError, match="budget_day_usd"):
        Settings()
