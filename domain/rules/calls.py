"""Indicator calls: arguments checked and completed from the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.rules.ast import Expr, Indicator, Number, Parameter, Price, Span
from domain.rules.catalogue import CATALOGUE, Argument, IndicatorSpec
from domain.rules.formal import formal, number_text
from domain.rules.scope import Scope
from domain.rules.suggest import nearest
from domain.rules.tree import is_series

MAX_PERIOD = 100_000
"""The largest that TA-Lib takes."""

_SOURCE = ("source", "series")


@dataclass(frozen=True)
class Given:
    """One argument as it stands in the rule; `name` is None for a positional one."""

    name: str | None
    value: Expr
    span: Span
    name_span: Span = (0, 0)


def usage(spec: IndicatorSpec) -> str:
    """How the indicator is written, for messages and the documentation: `BBANDS([series], period=20, dev=2)`."""
    inside = [f"{argument.name}={number_text(argument.default)}" for argument in spec.arguments]
    if spec.one_series:
        inside.insert(0, "series" if not spec.arguments else "[series]")
    return f"{spec.name}({', '.join(inside)})"


def call(scope: Scope, spec: IndicatorSpec, given: list[Given], span: Span) -> Indicator:
    """The call with every argument in place, or RuleError saying what the indicator takes."""
    source: Expr | None = None
    values: dict[str, tuple[Number | Parameter, Span]] = {}
    free = [argument.name for argument in spec.arguments]
    for place, item in enumerate(given):
        as_source = item.name in _SOURCE if item.name else place == 0 and is_series(item.value)
        if as_source:
            if source is not None:
                raise scope.error(item.span, f"the series of {spec.name} is given twice; write {usage(spec)}")
            source = _series(scope, spec, item)
            continue
        argument = _argument(scope, spec, item, free)
        if argument.name in values:
            raise scope.error(
                item.span, f"{argument.name} of {spec.name} is given twice; write {usage(spec)}"
            )
        values[argument.name] = _value(scope, spec, argument, item), item.span
        free.remove(argument.name)
    return complete(scope, spec, values, source, span)


def complete(
    scope: Scope,
    spec: IndicatorSpec,
    values: Mapping[str, tuple[Number | Parameter, Span]],
    source: Expr | None,
    span: Span,
    line: str | None = None,
) -> Indicator:
    """The indicator with defaults filled in, values within its bounds, and the default series and line."""
    args: list[tuple[str, Number | Parameter]] = []
    for argument in spec.arguments:
        value, where = values.get(argument.name, (Number(argument.default), span))
        _check(scope, spec, argument, value, where)
        args.append((argument.name, value))
    if spec.name == "MACD":
        _check_macd(scope, dict(args), span)
    if source is None and spec.one_series:
        if not spec.arguments:
            raise scope.error(span, f"{spec.name} needs a series", f"{spec.name}(Close - Open)")
        source = Price("Close")
    return Indicator(spec.name, tuple(args), source, line or spec.default_line or spec.lines[0], span)


def with_period(
    scope: Scope, spec: IndicatorSpec, bars: int, where: Span, source: Expr | None, span: Span
) -> Indicator:
    """The indicator with its one period set, as in "20-day SMA"."""
    if not any(argument.name == "period" for argument in spec.arguments):
        raise scope.error(span, f"{spec.name} has no single period; write {usage(spec)}", usage(spec))
    return complete(scope, spec, {"period": (Number(bars, where), where)}, source, span)


def line_of(scope: Scope, node: Indicator, line: str, span: Span) -> Indicator:
    """`node` with the line of that name, or RuleError naming the lines there are."""
    spec = CATALOGUE[node.name]
    name = {"histogram": "hist", "mid": "middle"}.get(line.lower(), line.lower())
    if name not in spec.lines:
        if len(spec.lines) == 1:
            raise scope.error(
                span, f"{spec.name} has a single line, so it can't be asked for '{line}'; leave that out"
            )
        near = nearest(name, spec.lines) or spec.lines[0]
        raise scope.error(
            span,
            f"{spec.name} has no line '{line}'; its lines are {', '.join(spec.lines)}",
            f".{near}",
        )
    return Indicator(node.name, node.args, node.source, name, span)


def _series(scope: Scope, spec: IndicatorSpec, item: Given) -> Expr:
    if not spec.one_series:
        columns = ", ".join(spec.columns)
        raise scope.error(
            item.span, f"{spec.name} is computed from {columns} and takes no series; write {usage(spec)}"
        )
    if not is_series(item.value):
        raise scope.error(
            item.span, f"the series of {spec.name} must change from bar to bar", f"{spec.name}(Close)"
        )
    return item.value


def _argument(scope: Scope, spec: IndicatorSpec, item: Given, free: list[str]) -> Argument:
    if item.name is None:
        if is_series(item.value):
            if spec.one_series and spec.arguments:
                message = f"the series of {spec.name} comes first, then numbers; write {usage(spec)}"
                raise scope.error(
                    item.span,
                    message,
                    f"{spec.name}({formal(item.value)}, {number_text(spec.arguments[0].default)})",
                )
            _series(scope, spec, item)
        if not free:
            takes = (
                f"{len(spec.arguments)} number{'' if len(spec.arguments) == 1 else 's'}"
                if spec.arguments
                else "no number"
            )
            raise scope.error(item.span, f"{spec.name} takes {takes}; write {usage(spec)}")
        return next(argument for argument in spec.arguments if argument.name == free[0])
    wanted = item.name.lower()
    for argument in spec.arguments:
        if wanted == argument.name or wanted in argument.aliases:
            return argument
    near = nearest(wanted, [argument.name for argument in spec.arguments], cutoff=0.4)
    raise scope.error(
        item.name_span,
        f"{spec.name} has no argument '{item.name}'; write {usage(spec)}",
        f"{near}={formal(item.value)}" if near else "",
    )


def _value(scope: Scope, spec: IndicatorSpec, argument: Argument, item: Given) -> Number | Parameter:
    value = item.value
    if not isinstance(value, Number | Parameter):
        what = "a whole number" if argument.kind == "int" else "a number"
        raise scope.error(
            item.span, f"{argument.name} of {spec.name} must be {what} or the name of a parameter"
        )
    if isinstance(value, Number) and argument.kind == "int" and value.value == int(value.value):
        return Number(int(value.value), value.span)
    return value


def _check(
    scope: Scope, spec: IndicatorSpec, argument: Argument, value: Number | Parameter, span: Span
) -> None:
    amount = value.value if isinstance(value, Number) else scope.parameters[value.name]
    shown = (
        number_text(amount)
        if isinstance(value, Number)
        else f"parameter {value.name} = {number_text(amount)}"
    )
    if argument.kind == "int" and amount != int(amount):
        raise scope.error(span, f"{argument.name} of {spec.name} must be a whole number, not {shown}")
    if amount < argument.minimum:
        least = number_text(argument.minimum)
        raise scope.error(span, f"{argument.name} of {spec.name} must be at least {least}, not {shown}")
    if amount > MAX_PERIOD:
        raise scope.error(span, f"{argument.name} of {spec.name} must be at most {MAX_PERIOD}, not {shown}")


def _check_macd(scope: Scope, args: Mapping[str, Number | Parameter], span: Span) -> None:
    """TA-Lib swaps the two in silence when they are the wrong way round."""
    fast, slow = (
        value.value if isinstance(value, Number) else scope.parameters[value.name]
        for value in (args["fast"], args["slow"])
    )
    if fast >= slow:
        message = f"fast of MACD ({number_text(fast)}) must be less than slow ({number_text(slow)})"
        raise scope.error(
            span, message, f"MACD({formal(args['slow'])}, {formal(args['fast'])})" if fast > slow else ""
        )
