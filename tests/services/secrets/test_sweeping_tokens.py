"""The sweep sees tokens, leased or not, and ends those of experiments that are no longer open."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.secrets import Grant, IssueInput
from schemas.sweep import Orphan, RemoveInput, RunState, SweepRequest
from services.library import Library
from services.records import Records
from services.sandboxes import SandboxManager
from services.secrets import SecretStore, SecretsUnavailable
from services.secrets.guard import TOKEN, Guard
from services.sweeping import Sweeper


@pytest.fixture
def guard(any_store: SecretStore, records: Records) -> Guard:
    return Guard(any_store, records, "a-1")


@pytest.fixture
def sweeper(guard: Guard, records: Records, tmp_path: Path) -> Iterator[Sweeper]:
    with SandboxManager([], tmp_path / "leases") as sandboxes:
        yield Sweeper(records, Library(str(tmp_path / "library.git")), sandboxes, "a-1", guard=guard)


def test_tokens_are_found_and_ended(
    sweeper: Sweeper, guard: Guard, any_store: SecretStore, records: Records
) -> None:
    leased = guard.issue(IssueInput(experiment_id="x", names=["ONE"], lease_seconds=60)).accessor
    lost = any_store.issue(Grant(experiment_id="y", names=["ONE"], seconds=60)).accessor
    records.open_lease(TOKEN, "z@dead-1", "z", "dead-1", datetime.now(UTC) + timedelta(seconds=60))
    unnamed = any_store.issue(Grant(experiment_id="z", names=["ONE"], seconds=60)).accessor
    young = {holding.name for holding in sweeper.look(SweepRequest(grace=30)).found}
    assert young == set(), "what is young is left alone"
    found = {holding.name: holding for holding in sweeper.look(SweepRequest(grace=0)).found}
    assert {name: one.experiment_id for name, one in found.items()} == {
        leased: "x",
        lost: "y",
        "z@dead-1": "z",
        unnamed: "z",
    }
    assert found[str(leased)].leased_until
    assert found[lost].leased_until is None
    ended = [
        Orphan(
            holding=holding,
            reason="its run has ended",
            run=RunState(experiment_id=holding.experiment_id, state="ended", how="completed"),
        )
        for holding in found.values()
        if holding.experiment_id != "y"
    ]
    removals = sweeper.remove(RemoveInput(orphans=ended))
    assert removals.kept == []
    assert {one.name for one in removals.removed} >= {leased, "z@dead-1"}
    assert [info.accessor for info in any_store.issued()] == [lost]
    assert records.leases(kind=TOKEN) == []
    assert sweeper.remove(RemoveInput(orphans=ended)).removed == []


def test_a_store_that_is_down_keeps_nothing_else_from_being_swept(
    sweeper: Sweeper, guard: Guard, any_store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.issue(IssueInput(experiment_id="x", names=["ONE"], lease_seconds=60))

    def down(*_: object) -> None:
        raise SecretsUnavailable("the vault is sealed")

    monkeypatch.setattr(any_store, "issued", down)
    monkeypatch.setattr(any_store, "revoke", down)
    holdings = sweeper.look(SweepRequest(grace=0))
    assert [holding.kind for holding in holdings.found] == [TOKEN]
    assert holdings.problems == ["tokens were not looked at: the vault is sealed"]
    run = RunState(experiment_id="x", state="ended", how="completed")
    removals = sweeper.remove(
        RemoveInput(orphans=[Orphan(holding=holdings.found[0], reason="its run has ended", run=run)])
    )
    assert removals.removed == []
    assert "the vault is sealed" in removals.kept[0].reason
