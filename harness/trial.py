"""One trial: load the strategy's module, run the backtest, report what it came to or where it failed. Runs in a child.

Untrusted code shares this process. What it reports is a claim, checked by whoever asked for it.
"""

import json
import os
import sys
import types
from typing import Any

import numpy as np
import pandas as pd

from harness.engine import run_backtest, strategy_class

MESSAGE = 2000  # characters of an error's text


class Reporter:
    """Writes JSON lines to the report pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, record: dict[str, Any]) -> None:
        rest = memoryview(json.dumps(record).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def run_trial(
    report: int, *, path: str, source: bytes, entrypoint: str, bars: pd.DataFrame, order: dict[str, Any]
) -> int:
    """The child's exit code: 0 where trades were reported, 1 where an error was."""
    reporter = Reporter(report)
    os.environ.update(order["environment"])  # secrets: of this process only
    # a fork inherits numpy's random state (random reseeds itself): without this, every trial would draw the same
    np.random.seed()
    sys.path.append(os.getcwd())
    sys.dont_write_bytecode = True
    stage = "load"
    try:
        strategy = _load(path, source, entrypoint)
        stage = "run"
        reporter.say({"stage": stage})
        account = {key: order[key] for key in ("cash", "commission", "spread", "finalize")}
        reporter.say(run_backtest(bars, strategy, **account))
        return 0
    except BaseException as error:  # noqa: BLE001 - SystemExit too: the strategy's failure is a value
        reporter.say({"error": {"stage": stage} | _described(error, path)})
        return 1


def _load(path: str, source: bytes, entrypoint: str) -> type:
    name = os.path.splitext(os.path.basename(path))[0]
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    program = compile(source, path, "exec", dont_inherit=True)
    exec(program, module.__dict__)  # noqa: S102 - what a trial is for
    return strategy_class(module.__dict__, entrypoint)


def _described(error: BaseException, path: str) -> dict[str, Any]:
    return {"type": type(error).__name__[:200], "message": _text(error), "line": _line(error, path)}


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE].encode(errors="replace").decode()
    except Exception:  # noqa: BLE001 - __str__ is the strategy's own
        return "(its text can't be read)"


def _line(error: BaseException | None, path: str) -> int | None:
    """The last line of the strategy's own module on the way to the error, its causes included."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, SyntaxError) and error.filename == path:
            return error.lineno
        line, place = None, error.__traceback__
        while place is not None:
            if place.tb_frame.f_code.co_filename == path:
                line = place.tb_lineno
            place = place.tb_next
        if line is not None:
            return line
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None
