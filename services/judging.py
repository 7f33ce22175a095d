"""Judging a try-out: the gates asked in their order, of what a sandbox claims.

Nothing that the sandbox says is believed. Its trades are compared with the account run again from its orders, its
decisions with those of runs that could not know what came later, and both with what the definition implies.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from domain.book import compare_figures, compare_with_replay, read_book, replay
from domain.conform import compare_trades
from domain.definitions import read_rulebook
from domain.expected import expected_trades, explain_no_trades
from domain.lookahead import Peek, choose_cuts, compare, read_seen, suspicious_lines
from domain.risk_honoured import broken_limits, limits_of
from domain.scoring import ClaimError, compute_metrics, read_claims, stress_metrics, trade_rows
from schemas.gates import Gate, GateReport, GateResult, Outcome
from schemas.sandbox import TrialResult
from schemas.steps import TryOutInput
from schemas.trading import Trade
from services.artifacts import Artifacts

CODE_FILE = "strategy.py"
MOST_DETAILS = 10

RunTrial = Callable[[int | None], TrialResult]
"""Runs one trial on the first so many bars, which are all that the sandbox then holds; None for all."""


@dataclass(frozen=True)
class Tried:
    """The trials of one try-out: those on prefixes, by number of bars, then two on all of them."""

    prefixes: dict[int, TrialResult]
    whole: TrialResult
    again: TrialResult | None
    """None where the first failed."""


class Judge:
    """Asks the gates of one try-out in their order; the first that fails leaves the later ones unasked where they need
    it. An object serves once."""

    def __init__(self, order: TryOutInput, source: str, bars: pd.DataFrame, artifacts: Artifacts) -> None:
        self._order = order
        self._source = source
        self._bars = bars
        self._artifacts = artifacts
        self._rulebook = read_rulebook(order.definition)
        self._gates: list[GateResult] = [order.valid]
        self._clock = 0.0
        self._trial_seconds = 0.0
        """Of the trials that the next gate was asked of."""

    def run_trials(self, trial: RunTrial) -> Tried:
        """Prefixes first and in ascending order: what a trial leaves behind tells a later one nothing about the bars
        that it hasn't got."""
        order, bars = self._order, self._bars
        seed = hashlib.sha256(f"{order.experiment_id}:{order.commit}:{order.data}".encode()).hexdigest()
        # where the rules themselves would trade; what the strategy did isn't known yet
        implied = expected_trades(order.definition, self._rulebook, bars, order.costs)
        prefixes: dict[int, TrialResult] = {}
        for cut in choose_cuts(seed, len(bars), implied):
            prefixes[cut] = result = trial(cut)
            if _never_began(result):
                break
        whole = trial(None)
        return Tried(prefixes, whole, trial(None) if whole.error is None else None)

    def judge(self, tried: Tried) -> GateReport:
        self._clock = time.perf_counter()
        metrics = stressed = rows_digest = None
        trades = self._asked_of_claims(tried)
        if trades is not None:
            metrics = compute_metrics(trades, self._bars, self._order.costs)
            stressed = stress_metrics(trades, self._bars, self._order.costs)
            rows_digest = self._asked_of_trades(trades, tried)
        asked = {gate.gate for gate in self._gates}
        self._gates += [
            GateResult(gate=gate, outcome=Outcome.NOT_RUN, summary="an earlier gate failed")
            for gate in Gate
            if gate not in asked
        ]
        results = [tried.whole, *([tried.again] if tried.again else [])]
        printed = "\n".join(filter(None, (result.run.stdout + result.run.stderr for result in results)))
        return GateReport(
            commit=self._order.commit,
            attempt=self._order.attempt,
            gates=self._gates,
            metrics=metrics,
            stressed=stressed,
            trades=rows_digest,
            output=self._artifacts.put(printed.encode()) if printed else None,
        )

    # Claims

    def _asked_of_claims(self, tried: Tried) -> list[Trade] | None:
        """The trades, once they are known to be true."""
        if not (self._runs(tried.whole) and tried.again and self._repeats(tried.whole, tried.again)):
            return None
        self._trades(tried.whole)
        return self._verified(tried.whole)

    def _runs(self, result: TrialResult) -> bool:
        error = result.error
        if error is not None and error.stage == "load":
            self._fail(Gate.LOADS, f"{error.type}: {error.message}", _where(result))
            return False
        self._pass(Gate.LOADS, f"{self._order.entrypoint} is a Strategy")
        self._trial_seconds = result.run.seconds
        if error is not None:
            self._fail(Gate.RUNS, f"{error.type}: {error.message}", _where(result))
            return False
        self._pass(Gate.RUNS, f"{len(self._bars)} bars, start to end")
        return True

    def _repeats(self, first: TrialResult, again: TrialResult) -> bool:
        self._trial_seconds = again.run.seconds
        if again.error is not None:
            reason = f"{again.error.type}: {again.error.message}"
            self._fail(Gate.DETERMINISTIC, f"the second run failed where the first did not: {reason}", [])
        elif again.trades != first.trades:
            self._fail(Gate.DETERMINISTIC, "two runs gave different trades", _difference(first, again))
        elif again.book != first.book:
            self._fail(Gate.DETERMINISTIC, "two runs gave the same trades from different orders", [])
        else:
            self._pass(Gate.DETERMINISTIC, "two runs, the same orders and trades")
            return True
        return False

    def _trades(self, result: TrialResult) -> None:
        order = self._order
        if result.trades:
            self._pass(Gate.TRADES, f"{len(result.trades)} trades")
        elif expected := expected_trades(order.definition, self._rulebook, self._bars, order.costs):
            self._fail(Gate.TRADES, f"no trade, where the rules imply {len(expected)}", [])
        else:
            why = explain_no_trades(order.definition, self._rulebook, self._bars, order.costs)
            self._fail(Gate.TRADES, "no trade, and the rules imply none on this data", why)

    def _verified(self, result: TrialResult) -> list[Trade] | None:
        bars, costs = self._bars, self._order.costs
        try:
            trades = read_claims(result.trades or [], bars, costs)
            replayed = replay(read_book(result.book, len(bars)), bars, costs)
        except ClaimError as claim:
            self._fail(Gate.SCORE_VERIFIED, f"what the run claims can't be: {claim}", [])
            return None
        wrong = compare_with_replay(trades, replayed.trades)
        wrong += compare_figures(result.stats, replayed, bars, costs)
        if wrong:
            self._fail(Gate.SCORE_VERIFIED, wrong[0], wrong[1:])
            return None
        self._pass(
            Gate.SCORE_VERIFIED,
            f"{len(trades)} trades and the engine's figures are what the orders come to on these prices",
        )
        return trades

    # Trades

    def _asked_of_trades(self, trades: list[Trade], tried: Tried) -> str:
        """Asks the gates that need true trades; the digest of the trades as a person reads them."""
        order, bars = self._order, self._bars
        expected = expected_trades(order.definition, self._rulebook, bars, order.costs, claims=trades)
        mismatches = compare_trades(expected, trades, order.definition, self._rulebook, bars)
        if mismatches:
            texts = [str(mismatch) for mismatch in mismatches]
            self._fail(Gate.CONFORMS, texts[0], texts[1:])
        else:
            self._pass(Gate.CONFORMS, f"all {len(expected)} trades are those that the rules imply")
        self._knows_no_future(trades, tried)
        self._honours_limits(trades)
        rows = trade_rows(trades, expected, bars, order.costs)
        return self._artifacts.put_json([row.model_dump(mode="json") for row in rows])

    def _knows_no_future(self, trades: Sequence[Trade], tried: Tried) -> None:
        self._trial_seconds = sum(result.run.seconds for result in tried.prefixes.values())
        try:
            asked, peeks = look_ahead(tried, self._bars, self._order)
        except ClaimError as claim:
            self._fail(Gate.NO_LOOKAHEAD, f"with fewer bars, the run claims what can't be: {claim}", [])
            return
        if peeks:
            indicators = {peek.indicator for peek in peeks if peek.indicator}
            lines = [f"{CODE_FILE}, {line}" for line in suspicious_lines(self._source, indicators)]
            texts = [peek.text for peek in peeks]
            room = MOST_DETAILS - min(len(lines), 4)
            self._fail(Gate.NO_LOOKAHEAD, texts[0], [*texts[1:room], *lines])
        elif stopped := [(cut, result) for cut, result in tried.prefixes.items() if _never_began(result)]:
            cut, result = stopped[0]
            assert result.error is not None
            self._fail(
                Gate.NO_LOOKAHEAD,
                f"with the first {cut} bars, {result.error.type}: {result.error.message}; with all bars it runs to its "
                "end, so that nothing shows what it decides on fewer",
                _where(result),
            )
        elif asked:
            cuts = ", ".join(map(str, asked))
            self._pass(Gate.NO_LOOKAHEAD, f"the same decisions with the first {cuts} bars as with all")
        else:
            self._pass(
                Gate.NO_LOOKAHEAD, "nothing was decided early enough to be asked of a part of the data"
            )

    def _honours_limits(self, trades: Sequence[Trade]) -> None:
        order = self._order
        breaches = broken_limits(trades, order.definition, self._rulebook, self._bars, order.costs)
        if breaches:
            texts = [str(breach) for breach in breaches]
            self._fail(Gate.HONOURS_RISK_LIMITS, texts[0], texts[1:])
        else:
            checked = ", ".join(limits_of(order.definition))
            self._pass(Gate.HONOURS_RISK_LIMITS, f"{len(trades)} trades keep {checked}")

    # Results

    def _pass(self, gate: Gate, summary: str) -> None:
        self._gates.append(self._result(gate, Outcome.PASSED, summary, []))

    def _fail(self, gate: Gate, summary: str, details: list[str]) -> None:
        self._gates.append(self._result(gate, Outcome.FAILED, summary, details))

    def _result(self, gate: Gate, outcome: Outcome, summary: str, details: list[str]) -> GateResult:
        now = time.perf_counter()
        spent, self._clock = now - self._clock + self._trial_seconds, now
        self._trial_seconds, seconds = 0.0, round(spent, 4)
        return GateResult(
            gate=gate,
            outcome=outcome,
            summary=summary[:500],
            details=[d[:1000] for d in details[:MOST_DETAILS]],
            seconds=seconds,
        )


def look_ahead(tried: Tried, bars: pd.DataFrame, order: TryOutInput) -> tuple[list[int], list[Peek]]:
    """The cuts that could say something, and what the future changed: at the first cut that shows any.

    Raises ClaimError where a run claims what can't be.
    """
    whole = read_seen(tried.whole, bars, order.costs)
    asked: list[int] = []
    for cut, result in tried.prefixes.items():
        if _never_began(result):
            continue
        part = bars.iloc[:cut]
        peeks = compare(read_seen(result, part, order.costs), whole, bars)
        if peeks:
            return [*asked, cut], peeks
        if peeks is not None:
            asked.append(cut)
    return asked, []


def _never_began(result: TrialResult) -> bool:
    """Whether a trial says nothing of its bars, and may have cost all the time it had: the next would, too."""
    return result.error is not None and (result.error.stage == "load" or result.run.timed_out)


def _where(result: TrialResult) -> list[str]:
    line = result.error.line if result.error else None
    return ([f"{CODE_FILE}, line {line}"] if line else []) + _tail(result.run.stderr)


def _tail(text: str, lines: int = 5) -> list[str]:
    return [line for line in text.splitlines() if line.strip()][-lines:]


def _difference(first: TrialResult, again: TrialResult) -> list[str]:
    one_run, other_run = first.trades or [], again.trades or []
    for number, (one, other) in enumerate(zip(one_run, other_run, strict=False), start=1):
        if one != other:
            return [f"trade {number}: {json.dumps(one)}", f"then: {json.dumps(other)}"]
    return [f"{len(one_run)} trades, then {len(other_run)}"]
