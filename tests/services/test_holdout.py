"""The holdout in real sandboxes: sealed until it is opened, and the run that then sees it judged like any other."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from domain.compiler import compile_strategy
from domain.definitions import check_definition, read_rulebook
from schemas.gates import Gate, GateReport, GateResult, Outcome
from schemas.holdout import HoldoutReport
from schemas.market import DataSet
from schemas.sandbox import Limits
from schemas.steps import HoldoutInput, LeaseInput, SandboxLease, TryOutInput
from schemas.trading import Costs
from services.artifacts import Artifacts
from services.authoring import code_path
from services.library import Library
from services.market_data import MarketData
from services.records import Records
from services.sandboxes import SandboxManager, default_providers
from services.trying import TryOuts
from tests.support.needs import checked

PASSED, FAILED = Outcome.PASSED, Outcome.FAILED
HELD = 429
DEFINITION = check_definition(
    {
        "name": "Test",
        "symbol": "GOOG",
        "entry_rules": ["RSI(14) < 40"],
        "exit_rules": ["RSI(14) > 60"],
        "position_sizing": {"value": 90},
    }
).definition
VALID = GateResult(gate=Gate.VALID, outcome=PASSED, summary="the policy is off")


@dataclass
class Shop:
    """Real parts, without a workflow: code of one experiment is tried out and its holdout opened."""

    manager: SandboxManager
    try_outs: TryOuts
    library: Library
    artifacts: Artifacts
    lease: SandboxLease
    known: DataSet
    whole: DataSet
    commits: int = 0

    def commit(self, code: str) -> str:
        self.commits += 1
        return self.library.commit_files(
            branch=f"ai/generate/Test/{self.commits}",
            files={code_path("Test"): code},
            message="Try",
            trailers={"Experiment-Id": "sealed"},
            base=self.library.head(),
            key=f"sealed/{self.commits}",
        ).commit

    def order(self, commit: str, data: DataSet, entrypoint: str) -> TryOutInput:
        return TryOutInput(
            experiment_id="sealed",
            sandbox_id=self.lease.sandbox_id,
            definition=DEFINITION,
            commit=commit,
            entrypoint=entrypoint,
            data=data.digest,
            costs=Costs(commission=0.001),
            attempt=1,
            valid=VALID,
            trial_timeout=20,
        )

    def both(self, code: str, entrypoint: str) -> tuple[GateReport, HoldoutReport]:
        """The try-out before the holdout is opened, and the opening."""
        commit = self.commit(code)
        report = self.try_outs.try_out(self.order(commit, self.known, entrypoint), lambda: None)
        assert report.trades is not None, report
        order = HoldoutInput(
            **dict(self.order(commit, self.whole, entrypoint)), first=self.known.bars, trades=report.trades
        )
        return report, self.try_outs.open_holdout(order, lambda: None)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("home")
    artifacts, library = Artifacts(home / "artifacts"), Library(home / "library.git")
    market, records = MarketData(artifacts), Records(f"sqlite:///{home / 'records.db'}")
    records.migrate()
    providers = default_providers(home / "state", order=["bubblewrap"], image="")
    checked(providers[0])
    whole = market.load("GOOG")
    with SandboxManager(providers, home / "leases", ready=0) as manager:
        try_outs = TryOuts(manager, library, market, artifacts, records, "host", "queue")
        lease = try_outs.lease(
            LeaseInput(experiment_id="sealed", provider=None, limits=Limits(), round=1, lease_seconds=60),
            lambda: None,
        )
        assert isinstance(lease, SandboxLease)
        yield Shop(manager, try_outs, library, artifacts, lease, market.hold_back(whole, HELD), whole)
    records.close()


def outcomes(report: GateReport | HoldoutReport) -> dict[Gate, Outcome]:
    return {gate.gate: gate.outcome for gate in report.gates}


def honest() -> tuple[str, str]:
    written = compile_strategy(DEFINITION, read_rulebook(DEFINITION))
    return written.code, written.entrypoint


def test_the_data_before_the_holdout_knows_nothing_of_it(shop: Shop) -> None:
    known, whole = shop.artifacts.get(shop.known.digest), shop.artifacts.get(shop.whole.digest)
    assert whole.startswith(known)
    assert whole.count(b"\n") - known.count(b"\n") == HELD
    assert shop.known.bars == shop.whole.bars - HELD
    assert shop.known.end < shop.whole.end
    # gaps are told of the bars before the seam alone
    assert shop.known.warnings != shop.whole.warnings
    assert all("2012" not in warning and "2013" not in warning for warning in shop.known.warnings)


def test_an_honest_strategy_passes_and_is_traded_on(shop: Shop) -> None:
    report, opened = shop.both(*honest())
    assert report.passed
    assert opened.passed, opened
    assert set(outcomes(opened)) == {
        *(Gate.LOADS, Gate.RUNS, Gate.SCORE_VERIFIED, Gate.CONFORMS, Gate.NO_LOOKAHEAD),
        Gate.HONOURS_RISK_LIMITS,
    }
    assert all(gate.seconds < 20 for gate in opened.gates)
    assert (opened.whole, opened.first, opened.bars) == (shop.whole.digest, 1719, HELD)
    before = shop.artifacts.get_json(report.trades or "")
    after = shop.artifacts.get_json(opened.trades or "")
    assert after[: len(before) - 1] == before[:-1]
    assert max(trade["exit_bar"] for trade in before) <= 1718 < max(trade["exit_bar"] for trade in after)
    assert after[-1]["entry_time"] > shop.known.end[:10]


SPY = '''
import glob


def look():
    """Everything that can be read in the sandbox's own places."""
    found = []
    for path in glob.glob("**", recursive=True) + glob.glob("/tmp/**", recursive=True):
        try:
            with open(path, "rb") as file:
                found.append(file.read())
        except OSError:
            pass
    return b"".join(found)
'''


# written with slashes, since its own source is among what it finds
LOOK = """print("SAW", [day for day in ("2011/06/15", "2011/06/16", "2012/07/02", "2013/03/01")
                            if day.replace("/", "-").encode() in look()], len(self.data))"""


def test_no_bar_of_the_holdout_is_in_the_sandbox_before_it_is_opened(shop: Shop) -> None:
    """Code without any policy reads all it finds: the dates of the holdout come with the opening, not before."""
    code, entrypoint = honest()
    spying = SPY + code.replace("    def init(self):", f"    def init(self):\n        {LOOK}", 1)
    assert spying.count("SAW") == 1
    commit = shop.commit(spying)
    report = shop.try_outs.try_out(shop.order(commit, shop.known, entrypoint), lambda: None)
    assert report.passed, report
    said = shop.artifacts.get(report.output or "").decode()
    assert "SAW ['2011/06/15'] 1719" in said

    sandbox = shop.manager.get(shop.lease.sandbox_id)
    judged = HoldoutInput(
        **dict(shop.order(commit, shop.whole, entrypoint)), first=shop.known.bars, trades=report.trades
    )
    opened = shop.try_outs.open_holdout(judged, lambda: None)
    assert opened.passed
    fresh = shop.manager.get(shop.lease.sandbox_id)
    assert fresh is not sandbox
    assert not sandbox.alive
    assert (
        fresh.read("data.csv", max_bytes=1 << 20).decode().rstrip().splitlines()[-1].startswith("2013-03-01")
    )
    # a retry gives the same, and another try-out a sandbox that has seen nothing
    repeated = shop.try_outs.open_holdout(judged, lambda: None)
    assert (repeated.trades, outcomes(repeated)) == (opened.trades, outcomes(opened))
    again = shop.try_outs.try_out(shop.order(commit, shop.known, entrypoint), lambda: None)
    assert "SAW ['2011/06/15'] 1719" in shop.artifacts.get(again.output or "").decode()


def test_who_trades_otherwise_once_more_bars_are_there_is_caught(shop: Shop) -> None:
    """It behaves on as many bars as there were, and on fewer: the prefixes of the try-out can't show it."""
    code, entrypoint = honest()
    cheat = code.replace(
        "    def init(self):", "    def init(self):\n        self.late = len(self.data) > 1719", 1
    )
    cheat = cheat.replace(
        "    def next(self):", "    def next(self):\n        if self.late:\n            return", 1
    )
    assert cheat.count("self.late") == 2
    report, opened = shop.both(cheat, entrypoint)
    assert report.passed
    found = outcomes(opened)
    assert found[Gate.CONFORMS] is FAILED
    assert found[Gate.NO_LOOKAHEAD] is FAILED
    (look,) = (gate for gate in opened.gates if gate.gate is Gate.NO_LOOKAHEAD)
    assert "with it: no such trade" in look.details[0]


def test_who_forges_its_trades_in_the_holdout_is_caught(shop: Shop) -> None:
    code, entrypoint = honest()
    forged = code.replace(
        "    def init(self):",
        "    def init(self):\n"
        "        if len(self.data) > 1719:\n"
        "            import backtesting.backtesting as engine\n"
        "            engine.Trade.pl = property(lambda trade: 1e6)",
        1,
    )
    report, opened = shop.both(forged, entrypoint)
    assert report.passed
    assert outcomes(opened)[Gate.SCORE_VERIFIED] is FAILED
    assert opened.trades is None
    assert not opened.passed


def test_who_fails_on_the_holdout_is_told_where(shop: Shop) -> None:
    code, entrypoint = honest()
    fails = code.replace(
        "    def init(self):", "    def init(self):\n        1 / (len(self.data) <= 1719)", 1
    )
    report, opened = shop.both(fails, entrypoint)
    assert report.passed
    assert outcomes(opened) == {Gate.LOADS: PASSED, Gate.RUNS: FAILED}
    assert "ZeroDivisionError" in opened.gates[-1].summary
    assert json.loads(opened.model_dump_json())["trades"] is None
