"""Stands in for backtesting's plotting module, the only one that imports bokeh: most of the import's time, and not
there in the sandbox; and keeps its progress bars away. Python imports this by itself at each start; harness.engine
does so by name."""

import sys
import types


def _unavailable(*_: object, **__: object) -> None:
    raise RuntimeError("plots are not available in the sandbox; remove the call")


_stand_in = types.ModuleType("backtesting._plotting")
# mypy knows no attributes of a module that is made here
_stand_in.plot = _stand_in.plot_heatmaps = _stand_in.set_bokeh_output = _unavailable  # type: ignore[attr-defined]
sys.modules["backtesting._plotting"] = _stand_in
# backtesting does without its progress bars where it doesn't find tqdm: they would be drawn on every trial's stderr
sys.modules["tqdm.auto"] = None  # type: ignore[assignment]
