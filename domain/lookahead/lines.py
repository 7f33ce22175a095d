"""Lines of a strategy that may be how it knows the future. Only looked for once it has been seen to."""

import ast
from collections.abc import Iterator

_WHOLE = {"fit", "polyfit", "argmax", "argmin", "idxmax", "idxmin", "bfill", "backfill", "interpolate"}
_FILES = {"open", "read_csv", "loadtxt", "genfromtxt", "read_text", "fromfile"}
_WHOLE_DATA = {"_Data__df", "_Data__arrays", "_Data__cache", "_data", "df"}


def suspicious_lines(source: str, indicators: set[str]) -> list[str]:
    """`line 12: …` for where one of `indicators` (names of attributes) is assigned, and for calls that are often the
    reason: shifts back, centred windows, filling backwards, fits to everything, files, the engine's own data.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = dict(_found(tree, indicators))
    return [f"line {line}: {text}" for line, text in sorted(found.items())]


def _found(tree: ast.AST, indicators: set[str]) -> Iterator[tuple[int, str]]:
    nodes = list(ast.walk(tree))
    for node in nodes:
        match node:
            case ast.Attribute(attr=name) if name in _WHOLE_DATA and _of_data(node):
                yield node.lineno, f".{name} is the engine's whole data"
    for node in nodes:
        match node:
            case ast.Assign(targets=targets):
                for target in targets:
                    for held in ast.walk(target):
                        if isinstance(held, ast.Attribute) and held.attr in indicators:
                            yield node.lineno, f"self.{held.attr} is computed here"
    for node in nodes:
        if isinstance(node, ast.Call) and (text := _reason(node)):
            yield node.lineno, text


def _of_data(node: ast.Attribute) -> bool:
    return node.attr.startswith("_") or (isinstance(node.value, ast.Attribute) and node.value.attr == "data")


def _reason(call: ast.Call) -> str | None:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if name in {"shift", "roll"} and any(_negative(argument) for argument in arguments):
        return f"{name} by a negative number takes values of later bars"
    for keyword in call.keywords:
        if keyword.arg == "center" and not _is(keyword.value, False):
            return "a centred window holds later bars"
        if keyword.arg == "method" and (_is(keyword.value, "bfill") or _is(keyword.value, "backfill")):
            return "gaps are filled with values of later bars"
    if name in _FILES:
        return f"{name} reads a file"
    if name in _WHOLE:
        return f"{name} may look at later bars"
    return None


def _negative(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _is(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value == value and type(node.value) is type(value)
