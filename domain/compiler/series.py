"""Which indicators a definition mentions, what they are called, and how they are computed once, in `init`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from domain.compiler.names import Names
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
    Rule,
    Rulebook,
)
from domain.rules.catalogue import CATALOGUE
from domain.rules.tree import children, walk
from schemas.definition import Distance, DistanceKind, StrategyDefinition

Call = Indicator
"""An indicator with its lines left out: what one call of TA-Lib returns."""


@dataclass(frozen=True)
class Computed:
    """One call with the attributes that hold its lines, in the catalogue's order."""

    call: Call
    attributes: tuple[str, ...]

    def attribute(self, line: str) -> str:
        return self.attributes[CATALOGUE[self.call.name].lines.index(line)]


def plain(expr: Expr) -> Expr:
    """`expr` with the definition's own names replaced by what they stand for."""
    match expr:
        case Named(expr=inner):
            return plain(inner)
        case Lag(expr=inner) | Negative(expr=inner):
            return replace(expr, expr=plain(inner))
        case Arithmetic(left=left, right=right):
            return replace(expr, left=plain(left), right=plain(right))
        case Indicator(source=source) if source is not None:
            return replace(expr, source=plain(source))
    return expr


def call_of(indicator: Indicator) -> Call:
    """The same for every line, and however the definition names its source."""
    call = plain(indicator)
    assert isinstance(call, Indicator)
    return replace(call, line="")


def atr_of(limit: Distance) -> Indicator:
    return Indicator("ATR", (("period", Number(float(limit.period))),), None)


def computed_series(definition: StrategyDefinition, rulebook: Rulebook, names: Names) -> list[Computed]:
    """Every call once, sources before what is computed from them, in the order of the definition."""
    rules = (*rulebook.entry, *rulebook.exit, *rulebook.short_entry, *rulebook.short_exit)
    calls = [call for rule in rules for call in _calls(rule.condition)]
    risk = definition.risk_limits
    for limit in (risk.stop_loss, risk.trailing_stop, risk.take_profit):
        if limit is not None and limit.kind is DistanceKind.ATR:
            calls.append(call_of(atr_of(limit)))
    calls = list(dict.fromkeys(calls))
    given = _given_names(rules)
    kinds = Counter(call.name for call in calls)
    return [_name(call, given, names, alone=kinds[call.name] == 1) for call in calls]


def _calls(node: Expr | Condition) -> Iterator[Call]:
    """Post-order. ABS is a function of Python, not a series of its own."""
    for part in children(node):
        yield from _calls(part)
    if isinstance(node, Indicator) and node.name != "ABS":
        yield call_of(node)


def _given_names(rules: tuple[Rule, ...]) -> dict[Call, dict[str, str]]:
    """For each call, the definition's names with the line that each stands for."""
    given: dict[Call, dict[str, str]] = {}
    for rule in rules:
        for node in walk(rule.condition):
            if isinstance(node, Named) and isinstance(node.expr, Indicator) and node.expr.name != "ABS":
                given.setdefault(call_of(node.expr), {}).setdefault(node.name, node.expr.line)
    return given


def _name(call: Call, given: dict[Call, dict[str, str]], names: Names, *, alone: bool) -> Computed:
    spec = CATALOGUE[call.name]
    own = given.get(call, {})
    base = next(iter(own), None) or _describe(call, short=alone)
    if len(spec.lines) == 1:
        return Computed(call, (names.take(base),))
    by_line = {line: name for name, line in reversed(own.items())} if len(own) > 1 else {}
    wanted = [by_line.get(line) or (base if line == base else f"{base}_{line}") for line in spec.lines]
    return Computed(call, tuple(names.take(name) for name in wanted))


def _describe(call: Call, *, short: bool) -> str:
    """A name such as `rsi`, `ema_50`, `sma_volume_20` or `ema_fast`."""
    parts = [call.name.lower()]
    source = call.source
    while isinstance(source, Lag | Negative):
        source = source.expr
    if isinstance(source, Indicator):
        parts.append(source.name.lower())
    elif isinstance(source, Price) and source.column != "Close":
        parts.append(source.column.lower())
    for _, value in call.args:
        if isinstance(value, Parameter):
            parts += [
                word for word in value.name.lower().split("_") if word and word not in (*parts, "period")
            ]
        elif not short:
            parts.append(f"{value.value:g}".replace(".", "_").replace("+", "").replace("-", "_"))
    return "_".join(parts)


# Which calls a condition can't do without


def needed(condition: Condition, negated: bool = False) -> frozenset[Call]:
    """The calls whose values must all be there for the condition to hold (or, negated, to fail)."""
    match condition:
        case Compare(left=left, right=right) | Cross(left=left, right=right):
            return frozenset((*_calls(left), *_calls(right)))
        case Not(expr=inner):
            return needed(inner, not negated)
        case Logic(op=op, parts=parts):
            sets = [needed(part, negated) for part in parts]
            every = (op == "and") is not negated
            return frozenset.union(*sets) if every else frozenset.intersection(*sets)


# When a call has its first value


def warm_up(call: Call, parameters: Mapping[str, float]) -> int:
    """Bars before the first value, where the source has no gaps; with gaps it may be more."""
    args = {
        name: int(parameters[value.name] if isinstance(value, Parameter) else value.value)
        for name, value in call.args
    }
    inner = [
        node for node in walk(call) if isinstance(node, Indicator) and node is not call and node.name != "ABS"
    ]
    return _OWN_WARM_UP[call.name](args) + max(
        (warm_up(call_of(node), parameters) for node in inner), default=0
    )


def gapless(expr: Expr) -> bool:
    """Whether every bar has a value once the first one has. A division may leave gaps, and so may a lack of volume."""
    return not any(
        (isinstance(node, Indicator) and node.name == "VWAP")
        or (isinstance(node, Arithmetic) and node.op == "/")
        for node in walk(expr)
    )


def _period_less_one(args: Mapping[str, int]) -> int:
    return args["period"] - 1


def _period(args: Mapping[str, int]) -> int:
    return args["period"]


_OWN_WARM_UP: Mapping[str, Callable[[Mapping[str, int]], int]] = {
    **dict.fromkeys(
        ("SMA", "EMA", "WMA", "STDDEV", "BBANDS", "CCI", "WILLR", "HIGHEST", "LOWEST", "VWAP"),
        _period_less_one,
    ),
    **dict.fromkeys(("RSI", "ROC", "MOM", "ATR", "NATR", "PLUS_DI", "MINUS_DI", "MFI"), _period),
    "DEMA": lambda args: 2 * (args["period"] - 1),
    "TEMA": lambda args: 3 * (args["period"] - 1),
    "ADX": lambda args: 2 * args["period"] - 1,
    "MACD": lambda args: max(args["fast"], args["slow"]) - 1 + args["signal"] - 1,
    "STOCH": lambda args: args["fastk"] - 1 + args["slowk"] - 1 + args["slowd"] - 1,
    "OBV": lambda args: 0,
}
