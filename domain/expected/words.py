"""Expressions as a person writes them, with their values."""

import math
from collections.abc import Mapping

from domain.expected.reading import Reading
from domain.rules.ast import Arithmetic, Expr, Indicator, Lag, Named, Negative, Number, Parameter, Price
from domain.rules.catalogue import CATALOGUE

_CLOSE = Price("Close")


def describe(expr: Expr, reading: Reading, bar: int | None = None) -> str:
    """The expression's text; with `bar`, followed by its value there: `RSI(14) = 28.4`. A number is its own value."""
    text = _text(expr, reading.definition.indicators)
    if bar is None or isinstance(expr, Number):
        return text
    return f"{text} = {number(float(reading.value(expr)[bar]))}"


def number(value: float) -> str:
    return "missing" if math.isnan(value) else f"{value:.8g}"


def _text(expr: Expr, named: Mapping[str, str]) -> str:
    match expr:
        case Number(value=value):
            return number(value)
        case Parameter(name=name):
            return name
        case Named(name=name, expr=inner):
            return name + _line(inner, named.get(name, ""))
        case Price(column=column):
            return column
        case Negative(expr=inner):
            return f"-{_inner(inner, named)}"
        case Lag(expr=inner, bars=bars):
            return f"{_inner(inner, named)}[{bars}]"
        case Arithmetic(op=op, left=left, right=right):
            return f"{_inner(left, named)} {op} {_inner(right, named)}"
        case Indicator(name=name, args=args, source=source):
            parts = [*([] if source in (None, _CLOSE) else [source]), *(value for _, value in args)]
            arguments = [_text(part, named) for part in parts if part is not None]
            return f"{name}({', '.join(arguments)}){_line(expr, '')}"


def _inner(expr: Expr, named: Mapping[str, str]) -> str:
    text = _text(expr, named)
    return f"({text})" if isinstance(expr, Arithmetic | Negative) else text


def _line(expr: Expr, meaning: str) -> str:
    """The line of an indicator that has several, unless the name's own meaning ends with it."""
    if not isinstance(expr, Indicator) or len(CATALOGUE[expr.name].lines) == 1:
        return ""
    return "" if meaning.rstrip().lower().endswith(f".{expr.line}") else f".{expr.line}"
