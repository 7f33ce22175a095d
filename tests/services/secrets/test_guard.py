"""The guard: a token for an experiment, wherever it goes on; and none once it has ended. Over every store."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.guarding import Guarding
from schemas.secrets import Grant, IssueInput, TokensRef
from services.records import Records
from services.secrets import (
    SecretMissing,
    SecretsRefused,
    SecretStore,
    SecretsUnavailable,
    Token,
    TokenGone,
)
from services.secrets import guard as guards
from services.secrets.guard import TOKEN, Guard


class MakeGuard(Protocol):
    def __call__(self, host: str = "a-1", **more: Any) -> Guard: ...


@pytest.fixture
def make(any_store: SecretStore, records: Records) -> Iterator[MakeGuard]:
    """Workers of one deployment: each holds what it issued itself."""

    def one(host: str = "a-1", **more: Any) -> Guard:
        return Guard(any_store, records, host, **({"environment": {}} | more))

    return one


def order(*names: str, experiment: str = "x", seconds: float = 60, **more: Any) -> IssueInput:
    return IssueInput(experiment_id=experiment, names=list(names or ("ONE",)), lease_seconds=seconds, **more)


def ref(experiment: str = "x") -> TokensRef:
    return TokensRef(experiment_id=experiment)


def open_names(records: Records) -> list[str]:
    return sorted(lease.name for lease in records.leases(kind=TOKEN))


def living(store: SecretStore) -> list[str]:
    return sorted(info.accessor for info in store.issued())


def test_issued_read_and_revoked(make: MakeGuard, any_store: SecretStore, records: Records) -> None:
    guard = make()
    issued = guard.issue(order("ONE", "ABSENT"))
    assert issued.accessor
    assert living(any_store) == open_names(records) == [issued.accessor]
    (lease,) = records.leases(kind=TOKEN)
    assert (lease.experiment_id, lease.host) == ("x", "a-1")
    assert timedelta(seconds=50) < lease.expires - datetime.now(UTC) <= timedelta(seconds=60)
    assert guard.secret("x", "ONE") == "1"
    with pytest.raises(SecretsRefused, match="may not read OTHER"):
        guard.secret("x", "OTHER")
    with pytest.raises(SecretMissing):
        guard.secret("x", "ABSENT")
    gone = guard.revoke(ref())
    assert (gone.revoked, gone.problem) == (1, "")
    assert living(any_store) == open_names(records) == []
    assert guard.revoke(ref()).revoked == 0
    with pytest.raises(TokenGone, match="have one issued first"):
        guard.secret("x", "ONE")
    assert living(any_store) == []


def test_what_needs_nothing_gets_nothing(make: MakeGuard, any_store: SecretStore, records: Records) -> None:
    nothing = IssueInput(experiment_id="x", lease_seconds=60)
    guard = make(environment={"OPENAI_API_KEY": "of the environment"})
    assert guard.issue(nothing).accessor is None
    with guard.acting(nothing):
        assert guard.key("ONE") is None
        assert guard.key("OPENAI_API_KEY") == "of the environment"
        assert guard.sandbox_environment([]) == {}
    assert living(any_store) == open_names(records) == []


def test_asking_again_is_the_same_token_living_longer(
    make: MakeGuard, any_store: SecretStore, records: Records
) -> None:
    guard = make()
    first = guard.issue(order(seconds=5))
    again = guard.issue(order(seconds=500))
    assert again.accessor == first.accessor
    assert again.expires
    assert again.expires - datetime.now(UTC) > timedelta(seconds=400)
    assert living(any_store) == open_names(records) == [first.accessor]
    wider = guard.issue(order("ONE", "OTHER"))
    assert wider.accessor != first.accessor
    assert living(any_store) == open_names(records) == [wider.accessor]
    assert guard.secret("x", "OTHER") == "2"


def test_another_worker_takes_over_and_at_most_one_token_lives(
    make: MakeGuard, any_store: SecretStore, records: Records
) -> None:
    first, second = make("a-1"), make("b-1")
    first.issue(order(uses=100))
    for guard in (second, first, second, first):
        assert guard.secret("x", "ONE") == "1"
        assert len(living(any_store)) == 1
        assert living(any_store) == open_names(records)
    (lease,) = records.leases(kind=TOKEN)
    assert lease.host == "a-1"
    restarted = make("a-1")
    assert restarted.secret("x", "ONE") == "1"
    assert len(living(any_store)) == 1
    assert second.revoke(ref()).revoked == 1
    for guard in (first, second, restarted):
        with pytest.raises(TokenGone):
            guard.secret("x", "ONE")
    assert living(any_store) == open_names(records) == []


def test_workers_that_read_at_once_do_not_starve_each_other(make: MakeGuard, any_store: SecretStore) -> None:
    workers = [make("a-1"), make("b-1")]
    workers[0].issue(order())

    def read(number: int) -> str:
        try:
            return workers[number % 2].secret("x", "ONE")
        except SecretsUnavailable:  # what Temporal tries again
            return "later"

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, range(16)))
    assert set(found) <= {"1", "later"}
    assert found.count("1") >= 8
    assert workers[0].secret("x", "ONE") == "1"
    assert len(living(any_store)) == 1


def test_one_worker_s_threads_share_one_token(make: MakeGuard, any_store: SecretStore) -> None:
    guard = make()
    with ThreadPoolExecutor(8) as pool:
        accessors = {issued.accessor for issued in pool.map(lambda _: guard.issue(order()), range(8))}
        assert len(accessors) == 1
        assert set(pool.map(lambda _: guard.secret("x", "ONE"), range(16))) == {"1"}
    assert living(any_store) == sorted(str(accessor) for accessor in accessors)


def test_a_token_that_is_used_up_is_replaced(
    make: MakeGuard, any_store: SecretStore, records: Records
) -> None:
    guard = make()
    first = guard.issue(order(uses=2))
    assert [guard.secret("x", "ONE") for _ in range(5)] == ["1"] * 5
    assert first.accessor not in living(any_store)
    assert len(open_names(records)) == 1


# What waits for a clock runs on a book and on a server; the other book is the same code.
clocked = pytest.mark.parametrize("any_store", ["file", "vault"], indirect=True)


@clocked
def test_a_token_that_expired_is_replaced_while_its_experiment_may_run(
    make: MakeGuard, any_store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a server that lets none live as long as asked."""
    issue = any_store.issue
    monkeypatch.setattr(any_store, "issue", lambda grant: issue(grant.model_copy(update={"seconds": 2})))
    guard = make()
    guard.issue(order(seconds=60))
    time.sleep(2.2)
    assert guard.secret("x", "ONE") == "1"


@clocked
def test_a_token_s_time_is_the_experiment_s(make: MakeGuard, any_store: SecretStore) -> None:
    guard = make()
    guard.issue(order(seconds=2))
    time.sleep(2.2)
    with pytest.raises(TokenGone):
        guard.secret("x", "ONE")
    assert living(any_store) == []


@clocked
def test_what_lives_shorter_is_renewed(
    make: MakeGuard, any_store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[float] = []
    issue, renew = any_store.issue, any_store.renew

    def count(accessor: str, seconds: float) -> Any:
        renewed.append(seconds)
        return renew(accessor, seconds)

    monkeypatch.setattr(any_store, "issue", lambda grant: issue(grant.model_copy(update={"seconds": 2})))
    monkeypatch.setattr(any_store, "renew", count)
    monkeypatch.setattr(guards, "KEEP_EVERY", 0.1)
    with make() as guard:
        issued = guard.issue(order(seconds=60))
        guard.keep()
        assert renewed == [], "half of its time isn't over"
        time.sleep(1.6)
        assert len(renewed) == 1
        assert 50 < renewed[0] < 60
        assert guard.secret("x", "ONE") == "1"
        assert living(any_store) == [issued.accessor], "the same, not another"


class Stopped(BaseException):
    """As if the process had been killed there."""


CUTS: list[tuple[str, str]] = [
    ("issue", "before"),
    ("issue", "after"),
    ("lookup", "before"),
    ("lookup", "after"),
]


@pytest.mark.parametrize(("call", "when"), CUTS)
def test_a_worker_that_is_killed_in_between_leaves_nothing_that_is_not_found(
    make: MakeGuard,
    any_store: SecretStore,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    when: str,
) -> None:
    real: Callable[..., Any] = getattr(any_store, call)

    def cut(*given: Any) -> Any:
        if when == "after":
            real(*given)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(any_store, call, cut)
        with pytest.raises(Stopped):
            make("a-1").issue(order())
    made = living(any_store)
    assert len(made) == (0 if (call, when) == ("issue", "before") else 1)
    assert open_names(records), "the lease came first"
    retried = make("b-1")
    issued = retried.issue(order())
    assert living(any_store) == [issued.accessor]
    assert issued.accessor not in made
    assert retried.revoke(ref()).revoked == 1
    assert living(any_store) == open_names(records) == []


@pytest.mark.parametrize(("call", "when"), CUTS)
def test_the_undo_finds_what_a_killed_worker_issued(
    make: MakeGuard,
    any_store: SecretStore,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    when: str,
) -> None:
    real: Callable[..., Any] = getattr(any_store, call)

    def cut(*given: Any) -> Any:
        if when == "after":
            real(*given)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(any_store, call, cut)
        with pytest.raises(Stopped):
            make("a-1").issue(order())
    other = make("b-1")
    other.issue(order(experiment="other"))
    other.revoke(ref())
    assert open_names(records) == living(any_store)
    assert [info.experiment_id for info in any_store.issued()] == ["other"]


def test_the_sweep_s_way(make: MakeGuard, any_store: SecretStore, records: Records) -> None:
    guard = make()
    mine, other = guard.issue(order()), guard.issue(order(experiment="other"))
    assert mine.accessor
    assert [(info.accessor, info.experiment_id) for info in guard.holdings()] == [
        (other.accessor, "other"),
        (mine.accessor, "x"),
    ]
    sweeper = make("b-1")
    assert sweeper.remove(mine.accessor) is True
    assert sweeper.remove(mine.accessor) is False
    records.release_lease(TOKEN, mine.accessor)
    with pytest.raises(TokenGone):
        guard.secret("x", "ONE")
    lost = any_store.issue(Grant(experiment_id="lost", names=["ONE"], seconds=60))
    assert sweeper.remove("lost@a-1") is True
    assert sweeper.remove("lost@a-1") is False
    assert lost.accessor not in living(any_store)
    assert living(any_store) == [other.accessor]


# Acting


def test_a_model_s_key_is_read_by_the_token_of_who_acts(make: MakeGuard, any_store: SecretStore) -> None:
    guard = make(environment={"ONE": "of the environment", "ABSENT": "of the environment", "EMPTY": ""})
    assert guard.key("ONE") == "of the environment"
    with guard.acting(order("ONE", "ABSENT", "EMPTY")):
        assert guard.key("ONE") == "1"
        assert guard.key("ABSENT") == "of the environment", "the store has none"
        assert guard.key("EMPTY") is None
        assert guard.key("OTHER") is None, "not its to read"
        with guard.acting(order("OTHER", experiment="y")):
            assert guard.key("OTHER") == "2"
            assert guard.key("ONE") == "of the environment"
        assert guard.key("ONE") == "1"
        other_thread: list[str | None] = []
        thread = threading.Thread(target=lambda: other_thread.append(guard.key("ONE")))
        thread.start()
        thread.join()
        assert other_thread == ["of the environment"], "nobody acts there"
    assert guard.key("ONE") == "of the environment"
    assert len(living(any_store)) == 2


def test_the_names_of_an_engine_s_keys_are_known_to_the_worker(
    make: MakeGuard, any_store: SecretStore
) -> None:
    guard = make(keys_of={"offline": (), "openai:x": ("ONE",)}.__getitem__)
    offline = IssueInput(experiment_id="o", engines=["offline"], lease_seconds=60)
    assert guard.issue(offline).accessor is None
    with guard.acting(IssueInput(experiment_id="x", engines=["offline", "openai:x"], lease_seconds=60)):
        assert guard.key("ONE") == "1"
        assert guard.key("OTHER") is None
    assert [info.names for info in any_store.issued()] == [["ONE"]]


def test_a_store_that_is_down_is_not_covered_by_the_environment(
    make: MakeGuard, any_store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = make(environment={"ONE": "of the environment"})
    with guard.acting(order()):

        def down(name: str, token: Token) -> str:
            raise SecretsUnavailable("sealed", 3)

        monkeypatch.setattr(any_store, "read", down)
        with pytest.raises(SecretsUnavailable, match="sealed"):
            guard.key("ONE")


def test_a_sandbox_gets_what_was_asked_for_and_is_allowed(make: MakeGuard, any_store: SecretStore) -> None:
    guard = make(sandbox=["OTHER", "THIRD"])
    asks = order("ONE", sandbox=["OTHER"])
    with guard.acting(asks):
        assert guard.sandbox_environment(["OTHER"]) == {"OTHER": "2"}
        for names in (["ONE"], ["THIRD"], ["OTHER", "ONE"]):
            with pytest.raises(SecretsRefused, match="GENESIS_SANDBOX_SECRETS"):
                guard.sandbox_environment(names)
    with pytest.raises(SecretsRefused, match="GENESIS_SANDBOX_SECRETS"):
        guard.sandbox_environment(["OTHER"])
    with pytest.raises(SecretsRefused, match="asks for ONE in its sandbox"):
        guard.issue(order(sandbox=["OTHER", "ONE"], experiment="y"))
    assert [info.experiment_id for info in any_store.issued()] == ["x"]


# What the store refuses


def test_a_store_that_is_down_holds_the_undo_up_and_loses_nothing(
    make: MakeGuard, any_store: SecretStore, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = make()
    issued = guard.issue(order())

    def down(_: str) -> bool:
        raise SecretsUnavailable("sealed", 3)

    with monkeypatch.context() as patched:
        patched.setattr(any_store, "revoke", down)
        with pytest.raises(SecretsUnavailable):
            guard.revoke(ref())
    assert open_names(records) == [issued.accessor]
    assert guard.revoke(ref()).revoked == 1
    assert living(any_store) == open_names(records) == []


def test_a_policy_that_is_too_narrow_is_told_and_ends_nothing(
    make: MakeGuard,
    any_store: SecretStore,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def narrow(*_: Any) -> Any:
        raise SecretsRefused("too narrow to list")

    records.open_lease(TOKEN, "x@dead-1", "x", "dead-1", datetime.now(UTC) + timedelta(seconds=60))
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(any_store, "issued", narrow)
        guard = make()
        assert guard.issue(order()).accessor
        assert "too narrow to list" in caplog.text
        gone = guard.revoke(ref())
    assert gone.revoked == 1
    assert "too narrow" in gone.problem
    assert open_names(records) == ["x@a-1", "x@dead-1"], "for the sweep"
    assert guard.revoke(ref()).problem == ""
    assert open_names(records) == []


def test_the_activities(make: MakeGuard, any_store: SecretStore, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = make()
    steps, environment = Guarding(guard), ActivityEnvironment()
    issued = environment.run(steps.issue_token, order())
    token = guard._held["x"].token.value.get_secret_value()
    assert token not in issued.model_dump_json()
    with ExitStack() as patched:
        patch = patched.enter_context(monkeypatch.context())

        def down(*_: Any) -> Any:
            raise SecretsUnavailable("the vault is sealed", 7)

        patch.setattr(any_store, "renew", down)
        patch.setattr(any_store, "revoke", down)
        for step, given in ((steps.issue_token, order()), (steps.revoke_tokens, ref())):
            with pytest.raises(ApplicationError, match="sealed") as told:
                environment.run(step, given)
            assert told.value.next_retry_delay == timedelta(seconds=7)
            assert not told.value.non_retryable
    with pytest.raises(ApplicationError, match="GENESIS_SANDBOX_SECRETS") as refused:
        environment.run(steps.issue_token, order(sandbox=["OTHER"]))
    assert refused.value.non_retryable
    assert refused.value.type == "SecretsRefused"
    assert environment.run(steps.revoke_tokens, ref()).revoked == 1
