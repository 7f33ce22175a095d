"""The rules by name: why each is there, and what to do instead."""

RULES: dict[str, tuple[str, str]] = {
    "import": (
        "strategies compute; they need no files, processes, network or interpreter internals",
        "use numpy, pandas, talib, backtesting, or a module for numbers and dates such as math or datetime",
    ),
    "star-import": ("it hides which names come in", "import the names that are used"),
    "module-attribute": (
        "through it other modules are reached, among them those for files and processes",
        "use the public functions of numpy, pandas, talib and backtesting",
    ),
    "io": (
        "a strategy sees its data as self.data and nothing else",
        "use self.data; print what should be seen",
    ),
    "process": ("a strategy starts and ends no process", "remove it"),
    "dynamic-code": ("code made at run time can't be checked", "write it as plain code"),
    "reflection": (
        "names made at run time can't be checked",
        "use a literal name, a plain attribute or a dictionary",
    ),
    "dunder": ("through it the interpreter's internals are reached", "use the plain function or operator"),
    "frame": ("frames and code objects reach everything else", "remove it"),
    "format-string": ("a format field that reaches attributes is code in a text", "use an f-string"),
    "patching": (
        "what is imported is shared with the engine that judges",
        "write a subclass or a function of your own",
    ),
    "engine-internals": (
        "it is private to the engine that judges",
        "use self.equity, self.position, self.trades, self.data",
    ),
    "decorator": (
        "a decorator is a call; this one isn't known",
        "use functions of this module, or those of functools and dataclasses",
    ),
    "metaclass": ("it changes what a class statement means", "use a plain class"),
    "unsafe-memory": (
        "a wrong shape reads foreign memory",
        "use numpy.lib.stride_tricks.sliding_window_view",
    ),
    "entrypoint": (
        "the engine needs a subclass of backtesting.Strategy by this name",
        "write it at the module's top level",
    ),
}
