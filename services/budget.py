"""Budgets: what calls of models may use is reserved before a call and settled after it, in the records' database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from domain.budget import KINDS, Amount, Excess, amount_of, balance_of, broken, cents_up, nano, shown
from schemas.budget import Balance, Budget
from schemas.models import CallKey
from schemas.usage import Usage
from services.calls.purse import OverBudget, Purse
from services.records import Records
from services.records.database import Database
from services.records.errors import RecordsError
from services.records.tables import Spending

__all__ = ["BudgetError", "Budgets", "OverBudget", "budget_on_record"]

RESERVED, SETTLED, RELEASED = "reserved", "settled", "released"

# Any number but the migrations': all processes of one PostgreSQL database take the same.
_LOCK = 7_236_514_983


class BudgetError(RecordsError):
    """The account can't be kept so; doing it again won't help."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


class Budgets:
    """The accounts of all experiments, in the database at `url`, whose tables `Records.migrate` makes.

    `day` limits what all experiments together use on one day, in UTC. Methods block, may be called from several threads
    and processes, and raise RecordsUnavailable and RecordsError as those of Records do.
    """

    permanent_errors: tuple[type[Exception], ...] = (OverBudget, RecordsError)

    def __init__(
        self, url: str, day: Budget | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        self.day_limit = day or Budget()
        self._database = Database(url)
        self._now = now or _utc_now

    def purse(self, experiment_id: str, limit: Budget, engine: str) -> Purse:
        """What stands before the calls of one step of an experiment, whose budget is now `limit`."""
        return _Purse(self._database, self._now, self.day_limit, experiment_id, limit, engine)

    def release(self, experiment_id: str) -> int:
        """End the reservations of an experiment that has ended; how many there were. What is spent stays spent."""
        now = self._now()
        with self._database.write() as session:
            _have_alone(session)
            rows = session.exec(reservations_query(experiment_id)).all()
            for row in rows:
                row.state, row.at = RELEASED, now
            return len(rows)

    def holders(self) -> list[str]:
        """The experiments that have something reserved, by id: of those that have ended, the sweep releases it."""
        with self._database.read() as session:
            return sorted(session.exec(holders_query()))

    def balance(self, experiment_id: str, limit: Budget) -> Balance:
        """What an experiment has spent and reserved, beside its budget."""
        with self._database.read() as session:
            return balance_of(limit, *_sums(session, _of_experiment(experiment_id)))

    def day(self, on: date | None = None) -> Balance:
        """What all experiments spent and reserved on a day (UTC; today where left away), beside the limits of a day."""
        with self._database.read() as session:
            return balance_of(self.day_limit, *_sums(session, _of_day(on or self.today())))

    def today(self) -> date:
        """The day on which a call is entered now."""
        return _day(self._now())

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._database.close()


def budget_on_record(records: Records, experiment_id: str) -> Budget | None:
    """The budget as it was given or last changed; None where the records don't tell."""
    for event in ("budget_changed", "experiment_opened"):
        for row in records.audit(experiment=experiment_id, event=event, limit=1):
            if row.data.get("budget") is not None:
                return Budget.model_validate(row.data["budget"])
    return None


@dataclass(frozen=True)
class _Purse:
    """Pays for the calls of one engine from one experiment's budget, and from the day's."""

    database: Database
    now: Callable[[], datetime]
    day_limit: Budget
    experiment_id: str
    limit: Budget
    engine: str

    def reserve(self, key: CallKey, estimate: Usage) -> None:
        """Set aside what one call may use at most. Raises OverBudget, and then nothing new is set aside.

        Repeated under the same key, it finds what is reserved. After a settlement it reserves anew, for another call:
        who finds the answer that was paid for makes none.
        """
        if estimate.calls < 1:
            raise BudgetError(f"the estimate for {key} is of {estimate.calls} calls; estimate at least one")
        need = amount_of(estimate)
        with self.database.write() as session:
            row = self._last(session, key)
            number = row.number + (row.state == SETTLED) if row else 1
            entry = self._entry(key, number, RESERVED, need)
            if row is None or _meaning(row) != _meaning(entry):
                self._check(session, entry, need)
                session.merge(entry)

    def settle(self, key: CallKey, usage: Usage | None) -> None:
        """Put what was used in the place of what was reserved; None: the call brought no answer, nothing is spent.

        What is settled stays. A call that was never reserved, or no longer is, is entered all the same: it is paid.
        """
        with self.database.write() as session:
            row = self._last(session, key)
            if usage is None:
                if row is not None and row.state == RESERVED:
                    row.state, row.at = RELEASED, self.now()
            elif row is None or row.state != SETTLED:
                entry = self._entry(key, row.number if row else 1, SETTLED, amount_of(usage))
                entry.day = row.day if row else entry.day
                session.merge(entry)

    def _last(self, session: Session, key: CallKey) -> Spending | None:
        """The last payment under the key, which is nobody else's until the transaction ends."""
        _have_alone(session)
        row = session.exec(last_query(key, self.engine)).first()
        if row is not None and row.experiment_id != self.experiment_id:
            raise BudgetError(
                f"the call {key} is on the account of experiment {row.experiment_id}, not of {self.experiment_id}; "
                "take the purse it began with"
            )
        return row

    def _entry(self, key: CallKey, number: int, state: str, amount: Amount) -> Spending:
        now = self.now()
        return Spending(
            key=str(key),
            engine=self.engine,
            number=number,
            experiment_id=self.experiment_id,
            day=_day(now),
            state=state,
            tokens=amount.tokens,
            nano_usd=amount.nano_usd,
            calls=amount.calls,
            unpriced=amount.unpriced,
            at=now,
        )

    def _check(self, session: Session, entry: Spending, need: Amount) -> None:
        """Raises OverBudget where `need` breaks a limit, or may break one unseen. `entry` itself isn't counted."""
        accounts = (
            _Account(
                f"experiment {self.experiment_id}",
                self.limit,
                _of_experiment(self.experiment_id),
                self.experiment_id,
            ),
            _Account(f"the day {entry.day} (UTC)", self.day_limit, _of_day(entry.day)),
        )
        refusals: list[str] = []
        for account in accounts:
            if need.unpriced and account.limit.usd is not None:
                refusals.append(_unpriced(account))
            if account.limit.is_limited:
                sums = _sums(session, account.rows, _other_than(entry))
                if excess := broken(account.limit, *sums, need):
                    refusals.append(_over(account, excess))
        if refusals:
            raise OverBudget(
                f"{self.engine}: the call {entry.key} may take {_needed(need)}; {'; '.join(refusals)}"
            )


def _have_alone(session: Session) -> None:
    """Let no other process write to the accounts until the transaction ends. SQLite's writers queue anyway."""
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


# The rows


def reservations_query(experiment_id: str) -> SelectOfScalar[Spending]:
    return select(Spending).where(Spending.experiment_id == experiment_id, Spending.state == RESERVED)


def holders_query() -> SelectOfScalar[str]:
    return select(Spending.experiment_id).where(Spending.state == RESERVED).distinct()


def last_query(key: CallKey, engine: str) -> SelectOfScalar[Spending]:
    payments = select(Spending).where(Spending.key == str(key), Spending.engine == engine)
    return payments.order_by(col(Spending.number).desc()).limit(1)


def _meaning(row: Spending) -> dict[str, Any]:
    return row.model_dump(exclude={"at"})


def _other_than(row: Spending) -> ColumnElement[bool]:
    name = (Spending.key, Spending.engine, Spending.number)
    return sqlalchemy.tuple_(*map(col, name)) != (row.key, row.engine, row.number)


def _of_experiment(experiment_id: str) -> ColumnElement[bool]:
    return col(Spending.experiment_id) == experiment_id


def _of_day(day: date) -> ColumnElement[bool]:
    return col(Spending.day) == day


def sums_query(*which: ColumnElement[bool]) -> sqlalchemy.Select[*tuple[Any, ...]]:
    """State, tokens, billionths of a dollar, calls and calls of unknown price."""
    parts = (Spending.tokens, Spending.nano_usd, Spending.calls, Spending.unpriced)
    return (
        sqlalchemy.select(col(Spending.state), *(func.sum(part) for part in parts))
        .where(*which, col(Spending.state).in_((SETTLED, RESERVED)))
        .group_by(col(Spending.state))
    )


def _sums(session: Session, *which: ColumnElement[bool]) -> tuple[Amount, Amount]:
    """What the rows have spent, and reserved."""
    rows = session.connection().execute(sums_query(*which))
    found = {state: Amount(*map(int, sums)) for state, *sums in rows}  # PostgreSQL's sums are Decimals
    return found.get(SETTLED, Amount()), found.get(RESERVED, Amount())


# The words


@dataclass(frozen=True)
class _Account:
    """One of the two that a call is counted in: its experiment's, and the day's."""

    name: str
    limit: Budget
    rows: ColumnElement[bool]
    experiment_id: str = ""
    """Empty for the day's."""


def _needed(need: Amount) -> str:
    return ", ".join(shown(kind, need.of(kind)) for kind in KINDS if not (kind == "usd" and need.unpriced))


def _over(account: _Account, excess: Sequence[Excess]) -> str:
    state = ", ".join(
        f"{shown(one.kind, one.left)} left of {shown(one.kind, one.limit)} "
        f"({shown(one.kind, one.spent)} spent, {shown(one.kind, one.reserved)} reserved)"
        for one in excess
    )
    if account.experiment_id:
        options = " ".join(f"--{one.kind} {_option(one)}" for one in excess)
        way = f"allow it more while it runs: python starter.py budget {account.experiment_id} {options}"
    else:
        settings = " and ".join(f"GENESIS_BUDGET_DAY_{one.kind.upper()}" for one in excess)
        way = f"begin again after 00:00 UTC, or start the workers with a higher {settings}"
    return f"{account.name} has {state}; {way}"


def _option(one: Excess) -> str:
    return f"{cents_up(one.enough):.2f}" if one.kind == "usd" else str(one.enough)


def _unpriced(account: _Account) -> str:
    if account.experiment_id:
        way = f"python starter.py budget {account.experiment_id} --usd none --tokens N --calls N"
    else:
        way = (
            "start the workers without GENESIS_BUDGET_DAY_USD, and with GENESIS_BUDGET_DAY_TOKENS or …_CALLS"
        )
    limit = shown("usd", nano(account.limit.usd or 0.0))
    return (
        f"its price is unknown, so nobody can tell whether {account.name} keeps to its {limit}; "
        f"limit tokens or calls instead: {way}"
    )
