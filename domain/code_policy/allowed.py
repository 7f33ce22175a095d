"""What a strategy may import and reach. Tables only."""

import sys


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODULES: frozenset[str] = frozenset(
    {
        *(
            "numpy",
            "numpy.random",
            "numpy.linalg",
            "numpy.fft",
            "numpy.ma",
            "numpy.polynomial",
            "numpy.typing",
        ),
        *("numpy.lib", "numpy.lib.stride_tricks", "numpy.exceptions"),
        *(
            "pandas",
            "pandas.api",
            "pandas.api.types",
            "pandas.api.indexers",
            "pandas.tseries",
            "pandas.errors",
        ),
        *("pandas.tseries.offsets", "pandas.tseries.frequencies", "pandas.tseries.holiday"),
        *("talib", "talib.abstract", "talib.stream"),
        *("backtesting", "backtesting.lib", "backtesting.backtesting", "backtesting.test"),
        *("math", "cmath", "statistics", "decimal", "fractions", "numbers", "random"),
        *("datetime", "calendar", "collections", "collections.abc", "bisect", "heapq", "copy"),
        *("typing", "dataclasses", "enum", "abc", "__future__"),
        *("functools", "itertools", "operator", "re", "logging", "warnings"),
    }
)
"""Modules that may be imported, or reached by attribute from one that may."""

ONLY: dict[str, frozenset[str]] = {
    "backtesting.test": frozenset({"SMA"}),
    "backtesting.backtesting": frozenset({"Strategy", "Backtest", "Order", "Trade", "Position"}),
    "numpy.lib": frozenset({"stride_tricks"}),
    "pandas.api": frozenset({"types", "indexers"}),
    "pandas.tseries": frozenset({"offsets", "frequencies", "holiday"}),
}
"""Modules of which only these names may be used."""
SAMPLE_DATA = frozenset({"GOOG", "EURUSD", "BTCUSD"})
"""Prices that backtesting.test holds: allowed below `if __name__ == "__main__":` only, since they hold the future."""

INNER: dict[str, frozenset[str]] = {
    "numpy": _words(
        "char compat conftest core ctypeslib distutils dtypes emath f2py matlib matrixlib rec strings testing version"
    ),
    "pandas": _words("arrays compat conftest core io pandas plotting testing tests util"),
    "talib": frozenset({"deprecated"}),
}
"""Modules inside allowed ones that may not be reached."""

FORBIDDEN: dict[str, frozenset[str]] = {
    "numpy": _words(
        "load loads save savez savez_compressed savetxt loadtxt genfromtxt fromfile fromregex memmap DataSource test "
        "from_dlpack seterrcall bmat"
    ),
    "numpy.random": frozenset({"test"}),
    "pandas": frozenset({"ExcelFile", "ExcelWriter", "HDFStore", "test", "show_versions", "eval"}),
    "backtesting": frozenset({"Pool", "set_bokeh_output"}),
    "backtesting.lib": frozenset({"MultiBacktest", "plot_heatmaps"}),
    "logging": _words(
        "FileHandler LogRecord makeLogRecord setLogRecordFactory setLoggerClass Handler config handlers "
        "getHandlerByName BufferingFormatter currentframe"
    ),
    "typing": frozenset({"get_type_hints", "ForwardRef", "evaluate_forward_ref", "io", "re"}),
    "dataclasses": frozenset({"make_dataclass"}),
    "functools": frozenset({"update_wrapper"}),
    "calendar": frozenset({"main"}),
    "warnings": frozenset({"showwarning", "formatwarning"}),
}
"""Names of allowed modules that reach files, processes, hooks or code from text."""

STANDARD_MODULES: frozenset[str] = sys.stdlib_module_names - {"this", "antigravity"}
NAMED_LIKE_A_MODULE: dict[str, frozenset[str]] = {
    "datetime": frozenset({"datetime", "time"}),
    "numpy": frozenset({"random", "copy", "select", "trace", "array", "typing"}),
    "pandas": frozenset({"array"}),
    "collections": frozenset({"abc"}),
    "copy": frozenset({"copy"}),
    "bisect": frozenset({"bisect"}),
    "calendar": frozenset({"calendar"}),
    "random": frozenset({"random"}),
    "numpy.random": frozenset({"random"}),
    "numpy.ma": frozenset({"array", "copy", "trace"}),
    "numpy.linalg": frozenset({"trace"}),
}
"""Names that are also those of standard modules, and harmless where they stand."""

HARD_MODULES: frozenset[str] = _words(
    "os sys subprocess socket builtins importlib ctypes pickle shutil posix multiprocessing pathlib tempfile cffi"
)
"""Refused as an attribute of anything."""

BUILTINS: dict[str, str] = {
    "open": "io",
    "input": "io",
    "breakpoint": "process",
    "help": "process",
    "license": "io",
    "copyright": "io",
    "credits": "io",
    "exit": "process",
    "SystemExit": "process",
    "KeyboardInterrupt": "process",
    "quit": "process",
    "eval": "dynamic_code",
    "exec": "dynamic_code",
    "compile": "dynamic_code",
    "__import__": "import",
    "globals": "reflection",
    "locals": "reflection",
    "vars": "reflection",
}
"""Refused built-in functions and the rule each breaks."""
ATTRIBUTE_FUNCTIONS = frozenset({"getattr", "setattr", "delattr", "hasattr"})

IO_METHODS: frozenset[str] = _words(
    "to_csv to_pickle to_parquet to_sql to_excel to_hdf to_feather to_json to_html to_latex to_stata to_clipboard "
    "to_gbq to_xml to_orc to_markdown to_iceberg tofile dump"
)
PROCESS_METHODS: frozenset[str] = _words("system popen Popen fork forkpty spawnl spawnv execv execve")
FRAMES: frozenset[str] = _words(
    "tb_frame tb_next f_globals f_locals f_builtins f_back f_code gi_frame gi_code gi_yieldfrom cr_frame cr_code "
    "ag_frame ag_code co_code co_consts func_globals func_code mro"
)
"""Attributes of frames, generators, code and classes, from which everything else is reached."""

DUNDER_READ = frozenset({"__name__", "__version__", "__doc__"})
DUNDER_NAMES = frozenset({"__name__", "__doc__", "__debug__"})
DUNDER_ASSIGN = _words(
    "__all__ __version__ __author__ __license__ __date__ __slots__ __match_args__ __hash__ __doc__"
)
DUNDER_DEFINE = frozenset(
    f"__{name}__"
    for name in _words(
        "init post_init new repr str format bytes bool int float complex index hash len iter next reversed contains "
        "getitem setitem delitem call enter exit eq ne lt le gt ge add sub mul truediv floordiv mod pow matmul neg pos "
        "abs invert and or xor lshift rshift radd rsub rmul rtruediv rfloordiv rmod rpow rand ror rxor iadd isub imul "
        "itruediv round trunc floor ceil missing length_hint copy deepcopy"
    )
)
"""Methods that a class may define, and that may be called on super()."""

STRATEGIES: dict[str, bool] = {
    "backtesting.Strategy": False,
    "backtesting.backtesting.Strategy": False,
    "backtesting.lib.SignalStrategy": True,
    "backtesting.lib.TrailingStrategy": True,
}
"""Base classes of strategies, and whether they bring `init` and `next`."""

DECORATORS = frozenset({"property", "staticmethod", "classmethod"})
ENGINE_PRIVATE = frozenset({"_broker", "_set_length", "_closed_trades"})
ENGINE_OWN = ENGINE_PRIVATE | {"_data", "_params", "_orders", "_trades", "_check_params", "_indicators"}
"""Names that a class of the strategy may not redefine."""
BY_NAME = frozenset({"agg", "aggregate", "apply", "transform", "pipe"})
"""pandas methods that call a method named by a text."""
MANGLED = (
    "_Strategy__",
    "_Trade__",
    "_Order__",
    "_Position__",
    "_Data__",
    "_Broker__",
    "_Backtest__",
    "_Array__",
)
