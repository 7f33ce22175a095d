"""Records on a real SQLite file, from real threads and processes."""

import json
import multiprocessing
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.experiment import ExperimentStatus as S
from schemas.records import Event
from services.records import IllegalTransition, Records, RecordsError, RecordsUnavailable
from services.records import records as queries

START = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "d" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "records.db"


@pytest.fixture
def records(path: Path) -> Records:
    found = Records(f"sqlite:///{path}")
    found.migrate()
    return found


def event(
    number: int, name: str, status: S | None = None, *, of: str = "exp-1", at: int = 0, **data: Any
) -> Event:
    return Event(
        event_id=f"{of}/{number}",
        experiment_id=of,
        sequence=number,
        at=START + timedelta(seconds=number + at),
        event=name,
        status=status,
        data=data,
    )


def opened(of: str = "exp-1", strategy: str = "Alpha", at: int = 0) -> Event:
    return event(
        0,
        "experiment_opened",
        S.RUNNING,
        of=of,
        at=at,
        strategy=strategy,
        definition_sha256=DIGEST,
        data_sha256="e" * 64,
        data_name="GOOG",
        engine="offline",
        approval="auto",
        requested_by="ada",
    )


def story(of: str = "exp-1", strategy: str = "Alpha", at: int = 0) -> list[Event]:
    """An experiment that is repaired once and merged."""
    sandbox = {"sandbox_id": f"{of}-sandbox", "provider": "bubblewrap"}
    return [
        opened(of, strategy, at),
        event(1, "sandbox_created", of=of, at=at, **sandbox),
        event(2, "gates_judged", of=of, at=at, attempt=1, commit="1" * 40, gates=["runs"], metrics=None),
        event(
            3, "gates_judged", of=of, at=at, attempt=2, commit="2" * 40, metrics={"sharpe": 1.25, "trades": 7}
        ),
        event(4, "recommended", of=of, at=at, verdict="merge", reason="every gate passes"),
        event(5, "merge_started", S.MERGING, of=of, at=at),
        event(6, "merged", S.MERGED, of=of, at=at, commit="3" * 40, tag=f"strategies/{strategy}/v1"),
        event(7, "report_written", of=of, at=at, report="f" * 64),
        event(
            8, "sandbox_cleaned_up", of=of, at=at, **sandbox, seconds=1.5, size_bytes=9, peak_memory_mb=80.5
        ),
        event(9, "experiment_closed", of=of, at=at),
    ]


def dump(path: Path) -> dict[str, list[Any]]:
    """Every row of every table, as the database keeps it."""
    with sqlite3.connect(path) as connection:
        tables = ("experiments", "metrics", "sandbox_history", "audit", "leases")
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


# Writing


def test_rows_follow_from_events(records: Records) -> None:
    assert records.write(story()) == 10
    row = records.experiment("exp-1")
    assert row
    assert row.model_dump() == {
        "experiment_id": "exp-1",
        "strategy": "Alpha",
        "status": S.MERGED,
        "engine": "offline",
        "approval": "auto",
        "requested_by": "ada",
        "data_name": "GOOG",
        "attempts": 2,
        "verdict": "merge",
        "reason": "every gate passes",
        "judged_commit": "2" * 40,
        "merged_commit": "3" * 40,
        "tag": "strategies/Alpha/v1",
        "opened": START,
        "closed": START + timedelta(seconds=9),
        "metrics": {"sharpe": 1.25, "trades": 7},
        "artifacts": {"definition": DIGEST, "data": "e" * 64, "report": "f" * 64},
    }
    created, cleaned = records.sandboxes("exp-1")
    assert (created.event, created.provider, created.sandbox_id) == ("created", "bubblewrap", "exp-1-sandbox")
    assert (cleaned.event, cleaned.seconds, cleaned.size_bytes) == ("cleaned_up", 1.5, 9)
    assert cleaned.metrics == {"peak_memory_mb": 80.5}


def test_audit_says_who_changed_which_state(records: Records) -> None:
    records.write(story())
    rows = records.audit(experiment="exp-1")
    assert [row.sequence for row in rows] == list(range(10))
    changes = [
        (row.event, row.status_before, row.status_after)
        for row in rows
        if row.status_before != row.status_after
    ]
    assert changes == [
        ("experiment_opened", None, S.RUNNING),
        ("merge_started", S.RUNNING, S.MERGING),
        ("merged", S.MERGING, S.MERGED),
    ]
    assert {row.actor for row in rows} == {"genesis"}
    assert rows[4].data == {"reason": "every gate passes", "verdict": "merge"}


def test_writing_again_changes_nothing(records: Records, path: Path) -> None:
    assert records.write(story()) == 10
    before = dump(path)
    assert records.write(story()) == 0
    assert records.write([*story()[3:], *story()[:2]]) == 0
    assert dump(path) == before
    assert records.write([]) == 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rows_are_the_same_however_the_events_arrived(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Cut into batches, repeated, two experiments interleaved, and events that leave the state alone come late."""
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("records")

    def written(name: str, batches: list[list[Event]]) -> dict[str, list[Any]]:
        records = Records(f"sqlite:///{folder / name}")
        records.migrate()
        assert sum(map(records.write, batches)) == 20
        assert records.verify_audit().ok
        records.close()
        rows = dump(folder / name)
        rows["audit"] = [row[:-3] for row in rows["audit"]]  # the chain is by arrival
        return rows

    whole = written("whole.db", [story("exp-1") + story("exp-2", "Beta")])
    late = [one for one in story("exp-1") if one.status is None and chance.random() < 0.3]
    batches: list[list[Event]] = []
    rest = {
        of: [one for one in story(of, strategy) if one not in late]
        for of, strategy in (("exp-1", "Alpha"), ("exp-2", "Beta"))
    }
    while any(rest.values()):
        of = chance.choice([of for of in rest if rest[of]])
        size = chance.randint(1, 4)
        batches.append(rest[of][:size])
        rest[of] = rest[of][size:]
        if chance.random() < 0.5:
            batches.append(chance.choice(batches))
    batches += [[one] for one in chance.sample(late, len(late))]
    assert written("cut.db", batches) == whole


def test_the_same_id_with_other_content_is_refused(records: Records, path: Path) -> None:
    records.write(story())
    before = dump(path)
    other = story()[4].model_copy(update={"data": {"verdict": "rollback"}})
    with pytest.raises(RecordsError, match=r"exp-1/4.*is recorded with other content"):
        records.write([event(10, "step_started"), other])
    with pytest.raises(RecordsError, match="other content"):
        records.write([event(11, "step_started"), event(11, "step_started", step="fix")])
    moved = opened().model_copy(update={"experiment_id": "exp-2"})
    with pytest.raises(RecordsError, match="other content"):
        records.write([moved])
    assert dump(path) == before


def test_an_illegal_transition_names_both_states_and_writes_nothing(records: Records, path: Path) -> None:
    records.write([*story()[:2], opened("exp-2")])
    before = dump(path)
    with pytest.raises(IllegalTransition) as caught:
        records.write([event(5, "decision_awaited", S.WAITING, of="exp-2"), event(6, "merged", S.MERGED)])
    assert (caught.value.experiment_id, caught.value.before, caught.value.after) == (
        "exp-1",
        S.RUNNING,
        S.MERGED,
    )
    assert "exp-1 can't go from running to merged" in str(caught.value)
    assert "possible is cancelled, dry_run, failed, merging, rolled_back, waiting" in str(caught.value)
    assert dump(path) == before


def test_nothing_follows_the_end_but_notes(records: Records) -> None:
    records.write(story())
    with pytest.raises(IllegalTransition, match="it has ended"):
        records.write([event(20, "decision_taken", S.RUNNING)])
    assert records.write([event(20, "sandbox_cleaned_up", sandbox_id="late", provider="docker")]) == 1
    row = records.experiment("exp-1")
    assert row
    assert row.status is S.MERGED


def test_a_late_event_that_would_rewrite_the_audit_is_refused(records: Records) -> None:
    records.write([opened(), event(5, "recommended", verdict="merge", reason="ok")])
    with pytest.raises(IllegalTransition, match="with a later sequence is recorded already"):
        records.write([event(3, "decision_awaited", S.WAITING)])
    assert records.write([event(4, "step_started")]) == 1
    assert [row.sequence for row in records.audit()] == [0, 4, 5]


def test_an_experiment_begins_once_with_its_opening(records: Records) -> None:
    with pytest.raises(RecordsError, match="came without its experiment_opened"):
        records.write([event(1, "step_started")])
    records.write([opened()])
    with pytest.raises(RecordsError, match="opened already"):
        records.write([event(1, "experiment_opened", S.RUNNING, strategy="Alpha")])
    assert records.write([event(3, "step_started"), event(90, "step_started")]) == 2


def test_notes_may_stand_before_the_opening_in_its_batch(records: Records) -> None:
    first = event(0, "step_started", step="open")
    opening = opened().model_copy(update={"event_id": "exp-1/1", "sequence": 1})
    assert records.write([first, opening]) == 2
    assert [(row.status_before, row.status_after) for row in records.audit()] == [
        (None, None),
        (None, S.RUNNING),
    ]
    assert {row.strategy for row in records.audit()} == {"Alpha"}


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), object(), {"\ud800": 1}, {("a", "b"): b"\xff"}]
)
def test_data_that_json_can_not_hold_is_refused(records: Records, value: Any) -> None:
    with pytest.raises(RecordsError, match="can't be kept"):
        records.write([opened(), event(1, "step_started", value=value)])
    assert records.audit() == []


def test_what_is_not_unicode_is_refused(records: Records) -> None:
    with pytest.raises(RecordsError, match="is not Unicode text"):
        records.audit(strategy="\udcff")
    with pytest.raises(RecordsError, match="is not Unicode text"):
        records.open_lease("sandbox", "\udcff", "exp-1", "host", START)


def test_bulk_is_refused(records: Records) -> None:
    with pytest.raises(RecordsError, match="store the bulk as an artifact"):
        records.write([opened(), event(1, "step_started", log="x" * 300_000)])


HOSTILE = ["'; DROP TABLE audit; --", "漢字 ü \U0001f600", "a\x00b", "", "%_\\", "x" * 5000]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_comes_back(records: Records, text: str) -> None:
    data = {"reason": text, text[:50]: [text, {"deep": None}], "when": START.isoformat(), "big": 2**70}
    records.write([opened(), event(1, "step_started", payload=data)])
    assert records.audit()[-1].data == {"payload": data}
    assert records.audit(strategy=text or "'") == []


def test_odd_data_does_not_stop_the_records(records: Records) -> None:
    """Data is what activities said; a missing or odd value must not lose the event."""
    records.write(
        [
            event(0, "experiment_opened", strategy=None, engine=7),
            event(1, "gates_judged", attempt="two", metrics=[1], commit=None),
            event(2, "sandbox_created", size_bytes="large", seconds=None),
            event(3, "report_written", report="not a digest", artifacts={"curve": DIGEST, "odd": 3}),
        ]
    )
    row = records.experiment("exp-1")
    assert row
    assert (row.strategy, row.engine, row.attempts, row.metrics) == ("unknown", "7", 1, {})
    assert row.artifacts == {"curve": DIGEST}
    assert records.sandboxes("exp-1")[0].sandbox_id == "unknown"


@pytest.mark.parametrize(
    ("name", "status"), [("failed", S.FAILED), ("rolled_back", S.ROLLED_BACK), ("dry_run_ended", S.DRY_RUN)]
)
def test_the_reason_of_the_end_is_kept(records: Records, name: str, status: S) -> None:
    records.write(
        [
            opened(),
            event(1, "recommended", verdict="merge", reason="first"),
            event(2, name, status, reason="last"),
        ]
    )
    row = records.experiment("exp-1")
    assert row
    assert (row.reason, row.status, row.closed) == ("last", status, START + timedelta(seconds=2))


def test_audit_can_not_be_changed_or_deleted(records: Records, path: Path) -> None:
    records.write(story())
    with sqlite3.connect(path) as connection:
        for statement in (
            "UPDATE audit SET actor = 'eve'",
            "DELETE FROM audit",
            "DELETE FROM audit WHERE sequence = 3",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="audit is append-only"):
                connection.execute(statement)


def test_rows_need_their_experiment(records: Records, path: Path) -> None:
    records.write([opened()])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute("INSERT INTO metrics VALUES ('nobody', 1, NULL, '2026-01-01', '{}')")


# Reading


@pytest.fixture
def many(records: Records) -> Records:
    for number in range(6):
        strategy = "Alpha" if number % 2 else "Beta"
        of = f"{strategy.lower()}-{number}"
        records.write(
            story(of, strategy, at=100 * number) if number < 3 else [opened(of, strategy, at=100 * number)]
        )
    records.write([event(1, "decision_awaited", S.WAITING, of="alpha-5", at=500)])
    return records


def test_experiments_are_listed_newest_first(many: Records) -> None:
    def ids(**filters: Any) -> list[str]:
        return [row.experiment_id for row in many.experiments(**filters)]

    assert ids() == ["alpha-5", "beta-4", "alpha-3", "beta-2", "alpha-1", "beta-0"]
    assert ids(limit=2) == ["alpha-5", "beta-4"]
    assert ids(status=S.MERGED) == ["beta-2", "alpha-1", "beta-0"]
    assert ids(status=S.RUNNING, strategy="Alpha") == ["alpha-3"]
    assert ids(strategy="Gamma") == []
    assert [row.experiment_id for row in many.jobs()] == ["alpha-3", "beta-4", "alpha-5"]
    assert many.experiments(status=S.MERGED)[0].metrics == {"sharpe": 1.25, "trades": 7}
    assert many.experiment("nobody") is None


def test_find_goes_by_prefix(many: Records) -> None:
    assert many.find("alpha-5") == ["alpha-5"]
    assert many.find("alpha") == ["alpha-1", "alpha-3", "alpha-5"]
    assert many.find("") == ["alpha-1", "alpha-3", "alpha-5", "beta-0", "beta-2", "beta-4"]
    for nothing in ("%", "_lpha", "gamma", "alpha-55", "ALPHA", "\x7f", "'"):
        assert many.find(nothing) == []


def test_audit_filters_and_keeps_the_newest(many: Records) -> None:
    assert len(many.audit()) == 34
    assert [row.event for row in many.audit(experiment="alpha-5")] == [
        "experiment_opened",
        "decision_awaited",
    ]
    assert {row.strategy for row in many.audit(strategy="Beta")} == {"Beta"}
    merged = many.audit(event="merged")
    assert [row.experiment_id for row in merged] == ["beta-0", "alpha-1", "beta-2"]
    assert [row.experiment_id for row in many.audit(event="merged", limit=2)] == ["alpha-1", "beta-2"]
    assert [row.event for row in many.audit(limit=1)] == ["decision_awaited"]
    assert many.audit(experiment="alpha-1", strategy="Beta") == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(many: Records, limit: int) -> None:
    for call in (many.experiments, many.audit):
        with pytest.raises(RecordsError, match="ask for at least one row"):
            call(limit=limit)


INDEXED = [
    (queries.experiments_query(None, None, 50), "ix_experiments_opened", True),
    (queries.experiments_query(S.MERGED, None, 50), "ix_experiments_status", False),
    (queries.experiments_query(None, "Alpha", 50), "ix_experiments_strategy", False),
    (queries.jobs_query(), "ix_experiments_status", False),
    (queries.find_query("exp-1", on_sqlite=True), "sqlite_autoindex_experiments_1", True),
    (queries.audit_query(None, None, None, 50), "ix_audit_at", True),
    (queries.audit_query("exp-1", None, None, 50), "ix_audit_experiment", True),
    (queries.audit_query(None, "Alpha", None, 50), "ix_audit_strategy", True),
    (queries.audit_query(None, None, "merged", 50), "ix_audit_event", True),
    (queries.sandboxes_query("exp-1"), "ix_sandbox_history_experiment", False),
    (queries.leases_query(True, None, None), "ix_leases_expires", False),
    (queries.leases_query(True, "exp-1", None), "ix_leases_experiment", False),
]


@pytest.mark.parametrize(("query", "index", "sorted_by_index"), INDEXED)
def test_queries_use_their_index(records: Records, query: Any, index: str, sorted_by_index: bool) -> None:
    """Asked of SQLite itself; where the index has the order too, nothing is sorted."""
    engine = records._database.engine
    text = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection:
        plan = " / ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert f"USING INDEX {index}" in plan or f"USING COVERING INDEX {index}" in plan, plan
    if sorted_by_index:
        assert "TEMP B-TREE" not in plan, plan


# Leases


def test_a_lease_is_opened_renewed_and_released(records: Records) -> None:
    first = records.open_lease("sandbox", "s1", "exp-1", "host", START)
    assert (first.expires, first.released, first.experiment_id) == (START, None, "exp-1")
    later = START + timedelta(hours=1)
    renewed = records.open_lease("sandbox", "s1", "exp-1", "other", later)
    assert (renewed.created, renewed.expires, renewed.host) == (first.created, later, "other")
    assert records.leases() == [renewed]
    assert records.release_lease("sandbox", "s1") is True
    assert records.release_lease("sandbox", "s1") is False
    assert records.release_lease("branch", "s1") is False
    assert records.leases() == []
    (kept,) = records.leases(open_only=False)
    assert kept.released is not None
    again = records.open_lease("sandbox", "s1", "exp-2", "host", later)
    assert (again.released, again.experiment_id) == (None, "exp-2")


def test_leases_of_an_experiment_come_first_to_end_first(records: Records) -> None:
    for number in range(4):
        records.open_lease(
            "branch", f"b{number}", f"exp-{number % 2}", "host", START - timedelta(hours=number)
        )
    assert [lease.name for lease in records.leases(experiment="exp-1")] == ["b3", "b1"]


def test_leases_by_kind_and_the_hosts_that_hold_or_held_them(records: Records) -> None:
    for kind, name, host in (("sandbox", "s1", "b-1"), ("sandbox", "s2", "a-1"), ("branch", "b1", "c-1")):
        records.open_lease(kind, name, "exp-1", host, START)
    assert [lease.name for lease in records.leases(kind="sandbox")] == ["s1", "s2"]
    now = datetime.now(UTC)
    assert records.lease_hosts("sandbox", now) == ["a-1", "b-1"], "open ones, however old"
    records.release_lease("sandbox", "s1")
    assert records.lease_hosts("sandbox", now) == ["a-1"]
    assert records.lease_hosts("sandbox", now - timedelta(hours=1)) == ["a-1", "b-1"]
    assert records.lease_hosts("token", now) == []


def test_what_another_experiment_holds_can_not_be_leased(records: Records) -> None:
    records.open_lease("sandbox", "s1", "exp-1", "host", START)
    with pytest.raises(RecordsError, match="leased to experiment exp-1 until 2026-01-01 00:00:00 UTC"):
        records.open_lease("sandbox", "s1", "exp-2", "host", START)
    with pytest.raises(RecordsError, match="with a zone"):
        records.open_lease("sandbox", "s2", "exp-1", "host", START.replace(tzinfo=None))


# Many at once


def test_eight_processes_lose_nothing(records: Records, path: Path) -> None:
    """Each writes its own experiments, all write one in common, and every batch is written twice."""
    common = [opened("common"), *[event(number, "step_started", of="common") for number in range(1, 9)]]
    records.write(common[:1])
    records.close()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write_in_a_child, args=(str(path), number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0] * 8
    assert len(records.experiments(limit=100)) == 8 * 3 + 1
    assert len(records.audit(limit=1000)) == 8 * 3 * 10 + 9
    assert [row.sequence for row in records.audit(experiment="common")] == list(range(9))
    assert len(records.leases(open_only=False)) == 8
    assert records.leases() == []


def write_in_a_child(path: str, number: int) -> None:
    records = Records(f"sqlite:///{path}")
    records.migrate()
    records.open_lease("sandbox", f"s{number}", f"exp-{number}", "host", START)
    for round_ in range(3):
        events = story(f"exp-{number}-{round_}")
        assert records.write(events[:4]) == 4
        assert records.write(events) == 6
        assert records.write([event(number + 1, "step_started", of="common")]) == (1 if round_ == 0 else 0)
    assert records.release_lease("sandbox", f"s{number}")


def test_threads_that_write_one_event_write_it_once(records: Records) -> None:
    records.write([opened()])
    start = threading.Barrier(8)

    def write(_: int) -> int:
        start.wait()
        return records.write([event(1, "step_started")])

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(write, range(8))) == 1
    assert len(records.audit()) == 2


def test_a_writer_waits_for_another_and_readers_do_not(records: Records, path: Path) -> None:
    records.write([opened()])
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(records.write, [event(1, "step_started")])
        assert records.experiment("exp-1")
        time.sleep(0.2)
        assert not writing.done()
        blocker.execute("COMMIT")
        assert writing.result(20) == 1
    blocker.close()


def test_a_writer_that_waits_too_long_says_so(
    path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.records.database.BUSY_SECONDS", 0.1)
    impatient = Records(f"sqlite:///{path}")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordsUnavailable, match="database is locked; another process has been writing"):
        impatient.write([opened()])
    blocker.execute("ROLLBACK")
    blocker.close()
    assert impatient.write([opened()]) == 1


def test_unavailable_is_worth_a_retry_and_errors_are_not() -> None:
    assert issubclass(IllegalTransition, Records.permanent_errors)
    assert not issubclass(RecordsUnavailable, Records.permanent_errors)


def test_rows_are_plain_json(records: Records) -> None:
    records.write(story())
    row = records.experiment("exp-1")
    assert row
    assert json.loads(row.model_dump_json())["closed"] == "2026-01-01T00:00:09Z"
