"""Sweeping: finding what experiments hold, and removing what no open experiment holds.

Every method may be repeated: what is gone already is no error, and isn't told as removed.
"""

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from schemas.experiment import ExperimentStatus
from schemas.records import Event, ExperimentRow, LeaseRow
from schemas.sandbox import ProviderName, SandboxInfo
from schemas.sweep import Holding, Holdings, Orphan, Removals, RemoveInput, SweepRequest, Swept
from services.authoring import BRANCH
from services.budget import Budgets
from services.library import Library, LibraryError, LibraryUnavailable
from services.line import TURN
from services.records import Records, RecordsError
from services.sandboxes import SandboxManager
from services.sandboxes.leased import LEASE
from services.secrets import SecretsError, SecretsUnavailable
from services.secrets.guard import TOKEN, Guard
from services.trying import EXPERIMENT, HOST, SANDBOX

RECORD, RESERVATION = "record", "reservation"
SWEEP = "sweep"
"""The actor of its events."""
LATELY = timedelta(days=2)
"""A worker that leased a sandbox within this time is asked for its sandboxes."""
MOST = 500
"""Holdings in one sweep: they pass through the run's history."""
CUT_OFF = ("terminated", "timed_out")
"""How a run ends without having closed its record."""

Remover = Callable[[str], bool]
"""Removes the resource of that name; whether there was one. Idempotent."""


class Sweeper:
    """`removers` know how to remove each kind of lease but sandboxes; a kind without one is kept and told.

    With a `guard`, tokens are looked for and revoked too; with `budgets`, what is reserved of them is released.
    """

    def __init__(
        self,
        records: Records,
        library: Library,
        sandboxes: SandboxManager,
        host: str,
        removers: Mapping[str, Remover] | None = None,
        guard: Guard | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self._records = records
        self._library = library
        self._sandboxes = sandboxes
        self._host = host
        self._guard = guard
        self._budgets = budgets
        self._removers: dict[str, Remover] = {
            BRANCH: library.delete_branch,
            TURN: lambda name: False,  # the lease is all there is of it
            **({TOKEN: guard.remove} if guard else {}),
            **({RESERVATION: lambda name: budgets.release(name) > 0} if budgets else {}),
            **(removers or {}),
        }

    # -- looking

    def look(self, request: SweepRequest) -> Holdings:
        """What the records, the library and the store of secrets show of what is older than the grace."""
        now = datetime.now(UTC)
        before = now - timedelta(seconds=request.grace)
        leases = [lease for lease in self._records.leases(open_only=True) if lease.created < before]
        leased = {(lease.kind, lease.name): lease for lease in leases}
        others: dict[tuple[str, str], str] = {}  # whose, by kind and name
        problems = []
        try:
            for branch in self._library.branches():
                if branch.committed_at < before:
                    others[BRANCH, branch.name] = branch.experiment_id
        except (LibraryError, LibraryUnavailable) as error:
            problems.append(f"the library was not looked at: {error}")
        try:
            for token in self._guard.holdings() if self._guard else ():
                if token.issued < before:
                    others[TOKEN, token.accessor] = token.experiment_id
        except (SecretsError, SecretsUnavailable) as error:
            problems.append(f"tokens were not looked at: {error}")
        for experiment_id in self._budgets.holders() if self._budgets else ():
            others[RESERVATION, experiment_id] = experiment_id
        for row in self._records.jobs():
            if row.opened < before:
                others[RECORD, row.experiment_id] = row.experiment_id
        found = [*leased, *(key for key in others if key not in leased)]
        some = found
        if len(found) > MOST:  # others each time: those that are kept would stand before the rest for ever
            some = random.sample(found, MOST)
        return Holdings(
            found=[
                _leased(leased[key]) if key in leased else self._unleased(*key, others[key]) for key in some
            ],
            hosts=self._records.lease_hosts(SANDBOX, now - LATELY),
            more=len(found) - len(some),
            problems=problems,
        )

    def look_at_host(self, request: SweepRequest) -> Holdings:
        """The sandboxes that experiments hold in this worker; those in stock are nobody's."""
        before = datetime.now(UTC).timestamp() - request.grace
        mine = [info for info in self._sandboxes.list({HOST: self._host}) if info.created < before]
        found = [self._in_sandbox(info) for info in mine if info.labels.get(EXPERIMENT)]
        return Holdings(found=found[:MOST], more=max(0, len(found) - MOST))

    def _in_sandbox(self, info: SandboxInfo) -> Holding:
        holding = self._unleased(SANDBOX, info.labels.get(LEASE, info.sandbox_id), info.labels[EXPERIMENT])
        return holding.model_copy(update={"host": self._host})

    def _unleased(self, kind: str, name: str, experiment_id: str) -> Holding:
        """Something that was found by itself: it is bound to the last lease that its experiment had."""
        ends = [lease.expires for lease in self._records.leases(open_only=False, experiment=experiment_id)]
        return Holding(
            kind=kind, name=name, experiment_id=experiment_id, leased_until=max(ends, default=None)
        )

    # -- removing

    def remove_from_host(self, order: RemoveInput) -> Removals:
        """Destroy orphaned sandboxes of this worker, and those of this machine whose worker has ended."""
        removed = []
        for info in self._sandboxes.cleanup():
            name, whose = info.labels.get(LEASE, info.sandbox_id), info.labels.get(EXPERIMENT, "")
            removed.append(_swept(SANDBOX, name, whose, self._host, "the process that held it has ended"))
            self._note_end(removed[-1], info.provider, time.time() - info.created)
        for orphan in order.orphans:
            holding = orphan.holding
            ended = self._sandboxes.release(holding.name)
            if self._records.release_lease(SANDBOX, holding.name) or ended:
                removed.append(_told(holding, orphan.reason))
            if ended:
                self._note_end(removed[-1], ended.provider, ended.seconds, ended.peak_memory_mb)
        return Removals(removed=removed)

    def _note_end(
        self, gone: Swept, provider: ProviderName, seconds: float, peak_memory_mb: float | None = None
    ) -> None:
        """The sandbox's end in the history of its experiment, where the records know that."""
        known = (
            self._records.audit(experiment=gone.experiment_id, limit=100_000) if gone.experiment_id else []
        )
        if not known:
            return
        now = datetime.now(UTC)
        event = Event(
            event_id=f"{gone.experiment_id}#swept-{gone.name}-{now:%Y%m%dT%H%M%S.%f}",
            experiment_id=gone.experiment_id,
            # beside the last one, since the run may live and have its own next one
            sequence=max(event.sequence for event in known),
            at=now,
            event="sandbox_cleaned_up",
            actor=SWEEP,
            data={
                "sandbox_id": gone.name,
                "provider": provider,
                "reason": f"swept: {gone.reason}",
                "seconds": round(seconds, 3),
                "peak_memory_mb": peak_memory_mb,
            },
        )
        self._records.write([event])

    def remove(self, order: RemoveInput) -> Removals:
        """Remove everything else: branches and other resources, leases of what is gone, open records."""
        removed: list[Swept] = []
        kept: list[Swept] = []
        for orphan in order.orphans:
            try:
                self._remove(orphan, removed, kept)
            except (LibraryError, RecordsError, SecretsError, SecretsUnavailable) as error:
                kept.append(_told(orphan.holding, f"{orphan.reason}, but it can't be removed: {error}"))
        return Removals(removed=removed, kept=kept)

    def _remove(self, orphan: Orphan, removed: list[Swept], kept: list[Swept]) -> None:
        holding = orphan.holding
        if holding.kind == RECORD:
            self._close(orphan, removed, kept)
        elif holding.kind == SANDBOX:
            reason = f"{orphan.reason}; its worker {holding.host} doesn't answer: only the lease was there to remove"
            if self._records.release_lease(SANDBOX, holding.name):
                removed.append(_told(holding, reason))
        elif remover := self._removers.get(holding.kind):
            existed = remover(holding.name)
            if self._records.release_lease(holding.kind, holding.name) or existed:
                removed.append(_told(holding, orphan.reason))
        else:
            kept.append(_told(holding, f"{orphan.reason}, but nothing here can remove a {holding.kind}"))

    def _close(self, orphan: Orphan, removed: list[Swept], kept: list[Swept]) -> None:
        """End the record of a run that was cut off; others close theirs themselves."""
        row = self._records.experiment(orphan.holding.experiment_id)
        if row is None or row.closed is not None:
            return
        if orphan.run.state == "ended" and orphan.run.how not in CUT_OFF:
            reason = f"{orphan.reason}, but its last events are not on record; see the run's details"
            kept.append(_told(orphan.holding, reason))
            return
        self._records.write(self._ending(orphan, row))
        removed.append(_told(orphan.holding, f"{orphan.reason}; the record was closed"))

    def _ending(self, orphan: Orphan, row: ExperimentRow) -> list[Event]:
        """The events that close a record: what was merged is merged, whatever became of the run."""
        known = self._records.audit(experiment=row.experiment_id, limit=100_000)
        last = max(event.sequence for event in known)
        how = orphan.run.how.replace("_", " ") or "lost: Temporal knows no such run"
        ended = orphan.run.ended or orphan.holding.leased_until
        its_own = max(
            event.at for event in known if event.actor != SWEEP
        )  # the end of its sandbox came after its own
        at = its_own if ended is None else max(ended, its_own)

        def event(number: int, name: str, status: ExperimentStatus | None, **data: str) -> Event:
            return Event(
                event_id=f"{row.experiment_id}#swept-{number}",
                experiment_id=row.experiment_id,
                sequence=last + number,
                at=at,
                event=name,
                actor=SWEEP,
                status=status,
                data=data,
            )

        if row.status is ExperimentStatus.MERGING and (merge := self._merge_of(row)):
            commit, tag = merge
            return [
                event(1, "merged", ExperimentStatus.MERGED, commit=commit, tag=tag, reason=row.reason or ""),
                event(2, "swept", None, reason=f"{how}, after the merge"),
            ]
        return [event(1, "swept", ExperimentStatus.FAILED, reason=how)]

    def _merge_of(self, row: ExperimentRow) -> tuple[str, str] | None:
        if row.strategy not in {info.name for info in self._library.strategies()}:
            return None
        for version in self._library.versions(row.strategy):
            if version.experiment_id == row.experiment_id:
                return version.commit, version.tag
        return None


def _leased(lease: LeaseRow) -> Holding:
    return Holding(
        kind=lease.kind,
        name=lease.name,
        experiment_id=lease.experiment_id,
        host=lease.host,
        leased_until=lease.expires,
    )


def _told(holding: Holding, reason: str) -> Swept:
    return _swept(holding.kind, holding.name, holding.experiment_id, holding.host, reason)


def _swept(kind: str, name: str, experiment_id: str, host: str, reason: str) -> Swept:
    return Swept(kind=kind, name=name, experiment_id=experiment_id, host=host, reason=reason)
