"""A tree as text in the formal form, the one that `domain.rules.parse` reads back into the same tree."""

from domain.rules.ast import (
    Arithmetic,
    Compare,
    Condition,
    Cross,
    Expr,
    Indicator,
    Lag,
    Logic,
    Named,
    Negative,
    Not,
    Number,
    Parameter,
    Price,
)
from domain.rules.catalogue import CATALOGUE

_SUM, _PRODUCT, _UNARY, _ATOM = range(4)
_STRENGTH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}


def formal(node: Expr | Condition) -> str:
    """The formal text of a rule or an expression, for example `EMA(50) crosses above EMA(200)`."""
    match node:
        case Compare(op, left, right):
            return f"{formal(left)} {op} {formal(right)}"
        case Cross(direction, left, right):
            return f"{formal(left)} crosses {direction} {formal(right)}"
        case Not(inner):
            return f"not ({formal(inner)})"
        case Logic(op, parts):
            return f" {op} ".join(
                f"({formal(part)})" if isinstance(part, Logic) else formal(part) for part in parts
            )
        case _:
            return _text(node, _SUM)


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _text(node: Expr, least: int) -> str:
    text, strength = _parts(node)
    return f"({text})" if strength < least else text


def _parts(node: Expr) -> tuple[str, int]:
    match node:
        case Number(value):
            return number_text(value), _UNARY if value < 0 else _ATOM
        case Parameter(name):
            return name, _ATOM
        case Price(column):
            return column, _ATOM
        case Indicator():
            return _indicator(node), _ATOM
        case Named(name, expr):
            return name + (_line(expr) if isinstance(expr, Indicator) else ""), _ATOM
        case Lag(expr, bars):
            return f"{_text(expr, _ATOM)}[{bars}]", _ATOM
        case Negative(expr):
            return f"-{_text(expr, _ATOM)}", _UNARY
        case Arithmetic(op, left, right):
            strength = _STRENGTH[op]
            return f"{_text(left, strength)} {op} {_text(right, strength + 1)}", strength


def _indicator(node: Indicator) -> str:
    source = node.source
    given = () if source is None or (source == Price("Close") and node.args) else (source,)
    parts = [*(_text(part, _SUM) for part in given), *(formal(value) for _, value in node.args)]
    return f"{node.name}{'(' + ', '.join(parts) + ')' if parts else ''}{_line(node)}"


def _line(node: Indicator) -> str:
    spec = CATALOGUE[node.name]
    return "" if node.line == (spec.default_line or spec.lines[0]) else f".{node.line}"
