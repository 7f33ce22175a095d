"""Trying code out: sandboxes leased and given back, and the trials in them, which are judged outside (judging)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from domain.definitions import DefinitionError
from schemas.gates import GateReport
from schemas.holdout import HoldoutReport
from schemas.sandbox import RunResult, TrialError, TrialOrder, TrialResult
from schemas.steps import (
    HoldoutInput,
    LeaseAnswer,
    LeaseInput,
    SandboxesBusy,
    SandboxGone,
    SandboxLease,
    SandboxRef,
    TryOutInput,
)
from services.artifacts import ArtifactMissing, Artifacts
from services.authoring import code_path
from services.holdout import HoldoutJudge
from services.hosts import machine_of
from services.judging import CODE_FILE, Judge, RunTrial
from services.library import Library, LibraryError
from services.line import TURN, Line
from services.market_data import MarketData
from services.preserving import survey
from services.records import Records
from services.sandboxes import (
    Sandbox,
    SandboxesFull,
    SandboxLost,
    SandboxManager,
    SandboxRefusal,
    SandboxUnavailable,
)
from services.secrets import SecretsError, SecretsRefused, SecretsUnavailable
from services.secrets.guard import Guard
from services.secrets.redaction import Redaction, redact_trial

SANDBOX = "sandbox"
EXPERIMENT, HOST = "genesis.experiment", "genesis.host"
"""Labels of a leased sandbox: whose it is, and the worker that holds it (services/hosts.py)."""
DATA_FILE = "data.csv"


class TryOuts:
    """Leases sandboxes of this host and judges what runs in them."""

    permanent_errors: tuple[type[Exception], ...] = (
        SandboxLost,
        SandboxUnavailable,
        LibraryError,
        DefinitionError,
        ArtifactMissing,
        SecretsError,
    )
    passing_errors: tuple[type[Exception], ...] = (SecretsUnavailable,)

    def __init__(
        self,
        sandboxes: SandboxManager,
        library: Library,
        market: MarketData,
        artifacts: Artifacts,
        records: Records,
        host: str,
        queue: str,
        guard: Guard | None = None,
    ) -> None:
        self._sandboxes = sandboxes
        self._library = library
        self._market = market
        self._artifacts = artifacts
        self._records = records
        self._host = host
        self._queue = queue
        self._guard = guard
        self._line = Line(records)
        self._spent: set[str] = set()
        """Sandboxes that have seen code run: what it left there must not reach another commit's trials."""

    def lease(self, order: LeaseInput, on_wait: Callable[[], None]) -> LeaseAnswer:
        """Row first, then the sandbox; the same round finds its own again. Where there is no room for it, a place in
        the line: who came first is first."""
        name = f"{order.experiment_id}.{order.round}"
        stands = False
        if not self._sandboxes.holds(name):
            for earlier in range(1, order.round):  # lost, and yet it may take the room
                self._sandboxes.release(f"{order.experiment_id}.{earlier}")
            ahead, stands = self._line.look(name)
            room = self._sandboxes.room()
            if room is not None and ahead >= room:
                return self._busy(name, order.experiment_id)
        expires = datetime.now(UTC) + timedelta(seconds=order.lease_seconds)
        self._records.open_lease(SANDBOX, name, order.experiment_id, self._host, expires)
        try:
            sandbox = self._sandboxes.lease(
                name,
                provider=order.provider,
                limits=order.limits,
                labels={EXPERIMENT: order.experiment_id, HOST: self._host},
                on_wait=on_wait,
            )
        except SandboxesFull:
            return self._busy(name, order.experiment_id)
        if stands:
            self._line.leave(name)
        return SandboxLease(
            sandbox_id=name,
            provider=sandbox.info.provider,
            image=self._sandboxes.image(sandbox.info.provider),
            queue=self._queue,
        )

    def _busy(self, name: str, experiment_id: str) -> SandboxesBusy:
        place = self._line.stand(name, experiment_id, self._host)
        return SandboxesBusy(place=place, host=machine_of(self._host), most=self._sandboxes.most or 1)

    def destroy(self, ref: SandboxRef) -> SandboxGone:
        """Every sandbox that the experiment leased here, and its turn; absent ones are no error.

        The lease of one on another machine stays open: only that machine, or the sweep, knows that it is gone.
        """
        existed, peak = False, None
        for lease in self._records.leases(open_only=True, experiment=ref.experiment_id):
            if lease.kind == TURN:
                self._line.leave(lease.name)
            if lease.kind != SANDBOX:
                continue
            released = self._sandboxes.release(lease.name)
            if released is not None:
                existed, peak = True, released.peak_memory_mb
            if machine_of(lease.host) == machine_of(self._host):
                self._records.release_lease(SANDBOX, lease.name)
            self._spent.discard(lease.name)
        return SandboxGone(existed=existed, peak_memory_mb=peak)

    def try_out(self, order: TryOutInput, on_wait: Callable[[], None]) -> GateReport:
        """Ask every gate. Failing gates are values; SandboxLost asks for another sandbox."""
        sandbox = self._unspent(order, on_wait)
        code = self._library.read(order.commit, code_path(order.definition.name))
        secrets = self._secrets(order)
        trial = trials_in(sandbox, code, self._artifacts.get(order.data), order, on_wait, secrets)
        judge = Judge(order, code, self._market.bars(order.data), self._artifacts)
        report = judge.judge(judge.run_trials(trial))
        left = survey(
            sandbox,
            self._artifacts,
            keep=not report.passed,
            known={DATA_FILE},
            redact=Redaction(secrets).data,
        )
        return (
            report.model_copy(update={"workspace_bytes": left.size, "workspace": left.kept})
            if left
            else report
        )

    def open_holdout(self, order: HoldoutInput, on_wait: Callable[[], None]) -> HoldoutReport:
        """One run on all bars, in a sandbox where nothing ran before. Failing gates are values, as in a try-out."""
        sandbox = self._unspent(order, on_wait)
        code = self._library.read(order.commit, code_path(order.definition.name))
        trial = trials_in(
            sandbox, code, self._artifacts.get(order.data), order, on_wait, self._secrets(order)
        )
        judge = HoldoutJudge(order, code, self._market.bars(order.data), self._artifacts)
        return judge.judge_opening(trial(None))

    def _secrets(self, order: TryOutInput) -> dict[str, str]:
        """What the definition asks for, for the environment of this trial alone."""
        names = order.definition.secrets
        if not names:
            return {}
        if self._guard is None or order.access is None:
            raise SecretsRefused(f"{', '.join(names)}: this worker reads no secrets")
        with self._guard.acting(order.access):
            return self._guard.sandbox_environment(names)

    def _unspent(self, order: TryOutInput, on_wait: Callable[[], None]) -> Sandbox:
        """The leased sandbox; once code has run in it, a new one in its place, under the same lease.

        A strategy that was run on all the data could leave it behind for the runs that must not know it.
        """
        sandbox = self._sandboxes.get(order.sandbox_id)
        if order.sandbox_id in self._spent:
            sandbox = self._sandboxes.renew(order.sandbox_id, on_wait=on_wait)
        self._spent.add(order.sandbox_id)
        return sandbox


def trials_in(
    sandbox: Sandbox,
    code: str,
    data: bytes,
    order: TryOutInput,
    on_wait: Callable[[], None] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> RunTrial:
    """Trials of `code` that hold only the first so many bars of `data`, a canonical CSV: the rest isn't there.

    Code and data are put anew each time; where the strategy made that impossible, this is its failure.
    """
    lines = data.splitlines(keepends=True)

    def trial(bars: int | None) -> TrialResult:
        held = data if bars is None else b"".join(lines[: bars + 1])
        asked = TrialOrder(
            code=CODE_FILE,
            entrypoint=order.entrypoint,
            data=DATA_FILE,
            cash=order.costs.cash,
            commission=order.costs.commission,
            spread=order.costs.at_entry,
            finalize=bars is None,
        )
        try:
            sandbox.put({CODE_FILE: code.encode(), DATA_FILE: held})
            result = sandbox.trial(asked, timeout=order.trial_timeout, env=secrets, on_wait=on_wait)
        except SandboxRefusal as refusal:
            problem = TrialError(stage="run", type="Spoilt", message=f"its sandbox was spoilt: {refusal}")
            result = TrialResult(run=RunResult(exit_code=None), error=problem)
        return redact_trial(result, secrets) if secrets else result

    return trial
