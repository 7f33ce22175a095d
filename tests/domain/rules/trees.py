"""Trees drawn at random, of the forms that the reader makes."""

from typing import Any

from hypothesis import strategies as st

from domain.rules.ast import (
    Arithmetic,
    Compare,
    Cross,
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
from domain.rules.tree import is_series, too_large

PARAMETERS = {"fast": 5, "slow": 30, "dev": 2.5}
INDICATORS: dict[str, Any] = {
    "bands": Indicator("BBANDS", (("period", Number(20)), ("dev", Number(2))), Price("Close"), "middle"),
    "gap": Arithmetic("-", Price("Close"), Price("Open")),
}

prices = st.sampled_from(["Open", "High", "Low", "Close", "Volume"]).map(Price)
numbers = st.one_of(
    st.integers(-1000, 1000).map(lambda value: Number(float(value))),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: Number(value + 0.0)),
)
named = st.one_of(
    st.just(Named("gap", INDICATORS["gap"])),
    st.sampled_from(["upper", "middle", "lower"]).map(
        lambda line: Named("bands", Indicator("BBANDS", INDICATORS["bands"].args, Price("Close"), line))
    ),
)


def argument(spec: Any) -> st.SearchStrategy[Number | Parameter]:
    if spec.kind == "float":
        return st.one_of(st.floats(0.5, 9).map(Number), st.just(Parameter("dev")))
    if spec.name in ("fast", "slow"):
        low, high = (2, 19) if spec.name == "fast" else (20, 60)
        return st.one_of(st.integers(low, high).map(Number), st.just(Parameter(spec.name)))
    return st.one_of(st.integers(2, 60).map(Number), st.sampled_from(["fast", "slow"]).map(Parameter))


@st.composite
def indicators(draw: st.DrawFn, series: st.SearchStrategy[Any]) -> Indicator:
    spec = draw(st.sampled_from(list(CATALOGUE.values())))
    args = tuple((each.name, draw(argument(each))) for each in spec.arguments)
    source = draw(series) if spec.one_series else None
    return Indicator(spec.name, args, source, draw(st.sampled_from(spec.lines)))


def _negative(expr: Any) -> Any:
    return Number(-expr.value) if isinstance(expr, Number) and expr.value > 0 else Negative(expr)


def _divisible(node: Arithmetic) -> bool:
    return not (node.op == "/" and isinstance(node.right, Number) and node.right.value == 0)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    series = inner.filter(is_series)
    return st.one_of(
        indicators(series),
        st.builds(Lag, series.filter(lambda node: not isinstance(node, Lag)), st.integers(1, 9)),
        inner.map(_negative),
        st.builds(Arithmetic, st.sampled_from("+-*/"), inner, inner).filter(_divisible),
    )


expressions = st.recursive(
    st.one_of(prices, numbers, named, st.sampled_from(list(PARAMETERS)).map(Parameter)), _grown, max_leaves=6
)


@st.composite
def comparisons(draw: st.DrawFn) -> Compare | Cross:
    left, right = draw(expressions), draw(expressions)
    if not is_series(left) and not is_series(right):
        left = draw(prices)
    if draw(st.booleans()):
        return Cross(draw(st.sampled_from(["above", "below"])), left, right)
    return Compare(draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="])), left, right)


@st.composite
def logic(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> Logic:
    op = draw(st.sampled_from(["and", "or"]))
    parts: list[Any] = []
    for part in draw(st.lists(inner, min_size=2, max_size=3)):
        parts += part.parts if isinstance(part, Logic) and part.op == op else (part,)
    return Logic(op, tuple(parts))


conditions = st.recursive(
    comparisons(), lambda inner: st.one_of(inner.map(Not), logic(inner)), max_leaves=4
).filter(lambda node: not too_large(node))
