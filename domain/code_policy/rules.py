"""The rules by name: why each is there, and what to do instead."""

from schemas.code import Finding

READING: dict[str, tuple[str, str]] = {
    "empty": ("there is nothing to run", "write the strategy's module"),
    "size": ("a strategy is small; text of this size is something else", "write less"),
    "nesting": ("deep trees exhaust the tools that read them", "give parts a name, or use a loop"),
    "encoding": ("the text was damaged when it was read or written", "give the module as UTF-8"),
    "hidden_text": ("what a person reads may not be what Python reads", "remove it"),
    "code_fence": (
        "a fence marks code in a text; it is no part of the code",
        "give the module alone, without fences and without text around it",
    ),
    "prose": ("Python can't read sentences", "give the code alone; what must be said goes into comments"),
    "diff": ("a diff can't be run", "give the whole module"),
    "json": (
        "the code seems to be wrapped in the answer's own format",
        "give the code alone",
    ),
    "escaped": ("the text was escaped", "give the module as it is, with plain signs and real line breaks"),
    "cut_off": ("the answer ended before the module did", "give the whole module, to its end"),
    "mixed_tabs": (
        "how deep a line stands depends on the width of a tab",
        "indent by four spaces throughout",
    ),
    "indentation": ("the blocks of the module can't be told", "indent by four spaces a level"),
    "syntax": ("Python can't read this line", "correct the syntax"),
}
"""Text that is no module within bounds. One finding of these stands alone: nothing else can be checked."""

RULES: dict[str, tuple[str, str]] = {
    "import": (
        "strategies compute; they need no files, processes, network or interpreter internals",
        "use numpy, pandas, talib, backtesting, or a module for numbers and dates such as math or datetime",
    ),
    "star_import": ("it hides which names come in", "import the names that are used"),
    "module_attribute": (
        "through it other modules are reached, among them those for files and processes",
        "use the public functions of numpy, pandas, talib and backtesting",
    ),
    "io": (
        "a strategy sees its data as self.data and nothing else",
        "use self.data; print what should be seen",
    ),
    "environment": (
        "of the environment a strategy knows the secrets that its definition asks for, and nothing else",
        "read a secret by its literal name",
    ),
    "process": ("a strategy starts and ends no process", "remove it"),
    "dynamic_code": ("code made at run time can't be checked", "write it as plain code"),
    "reflection": (
        "names made at run time can't be checked",
        "use a literal name, a plain attribute or a dictionary",
    ),
    "dunder": ("through it the interpreter's internals are reached", "use the plain function or operator"),
    "frame": ("frames and code objects reach everything else", "remove it"),
    "format_string": ("a format field that reaches attributes is code in a text", "use an f-string"),
    "patching": (
        "what is imported is shared with the engine that judges",
        "write a subclass or a function of your own",
    ),
    "engine_internals": (
        "it is private to the engine that judges",
        "use self.equity, self.position, self.trades, self.data",
    ),
    "decorator": (
        "a decorator is a call; this one isn't known",
        "use functions of this module, or those of functools and dataclasses",
    ),
    "metaclass": ("it changes what a class statement means", "use a plain class"),
    "unsafe_memory": (
        "a wrong shape reads foreign memory",
        "use numpy.lib.stride_tricks.sliding_window_view",
    ),
    "endless_loop": ("a trial that never ends is ended, and counts as failed", "give the loop a way out"),
    "huge": ("it takes more memory or time than a trial has", "work on the bars that are there"),
    "entrypoint": (
        "the engine needs a subclass of backtesting.Strategy by this name",
        "write it at the module's top level",
    ),
}


def unreadable(
    rule: str, message: str, *, line: int = 1, column: int = 1, why: str = "", instead: str = ""
) -> Finding:
    """A finding of READING, with the rule's own reason and advice where none better is given."""
    usual_why, usual_instead = READING[rule]
    return Finding(
        rule=rule,
        line=line,
        column=column,
        message=message,
        why=why or usual_why,
        instead=instead or usual_instead,
    )


def at_position(source: str, position: int, rule: str, message: str) -> Finding:
    """A finding of READING at a character of the text."""
    line = source.count("\n", 0, position) + 1
    column = position - (source.rfind("\n", 0, position) + 1) + 1
    return unreadable(rule, message, line=line, column=column)
