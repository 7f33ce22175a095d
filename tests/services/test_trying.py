"""Verdicts on real trials in a real sandbox: honest strategies pass, cheating ones don't, and each is told why."""

import functools
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.compiler import compile_strategy
from domain.definitions import check_definition
from schemas.gates import Gate, GateReport, GateResult, Outcome
from schemas.sandbox import Limits
from schemas.steps import LeaseInput, SandboxRef, TryOutInput
from schemas.trading import Costs
from services.artifacts import Artifacts
from services.authoring import code_path
from services.judging import Judge
from services.library import Library
from services.market_data import MarketData
from services.records import Records
from services.sandboxes import Sandbox, SandboxManager, default_providers
from services.sandboxes.docker import DEFAULT_IMAGE
from services.trying import TryOuts, trials_in
from tests.services.sandboxes.conftest import PROVIDERS
from tests.support.needs import checked

VERDICTS = Path(__file__).parents[1] / "data" / "verdict"
HONEST = sorted((VERDICTS / "honest").glob("*.py"))
CHEATING = sorted((VERDICTS / "cheating").glob("*.py"))
COSTS = Costs(commission=0.001, spread=0.0005, slippage=0.0002)
PASSED, FAILED, NOT_RUN = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN
RSI: dict[str, Any] = {
    "name": "Test",
    "symbol": "GOOG",
    "entry_rules": ["RSI(14) < 40"],
    "exit_rules": ["RSI(14) > 60"],
    "position_sizing": {"value": 90},
}
# providers make the same trades (test_sandbox_trials), and the verdict on them is made outside
ON_ONE = pytest.mark.parametrize("sandbox", PROVIDERS[:1], indirect=True)

Ask = Callable[..., GateReport]


@pytest.fixture(scope="module", params=PROVIDERS)
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    (provider,) = default_providers(
        tmp_path_factory.mktemp("state"), order=[request.param], image=DEFAULT_IMAGE
    )
    checked(provider)
    yield provider.create(f"verdict-{uuid.uuid4().hex[:8]}", limits=Limits(), labels={})
    provider.close()


@pytest.fixture(scope="module")
def ask(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """The report on a strategy `S`, as the worker makes it, with the policy off."""
    artifacts = Artifacts(tmp_path_factory.mktemp("artifacts"))
    market = MarketData(artifacts)
    data = market.load("GOOG").digest
    bars = market.bars(data)

    def report(
        code: str, entrypoint: str = "S", costs: Costs = COSTS, trial_timeout: float = 20, **definition: Any
    ) -> GateReport:
        order = TryOutInput(
            experiment_id="verdict",
            sandbox_id="verdict",
            definition=check_definition(RSI | definition).definition,
            commit="c0ffee" + "0" * 34,
            entrypoint=entrypoint,
            data=data,
            costs=costs,
            attempt=1,
            valid=GateResult(gate=Gate.VALID, outcome=PASSED, summary="the policy is off"),
            trial_timeout=trial_timeout,
        )
        judge = Judge(order, code, bars, artifacts)
        return judge.judge(judge.run_trials(trials_in(sandbox, code, artifacts.get(data), order)))

    return report


@pytest.fixture(scope="module")
def verdict(ask: Ask) -> Callable[[Path], GateReport]:
    """The report on a file of the corpora, made once."""
    return functools.cache(lambda path: ask(path.read_text()))


def outcomes(report: GateReport) -> dict[str, Outcome]:
    return {gate.gate.value: gate.outcome for gate in report.gates}


def told(report: GateReport, gate: Gate) -> str:
    (result,) = [result for result in report.gates if result.gate is gate]
    return "\n".join([result.summary, *result.details])


def gate_of(path: Path) -> Gate:
    """The gate that a cheat's first line names."""
    return Gate(path.read_text().removeprefix('"""').partition(":")[0])


def test_the_corpora_are_of_size() -> None:
    assert len(HONEST) >= 10
    assert len(CHEATING) >= 10


@ON_ONE
@pytest.mark.parametrize("path", HONEST, ids=lambda path: path.stem)
def test_honest_strategies_are_not_accused(path: Path, ask: Ask) -> None:
    report = ask(path.read_text())
    found = outcomes(report)
    for gate in (
        Gate.LOADS,
        Gate.RUNS,
        Gate.DETERMINISTIC,
        Gate.TRADES,
        Gate.SCORE_VERIFIED,
        Gate.NO_LOOKAHEAD,
    ):
        assert found[gate] is PASSED, told(report, gate)
    assert "with the first" in told(report, Gate.NO_LOOKAHEAD), "it has been asked"
    assert report.metrics is not None


@pytest.mark.parametrize("path", CHEATING, ids=lambda path: path.stem)
def test_cheating_strategies_are_caught(path: Path, verdict: Callable[[Path], GateReport]) -> None:
    """By the gate that the first line names, with a bar or a trade."""
    gate, report = gate_of(path), verdict(path)
    assert outcomes(report)[gate] is FAILED, [result.summary for result in report.gates]
    text = told(report, gate)
    assert re.search(r"\bbar \d+|\btrade \d+|claimed", text), text
    if gate is Gate.SCORE_VERIFIED:
        assert report.metrics is None
        assert outcomes(report)[Gate.NO_LOOKAHEAD] is NOT_RUN


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "centred_window",
            ["indicator mean is missing", "strategy.py, line 9: a centred window holds later bars"],
        ),
        ("negative_shift", ["indicator later is missing", "strategy.py, line 9"]),
        ("filled_backwards", ["indicator pivot"]),
        ("reads_the_data_file", ["at its close", "read_csv reads a file"]),
        ("whole_frame", ["is the engine's whole data"]),
        ("lowest_of_all", ["argmin may look at later bars"]),
        ("patched_fills", ["trade 1: entry_price is 179.15, but bar 110 went from 179.31"]),
        ("patched_exits", ["exit_price is claimed"]),
        ("patched_figures", ["final equity: claimed", "recomputed"]),
        ("free_of_charge", ["commissions: claimed 0, recomputed"]),
        ("forgotten_losses", ["entry_bar is claimed", "recomputed from the orders"]),
        ("resampled_with_the_wrong_label", ["indicator week", "self.week is computed here"]),
    ],
)
def test_what_a_cheat_is_told(name: str, said: list[str], verdict: Callable[[Path], GateReport]) -> None:
    path = VERDICTS / "cheating" / f"{name}.py"
    text = told(verdict(path), gate_of(path))
    for part in said:
        assert part in text


def compiled(**definition: Any) -> tuple[str, dict[str, Any]]:
    checked_definition = check_definition(RSI | definition)
    return compile_strategy(checked_definition.definition, checked_definition.rulebook).code, definition


def test_generated_code_passes_every_gate_and_costs_are_charged(ask: Ask) -> None:
    code, _ = compiled()
    plain, dear = ask(code, "Test", Costs()), ask(code, "Test", COSTS)
    assert plain.passed
    assert dear.passed
    assert list(outcomes(dear)) == [gate.value for gate in Gate]
    assert plain.stressed is None, "nothing is charged, so nothing is to be doubled"
    assert plain.metrics
    assert dear.metrics
    assert dear.stressed
    assert plain.metrics.return_pct > dear.metrics.return_pct > dear.stressed.return_pct
    assert dear.metrics.trades == dear.stressed.trades


@ON_ONE
@pytest.mark.parametrize(
    ("limits", "ignored", "said"),
    [
        ({"stop_loss": "3%"}, {}, "stop_loss (3%) stood at"),
        ({"take_profit": "3%"}, {}, "take_profit (3%) stood at"),
        ({"trailing_stop": "2 ATR(14)"}, {"stop_loss": "50%"}, "trailing_stop (2 ATR(14)) stood at"),
        ({"max_holding_bars": 4}, {"max_holding_bars": 5}, "max_holding_bars 4: it had to leave"),
        ({"max_position": 20}, {"max_position": 21}, "max_position 20%: at most"),
    ],
)
def test_limits_that_are_not_kept_are_named(
    limits: dict[str, Any], ignored: dict[str, Any], said: str, ask: Ask
) -> None:
    """Code for other limits than the definition has."""
    code, _ = compiled(risk_limits=ignored)
    report = ask(code, "Test", risk_limits=limits)
    assert outcomes(report)[Gate.HONOURS_RISK_LIMITS] is FAILED
    assert re.search(
        r"trade \d+ \(long of bar \d+\), bar \d+ \(\d{4}-\d\d-\d\d\): ",
        told(report, Gate.HONOURS_RISK_LIMITS),
    )
    assert said in told(report, Gate.HONOURS_RISK_LIMITS)
    kept, _ = compiled(risk_limits=limits)
    assert ask(kept, "Test", risk_limits=limits).passed


FAILING = """
import time

import numpy as np
from backtesting import Strategy


class S(Strategy):
    def init(self):
        {init}

    def next(self):
        {step}
"""


@pytest.mark.parametrize(
    ("init", "step", "gate", "said"),
    [
        ("1 / 0", "pass", Gate.RUNS, "ZeroDivisionError: division by zero\nstrategy.py, line 10"),
        ("pass", "pass", Gate.TRADES, "no trade, where the rules imply"),
        (
            "self.level = np.random.random()",
            "self.position.close() if self.position else self.buy(size=0.5 + self.level / 4)",
            Gate.DETERMINISTIC,
            "two runs gave different trades\ntrade 1: ",
        ),
        ("import os; os.remove('data.csv'); os.mkdir('data.csv')", "pass", Gate.RUNS, "Spoilt"),
        (
            "pass",
            "self.buy(size=0.1)",
            Gate.SCORE_VERIFIED,
            "one position at a time",
        ),
    ],
)
def test_early_gates(init: str, step: str, gate: Gate, said: str, ask: Ask, sandbox: Sandbox) -> None:
    try:
        report = ask(FAILING.format(init=init, step=step))
    finally:
        sandbox.run(["rm", "-rf", "data.csv"], timeout=10)
    assert outcomes(report)[gate] is FAILED, [result.summary for result in report.gates]
    assert said in told(report, gate)


def test_what_does_not_load_is_tried_once_less(ask: Ask) -> None:
    report = ask("class Other: pass")
    assert outcomes(report)[Gate.LOADS] is FAILED
    assert "defines no 'S'" in told(report, Gate.LOADS)
    assert {outcomes(report)[gate] for gate in list(Gate)[2:]} == {NOT_RUN}
    assert report.metrics is None
    assert report.trades is None


SILENT_ON_FEW = """
from backtesting import Strategy

{loading}


class S(Strategy):
    def init(self):
        {beginning}
        self.known = list(self.data.Close)

    def next(self):
        later = self.known[len(self.data) : len(self.data) + 8]
        if len(self.data) < 600 or not later:
            return
        if not self.position and max(later) > 1.03 * self.data.Close[-1]:
            self.buy(size=0.9)
        elif self.position and min(later) < 0.99 * self.data.Close[-1]:
            self.position.close()
"""


# From one commit to the next

LEAVES_THE_FUTURE_BEHIND = """
import os

import pandas as pd
from backtesting import Strategy


class S(Strategy):
    def init(self):
        own = pd.Series(self.data.Close)
        if len(own) == 2148:
            own.to_csv("left.csv", index=False)
        self.known = pd.read_csv("left.csv").iloc[:, 0].tolist() if os.path.exists("left.csv") else own.tolist()

    def next(self):
        later = self.known[len(self.data) : len(self.data) + 8]
        if not self.position:
            if later and max(later) > 1.03 * self.data.Close[-1]:
                self.buy(size=0.9)
        elif later and min(later) < 0.99 * self.data.Close[-1]:
            self.position.close()
"""


def test_what_a_trial_leaves_behind_tells_later_ones_nothing(ask: Ask) -> None:
    """Asked twice in one sandbox, the second time after the file has been written."""
    for report in (ask(LEAVES_THE_FUTURE_BEHIND), ask(LEAVES_THE_FUTURE_BEHIND)):
        assert outcomes(report)[Gate.NO_LOOKAHEAD] is FAILED


@pytest.mark.parametrize(
    ("loading", "beginning", "said"),
    [
        ("pass", "while len(self.data.Close) < 540: pass", "Timeout: the trial was ended after 3.0 s"),
        ("assert sum(1 for _ in open('data.csv')) > 540", "pass", "AssertionError"),
    ],
    ids=["hangs", "won't load"],
)
def test_code_that_fails_on_few_bars_is_asked_no_more_and_not_believed(
    loading: str, beginning: str, said: str, ask: Ask
) -> None:
    """It decides nothing on those either way, and knows the future of all the others."""
    report = ask(SILENT_ON_FEW.format(loading=loading, beginning=beginning), trial_timeout=3)
    assert outcomes(report)[Gate.NO_LOOKAHEAD] is FAILED
    assert said in told(report, Gate.NO_LOOKAHEAD)


def test_each_try_out_begins_in_a_sandbox_that_has_seen_nothing(tmp_path: Path) -> None:
    artifacts, library = Artifacts(tmp_path / "artifacts"), Library(tmp_path / "library.git")
    market, records = MarketData(artifacts), Records(f"sqlite:///{tmp_path / 'records.db'}")
    records.migrate()
    definition = check_definition(RSI).definition
    commit = library.commit_files(
        branch="ai/generate/Test/leaves",
        files={code_path("Test"): LEAVES_THE_FUTURE_BEHIND},
        message="Cheat",
        trailers={"Experiment-Id": "leaves"},
        base=library.head(),
        key="leaves/generate",
    ).commit
    providers = default_providers(tmp_path / "state", order=["bubblewrap"], image="")
    with SandboxManager(providers, tmp_path / "leases", ready=0) as manager:
        try_outs = TryOuts(manager, library, market, artifacts, records, "host", "queue")
        lease = try_outs.lease(
            LeaseInput(experiment_id="leaves", provider=None, limits=Limits(), round=1, lease_seconds=60),
            lambda: None,
        )
        seen = []
        for attempt in (1, 2):
            order = TryOutInput(
                experiment_id="leaves",
                sandbox_id=lease.sandbox_id,
                definition=definition,
                commit=commit,
                entrypoint="S",
                data=market.load("GOOG").digest,
                costs=COSTS,
                attempt=attempt,
                valid=GateResult(gate=Gate.VALID, outcome=PASSED, summary="the policy is off"),
                trial_timeout=20,
            )
            report = try_outs.try_out(order, lambda: None)
            assert outcomes(report)[Gate.NO_LOOKAHEAD] is FAILED, told(report, Gate.NO_LOOKAHEAD)
            seen.append(manager.get(lease.sandbox_id))
        assert seen[0] is not seen[1]
        assert not seen[0].alive
        assert seen[1].info.labels["genesis.experiment"] == "leaves"
        assert try_outs.destroy(SandboxRef(experiment_id="leaves")).existed
        assert not seen[1].alive
        assert manager.list() == []
    records.close()
