"""Trying code out: trials in a sandbox, judged outside it.

Nothing that the sandbox says is believed: it claims trades; bars, prices and metrics are recomputed here, and the
trades are compared with those that the definition's own rules imply.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd

from domain.conform import compare_trades
from domain.definitions import DefinitionError, read_rulebook
from domain.expected import expected_trades, explain_no_trades
from domain.scoring import ClaimError, compute_metrics, read_claims, trade_rows
from schemas.gates import Gate, GateReport, GateResult, Outcome
from schemas.sandbox import TrialOrder, TrialResult
from schemas.steps import LeaseInput, SandboxGone, SandboxLease, SandboxRef, TryOutInput
from schemas.trading import Trade
from services.artifacts import ArtifactMissing, Artifacts
from services.authoring import code_path
from services.library import Library, LibraryError
from services.market_data import MarketData
from services.records import Records
from services.sandboxes import SandboxLost, SandboxManager, SandboxUnavailable

SANDBOX = "sandbox"
CODE_FILE = "strategy.py"
DATA_FILE = "data.csv"
MOST_DETAILS = 10


class TryOuts:
    """Leases sandboxes of this host and judges what runs in them."""

    permanent_errors: tuple[type[Exception], ...] = (
        SandboxLost,
        SandboxUnavailable,
        LibraryError,
        DefinitionError,
        ArtifactMissing,
    )

    def __init__(
        self,
        sandboxes: SandboxManager,
        library: Library,
        market: MarketData,
        artifacts: Artifacts,
        records: Records,
        host: str,
        queue: str,
    ) -> None:
        self._sandboxes = sandboxes
        self._library = library
        self._market = market
        self._artifacts = artifacts
        self._records = records
        self._host = host
        self._queue = queue

    def lease(self, order: LeaseInput, on_wait: Callable[[], None]) -> SandboxLease:
        """Row first, then the sandbox; the same round finds its own again."""
        name = f"{order.experiment_id}.{order.round}"
        expires = datetime.now(UTC) + timedelta(seconds=order.lease_seconds)
        self._records.open_lease(SANDBOX, name, order.experiment_id, self._host, expires)
        sandbox = self._sandboxes.lease(
            name,
            provider=order.provider,
            limits=order.limits,
            labels={"genesis.experiment": order.experiment_id},
            on_wait=on_wait,
        )
        return SandboxLease(
            sandbox_id=name,
            provider=sandbox.info.provider,
            image=self._sandboxes.image(sandbox.info.provider),
            queue=self._queue,
        )

    def destroy(self, ref: SandboxRef) -> SandboxGone:
        """Every sandbox that the experiment leased here; absent ones are no error."""
        existed, seconds, peak = False, 0.0, None
        for lease in self._records.leases(open_only=True, experiment=ref.experiment_id):
            if lease.kind != SANDBOX:
                continue
            released = self._sandboxes.release(lease.name)
            if released is not None:
                existed, seconds, peak = True, released.seconds, released.peak_memory_mb
            self._records.release_lease(SANDBOX, lease.name)
        return SandboxGone(existed=existed, seconds=seconds, peak_memory_mb=peak)

    def try_out(self, order: TryOutInput, on_wait: Callable[[], None]) -> GateReport:
        """Ask every gate. Failing gates are values; SandboxLost asks for another sandbox."""
        sandbox = self._sandboxes.get(order.sandbox_id)
        code = self._library.read(order.commit, code_path(order.definition.name))
        sandbox.put({CODE_FILE: code.encode(), DATA_FILE: self._artifacts.get(order.data)})

        def trial() -> TrialResult:
            return sandbox.trial(
                TrialOrder(
                    code=CODE_FILE,
                    entrypoint=order.entrypoint,
                    data=DATA_FILE,
                    cash=order.costs.cash,
                    commission=order.costs.commission,
                ),
                timeout=order.trial_timeout,
                on_wait=on_wait,
            )

        return _Judge(order, self._market.bars(order.data), self._artifacts).judge(trial)


class _Judge:
    """Asks the gates of one try-out in their order; the first that fails leaves the later ones unasked."""

    def __init__(self, order: TryOutInput, bars: pd.DataFrame, artifacts: Artifacts) -> None:
        self._order = order
        self._bars = bars
        self._artifacts = artifacts
        self._gates: list[GateResult] = [order.valid]
        self._outputs: list[str] = []
        self._clock = time.perf_counter()

    def judge(self, trial: Callable[[], TrialResult]) -> GateReport:
        trades = self._ran(trial())
        if trades is not None and not self._asked_again(trial(), trades):
            trades = None
        return self._report(trades)

    def _ran(self, result: TrialResult) -> list[Trade] | None:
        self._outputs.append(_printed(result))
        error = result.error
        if error is not None and error.stage == "load":
            self._fail(Gate.LOADS, f"{error.type}: {error.message}", _where(result))
            return None
        self._pass(Gate.LOADS, f"{self._order.entrypoint} is a Strategy")
        if error is not None:
            self._fail(Gate.RUNS, f"{error.type}: {error.message}", _where(result))
            return None
        try:
            trades = read_claims(result.trades or [], self._bars, self._order.costs)
        except ClaimError as claim:
            self._fail(Gate.RUNS, f"what the run claims can't be: {claim}", [])
            return None
        self._pass(Gate.RUNS, f"{len(self._bars)} bars, start to end")
        return trades

    def _asked_again(self, result: TrialResult, first: list[Trade]) -> bool:
        self._outputs.append(_printed(result))
        if result.error is not None:
            reason = f"{result.error.type}: {result.error.message}"
            self._fail(Gate.DETERMINISTIC, f"the second run failed where the first did not: {reason}", [])
            return False
        try:
            again = read_claims(result.trades or [], self._bars, self._order.costs)
        except ClaimError as claim:
            self._fail(Gate.DETERMINISTIC, f"the second run claims what can't be: {claim}", [])
            return False
        if again != first:
            self._fail(Gate.DETERMINISTIC, "two runs gave different trades", _difference(first, again))
            return False
        self._pass(Gate.DETERMINISTIC, "two runs, the same trades")
        return True

    def _report(self, trades: list[Trade] | None) -> GateReport:
        order, bars = self._order, self._bars
        metrics = rows_digest = None
        if trades is not None:
            rulebook = read_rulebook(order.definition)
            expected = expected_trades(order.definition, rulebook, bars, order.costs)
            metrics = compute_metrics(trades, bars, order.costs)
            rows = trade_rows(trades, expected, bars, order.costs)
            rows_digest = self._artifacts.put_json([row.model_dump(mode="json") for row in rows])
            if trades:
                self._pass(Gate.TRADES, f"{len(trades)} trades")
            elif expected:
                self._fail(Gate.TRADES, f"no trade, where the rules imply {len(expected)}", [])
            else:
                why = explain_no_trades(order.definition, rulebook, bars)
                self._fail(Gate.TRADES, "no trade, and the rules imply none on this data", why)
            mismatches = compare_trades(expected, trades, order.definition, rulebook, bars)
            if mismatches:
                texts = [str(mismatch) for mismatch in mismatches]
                self._fail(Gate.CONFORMS, texts[0], texts[1:])
            else:
                self._pass(Gate.CONFORMS, f"all {len(expected)} trades are those that the rules imply")
        asked = {gate.gate for gate in self._gates}
        for gate in Gate:
            if gate not in asked:
                self._gates.append(
                    GateResult(gate=gate, outcome=Outcome.NOT_RUN, summary="an earlier gate failed")
                )
        printed = "\n".join(filter(None, self._outputs))
        return GateReport(
            commit=order.commit,
            attempt=order.attempt,
            gates=self._gates,
            metrics=metrics,
            trades=rows_digest,
            output=self._artifacts.put(printed.encode()) if printed else None,
        )

    def _pass(self, gate: Gate, summary: str) -> None:
        self._gates.append(self._result(gate, Outcome.PASSED, summary, []))

    def _fail(self, gate: Gate, summary: str, details: list[str]) -> None:
        self._gates.append(self._result(gate, Outcome.FAILED, summary, details))

    def _result(self, gate: Gate, outcome: Outcome, summary: str, details: list[str]) -> GateResult:
        now = time.perf_counter()
        seconds, self._clock = round(now - self._clock, 4), now
        return GateResult(
            gate=gate,
            outcome=outcome,
            summary=summary[:500],
            details=[d[:1000] for d in details[:MOST_DETAILS]],
            seconds=seconds,
        )


def _where(result: TrialResult) -> list[str]:
    line = result.error.line if result.error else None
    return ([f"strategy.py, line {line}"] if line else []) + _tail(result.run.stderr)


def _tail(text: str, lines: int = 5) -> list[str]:
    return [line for line in text.splitlines() if line.strip()][-lines:]


def _printed(result: TrialResult) -> str:
    return result.run.stdout + result.run.stderr


def _difference(first: list[Trade], again: list[Trade]) -> list[str]:
    for number, (one, other) in enumerate(zip(first, again, strict=False), start=1):
        if one != other:
            return [
                f"trade {number}: {json.dumps(one.model_dump())}",
                f"then: {json.dumps(other.model_dump())}",
            ]
    return [f"{len(first)} trades, then {len(again)}"]
