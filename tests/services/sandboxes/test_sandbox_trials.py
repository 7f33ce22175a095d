"""Trials, on every provider: the same trades as outside, failures as values, and claims that are bounded."""

import resource
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from backtesting import Backtest
from backtesting.test import GOOG

from schemas.sandbox import TrialOrder, TrialResult
from services.sandboxes import Sandbox, SandboxRefusal

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore:DatetimeIndex.dayofweek")]

RSI = """
import talib
from backtesting import Strategy


class Reversal(Strategy):
    period = 14

    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, self.period)

    def next(self):
        price = self.data.Close[-1]
        if not self.position and self.rsi[-1] < 30:
            self.buy(size=0.95, sl=price * 0.9)
        elif not self.position and self.rsi[-1] > 80:
            self.sell(size=0.5, sl=price * 1.1)
        elif self.position.is_long and self.rsi[-1] > 70:
            self.position.close()
        elif self.position.is_short and self.rsi[-1] < 50:
            self.position.close()
"""


def csv_of(bars: pd.DataFrame) -> bytes:
    return bars.to_csv(index_label="Date", date_format="%Y-%m-%dT%H:%M:%SZ").encode()


@pytest.fixture(autouse=True)
def data(shared: Sandbox) -> None:
    shared.put({"bars.csv": csv_of(GOOG)})


def trial(sandbox: Sandbox, code: str, *, timeout: float = 20.0, entrypoint: str = "S") -> TrialResult:
    sandbox.put({"strategy.py": code.encode()})
    order = TrialOrder(
        code="strategy.py", entrypoint=entrypoint, data="bars.csv", commission=0.002, cash=100_000
    )
    return sandbox.trial(order, timeout=timeout)


def strategy(init: str = "pass", step: str = "pass", before: str = "") -> str:
    head = f"from backtesting import Strategy\n{before}\nclass S(Strategy):\n"
    return head + f"  def init(self):\n    {init}\n  def next(self):\n    {step}\n"


@pytest.mark.parametrize("bars", [None, 1000])
def test_the_same_trades_as_in_process(shared: Sandbox, tmp_path: Path, bars: int | None) -> None:
    namespace: dict[str, object] = {}
    exec(compile(RSI, "reversal.py", "exec"), namespace)
    backtest = Backtest(
        GOOG.iloc[:bars], namespace["Reversal"], cash=100_000, commission=0.002, finalize_trades=True
    )
    expected = backtest.run()["_trades"].sort_values(["EntryBar", "ExitBar"])
    shared.put({"bars.csv": csv_of(GOOG.iloc[:bars])})
    result = trial(shared, RSI, entrypoint="Reversal")
    assert result.error is None
    assert result.trades is not None
    assert len(result.trades) == len(expected) >= 5
    for claim, (_, row) in zip(result.trades, expected.iterrows(), strict=True):
        assert claim == {
            "side": "long" if row.Size > 0 else "short",
            "size": abs(row.Size),
            "entry_bar": row.EntryBar,
            "exit_bar": row.ExitBar,
            "entry_price": row.EntryPrice,
            "exit_price": row.ExitPrice,
        }
    assert result == result.model_validate_json(result.model_dump_json())


def test_no_trades_is_an_empty_list(shared: Sandbox) -> None:
    result = trial(shared, strategy())
    assert (result.trades, result.error) == ([], None)


def test_what_a_strategy_prints_is_kept(shared: Sandbox) -> None:
    result = trial(shared, strategy(init="print('hello'); import sys; print('err', file=sys.stderr)"))
    assert (result.run.stdout, result.run.stderr) == ("hello\n", "err\n")  # and nothing else: no progress bar
    assert result.trades == []


@pytest.mark.parametrize(
    ("code", "stage", "kind", "line", "words"),
    [
        ("class S(:\n", "load", "SyntaxError", 1, "invalid syntax"),
        ("\nimport nowhere\n", "load", "ModuleNotFoundError", 2, "nowhere"),
        ("class Other: pass\n", "load", "NameError", None, "defines no 'S'"),
        ("S = 3\n", "load", "TypeError", None, "not a subclass"),
        (strategy(step="1 / 0"), "run", "ZeroDivisionError", 7, "division"),
        (strategy(init="self.I(lambda: 1 / 0)"), "run", "RuntimeError", 5, "Indicator"),
        (strategy(step="import sys; sys.exit(3)"), "run", "SystemExit", 7, "3"),
        (strategy(step="import os; os._exit(0)"), "run", "NoReport", None, "exit code 0"),
        (strategy(step="import os; os.kill(os.getpid(), 9)"), "run", "NoReport", None, "signal 9"),
        ("import os\nos._exit(4)\n", "load", "NoReport", None, "exit code 4"),
        (
            strategy(
                step="raise Strange", before="class Strange(Exception):\n  def __str__(self): raise self\n"
            ),
            "run",
            "Strange",
            9,
            "text",
        ),
        (strategy(step="raise ValueError('\\ud800' + 'x' * 9999)"), "run", "ValueError", 7, "?xxx"),
        (strategy(step="f = lambda: f(); f()"), "run", "RecursionError", 7, "recursion"),
        (
            strategy(step="import backtesting; backtesting.set_bokeh_output()"),
            "run",
            "RuntimeError",
            7,
            "plots",
        ),
    ],
)
def test_failures_are_values_with_stage_and_line(
    shared: Sandbox, code: str, stage: str, kind: str, line: int | None, words: str
) -> None:
    result = trial(shared, code)
    assert result.trades is None
    assert result.error is not None
    found = (result.error.stage, result.error.type, result.error.line)
    assert found == (stage, kind, line), result.error
    assert words in result.error.message
    assert len(result.error.message) <= 2000


def test_an_endless_trial_is_ended(shared: Sandbox) -> None:
    result = trial(shared, strategy(step="while True: pass"), timeout=1.0)
    assert result.run.timed_out
    assert result.error is not None
    assert (result.error.stage, result.error.type) == ("run", "Timeout")
    loading = trial(shared, "while True: pass", timeout=0.5)
    assert loading.error is not None
    assert (loading.error.stage, loading.error.type) == ("load", "Timeout")
    assert trial(shared, strategy()).trades == []


def test_a_trial_that_takes_too_much_memory(shared: Sandbox) -> None:
    result = trial(shared, strategy(step="self.x = bytearray(1 << 32)"))
    assert result.run.out_of_memory
    assert result.error is not None
    assert result.error.type == "MemoryError"


REPORT = """
import os, time
def say(text):
    text = text.encode()
    while text:
        text = text[os.write(3, text):]
{statement}
os._exit(0)
"""


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("say('{\"trades\": 7}\\n')", "BadReport"),
        ("say('{\"trades\": [1, 2]}\\n')", "BadReport"),
        ('say(\'{"trades": [{"size": {}}]}\\n\')', "BadReport"),
        ("say('{\"trades\": [{\"size\": ' + '9' * 4000 + '}]}\\n')", "BadReport"),
        ("say('{\"trades\": [{\"size\": ' + '9' * 9000 + '}]}\\n')", "NoReport"),
        ('say(\'{"error": {"stage": "nowhere"}}\\n\')', "BadReport"),
        ("say('[' * 100000)", "NoReport"),
        ("say('\\0\\xff not json')", "NoReport"),
        ("say('{\"trades\": [' + ','.join(['{}'] * 200001) + ']}\\n')", "TooManyTrades"),
        ("say('x' * (33 << 20))", "TooManyTrades"),
        ("say('{\"trades\": [], \"book\": ' + '[' * 900 + ']' * 900 + '}\\n')", "BadReport"),
        ("say('{\"trades\": [], \"stats\": {\"a\": ' + '[' * 9 + ']' * 9 + '}}\\n')", "BadReport"),
    ],
)
def test_a_forged_report_is_bounded(shared: Sandbox, statement: str, kind: str) -> None:
    result = trial(shared, REPORT.format(statement=statement))
    assert result.trades is None
    assert result.error is not None
    assert result.error.type == kind, result.error


def test_a_forged_error_is_of_bounded_length_and_can_be_written(shared: Sandbox) -> None:
    said = (
        '{"error": {"stage": "run", "type": "' + "E" * 999 + '", "message": "\\ud800' + "x" * 9999 + '"}}\n'
    )
    result = trial(shared, REPORT.format(statement=f"say({said!r})"))
    assert result.error is not None
    assert result.error.type == "E" * 200
    assert result.error.message == "?" + "x" * 1999
    assert result.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("say('{}\\n' * (10 << 20))", "NoReport"),
        ("say('{\"trades\": [], \"open\": [' + '[],' * (10 << 20) + '0]}\\n')", "BadReport"),
    ],
)
def test_a_report_of_millions_of_parts_costs_little_more_than_its_bytes(
    shared: Sandbox, statement: str, kind: str
) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    result = trial(shared, REPORT.format(statement=statement))
    assert result.error is not None
    assert (result.error.stage, result.error.type) == ("load", kind)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10, "in KB"
    assert time.monotonic() - began < 20


def test_numbers_that_are_none_come_as_none(shared: Sandbox) -> None:
    result = trial(
        shared,
        REPORT.format(statement='say(\'{"trades": [{"a": NaN, "b": 1e999, "c": -Infinity, "d": 1.5}]}\\n\')'),
    )
    assert result.trades == [{"a": None, "b": None, "c": None, "d": 1.5}]


def test_one_trial_can_not_touch_the_next(shared: Sandbox) -> None:
    """Neither the engine in memory nor the files that were put: a change of those is told."""
    patch = (
        "import backtesting.backtesting as b\nb.Backtest.run = None\nimport builtins\nbuiltins.abs = None\n"
    )
    assert trial(shared, patch + strategy()).error is not None
    assert trial(shared, RSI, entrypoint="Reversal").error is None
    spoil = "import os\nos.remove('bars.csv')\nopen('bars.csv', 'w').write('Date,Open\\n')\n"
    trial(shared, spoil + strategy())
    with pytest.raises(SandboxRefusal, match=r"bars\.csv") as changed:
        trial(shared, strategy())
    assert changed.value.kind == "changed"
    shared.put({"bars.csv": csv_of(GOOG)})
    assert trial(shared, strategy()).error is None


def test_chance_is_not_repeated_by_the_fork(shared: Sandbox) -> None:
    """Else a strategy that draws lots would look deterministic."""
    code = strategy(init="import random, numpy as np; print(random.random(), np.random.random())")
    first, second = (trial(shared, code).run.stdout.split() for _ in range(2))
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_orders_that_can_not_be_are_refused(shared: Sandbox) -> None:
    shared.put({"strategy.py": strategy().encode(), "bad.csv": b"\xff\x00,;\n1"})
    for data, kind in (("absent.csv", "missing"), ("bad.csv", "path")):
        with pytest.raises(SandboxRefusal) as refused:
            shared.trial(TrialOrder(code="strategy.py", entrypoint="S", data=data), timeout=5)
        assert refused.value.kind == kind


def test_no_plots_are_imported(shared: Sandbox) -> None:
    code = strategy(
        init="import sys; print([name for name in sys.modules if name.startswith(('bokeh', 'PIL', 'tornado'))])"
    )
    assert trial(shared, code).run.stdout.strip() == "[]"
    result = shared.run(
        ["python3", "-c", "import backtesting, sys; print('bokeh' in sys.modules)"], timeout=30
    )
    assert (result.stdout, result.stderr) == ("False\n", "")


def test_many_trials_leak_nothing(shared: Sandbox) -> None:
    shared.put({"strategy.py": RSI.encode()})
    order = TrialOrder(code="strategy.py", entrypoint="Reversal", data="bars.csv")
    results = [shared.trial(order, timeout=20) for _ in range(30)]
    assert all(result.trades == results[0].trades for result in results)
    if sys.platform == "linux":
        assert shared.run(["sh", "-c", "echo /proc/[0-9]*"], timeout=10).stdout.count("/proc/") == 2
