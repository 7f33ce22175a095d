"""Expressions and conditions as Python.

In `next` a value is the one of this bar (`self.rsi[-1]`), in `init` it is the whole series (`self.data.Close`). A
value that isn't there is nan, and no comparison with nan holds; `not` is therefore carried down to the comparisons, so
that it can't turn a missing value into a rule that holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from domain.compiler.names import HELPERS, LOCAL_NAMES, Names
from domain.compiler.series import Call, Computed, call_of, gapless
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

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_OR, _AND, _SUM, _PRODUCT, _MINUS, _ATOM = range(6)
"""How tightly a piece of Python binds."""

Piece = tuple[str, int]


@dataclass
class Writer:
    """Writes expressions, and remembers which helpers and variables they need."""

    parameters: Mapping[str, str]
    """Name in the definition to attribute."""
    computed: Mapping[Call, Computed]
    reach: int
    """Bars of the past that are there at the first decision."""
    values: Mapping[str, float]
    """The parameters' values."""
    helpers: set[str] = field(default_factory=set)
    """`ratio`, `past`, `price`, `deep` (a look-back that relies on every indicator having a value)."""
    variables: dict[str, Named] = field(default_factory=dict)
    """The definition's named formulas that become variables of `next`, by the variable's name."""
    _variable_names: dict[str, str] = field(default_factory=dict)
    _names: Names = field(default_factory=lambda: Names(LOCAL_NAMES | HELPERS))

    # This bar's values

    def now(self, expr: Expr) -> str:
        return self._value(expr, 0)[0]

    def _value(self, expr: Expr, lag: int) -> Piece:
        match expr:
            case Number(value=value):
                return number(value), _ATOM if value >= 0 else _MINUS
            case Parameter(name=name):
                return f"self.{self.parameters[name]}", _ATOM
            case Price(column="Close") if lag == 0:
                self.helpers.add("price")
                return "price", _ATOM
            case Price(column=column):
                return self._past(f"self.data.{column}", lag), _ATOM
            case Lag(expr=inner, bars=bars):
                return self._value(inner, lag + bars)
            case Named(expr=inner):
                if lag == 0 and isinstance(inner, Arithmetic | Negative):
                    return self._variable(expr), _ATOM
                return self._value(inner, lag)
            case Indicator(name="ABS", source=source):
                assert source is not None
                return f"abs({self._value(source, lag)[0]})", _ATOM
            case Indicator():
                attribute = self.computed[call_of(expr)].attribute(expr.line)
                return self._past(f"self.{attribute}", lag), _ATOM
            case Negative() | Arithmetic():
                return self._formula(expr, lambda part: self._value(part, lag))

    def _variable(self, named: Named) -> str:
        if named.name not in self._variable_names:
            variable = self._names.take(named.name)
            self._variable_names[named.name] = variable
            self.variables[variable] = named
        return self._variable_names[named.name]

    def _past(self, series: str, lag: int) -> str:
        if lag > self.reach:
            self.helpers.add("past")
            return f"past({series}, {lag})"
        if lag > 1:
            self.helpers.add("deep")
        return f"{series}[{-1 - lag}]"

    # Whole series

    def series(self, expr: Expr) -> str:
        return self._whole(expr, 0)[0]

    def _whole(self, expr: Expr, lag: int) -> Piece:
        match expr:
            case Number() | Parameter():
                return self._value(expr, 0)
            case Price(column=column):
                return _shifted(f"self.data.{column}", lag), _ATOM
            case Lag(expr=inner, bars=bars):
                return self._whole(inner, lag + bars)
            case Named(expr=inner):
                return self._whole(inner, lag)
            case Indicator(name="ABS", source=source):
                assert source is not None
                return f"abs({self._whole(source, lag)[0]})", _ATOM
            case Indicator():
                return _shifted(f"self.{self.computed[call_of(expr)].attribute(expr.line)}", lag), _ATOM
            case Negative() | Arithmetic():
                return self._formula(expr, lambda part: self._whole(part, lag))

    # Both

    def _formula(self, expr: Negative | Arithmetic, piece: Callable[[Expr], Piece]) -> Piece:
        if isinstance(expr, Negative):
            return f"-{_wrapped(piece(expr.expr), _ATOM)}", _MINUS
        left, right = piece(expr.left), piece(expr.right)
        if expr.op == "/" and not self._never_zero(expr.right):
            self.helpers.add("ratio")
            return f"ratio({left[0]}, {right[0]})", _ATOM
        level = _SUM if expr.op in "+-" else _PRODUCT
        # Brackets to the right keep the order of operations, and with it the last bit.
        return f"{_wrapped(left, level)} {expr.op} {_wrapped(right, level + 1)}", level

    def _never_zero(self, expr: Expr) -> bool:
        return (isinstance(expr, Number) and expr.value != 0) or self._positive(expr)

    def _positive(self, expr: Expr) -> bool:
        """Whether the value is certainly above zero; prices are."""
        match expr:
            case Number(value=value):
                return value > 0
            case Parameter(name=name):
                return self.values[name] > 0
            case Price(column=column):
                return column != "Volume"
            case Lag(expr=inner) | Named(expr=inner):
                return self._positive(inner)
            case Indicator(name="SMA" | "EMA" | "WMA" | "HIGHEST" | "LOWEST", source=source):
                return source is None or self._positive(source)
            case Indicator(name="BBANDS", line="middle", source=source):
                return source is None or self._positive(source)
        return False

    # Conditions

    def condition(self, condition: Condition) -> str:
        """Python that is true where the condition holds; never where it needs a value that isn't there."""
        return self._condition(condition, negated=False)[0]

    def conjunct(self, condition: Condition) -> str:
        """The same, for a place between `and`."""
        return _wrapped(self._condition(condition, negated=False), _AND)

    def _condition(self, condition: Condition, *, negated: bool) -> Piece:
        match condition:
            case Compare(op=op, left=left, right=right):
                return _comparison(
                    _OPPOSITE[op] if negated else op, self._value(left, 0)[0], self._value(right, 0)[0]
                )
            case Cross(direction=direction, left=left, right=right):
                before, after = ("<=", ">") if direction == "above" else (">=", "<")
                if negated:
                    before, after = _OPPOSITE[before], _OPPOSITE[after]
                was = f"{self._value(left, 1)[0]} {before} {self._value(right, 1)[0]}"
                now = f"{self._value(left, 0)[0]} {after} {self._value(right, 0)[0]}"
                return (f"{was} or {now}", _OR) if negated else (f"{was} and {now}", _AND)
            case Not(expr=inner):
                return self._condition(inner, negated=not negated)
            case Logic(op=op, parts=parts):
                joined, level = ("and", _AND) if (op == "and") is not negated else ("or", _OR)
                texts = [_wrapped(self._condition(part, negated=negated), level) for part in parts]
                return f" {joined} ".join(texts), level


def _comparison(op: str, left: str, right: str) -> Piece:
    if op == "!=":  # which alone would hold for nan
        return f"{left} < {right} or {left} > {right}", _OR
    return f"{left} {op} {right}", _ATOM


def _wrapped(piece: Piece, least: int) -> str:
    text, level = piece
    return text if level >= least else f"({text})"


def _shifted(series: str, lag: int) -> str:
    return f"{series}.s.shift({lag})" if lag else series


def number(value: float) -> str:
    """A literal that reads back as the same number, without a needless `.0`."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def talib_call(call: Call, writer: Writer) -> str:
    """The right side of the assignment in `init`."""
    spec = CATALOGUE[call.name]
    if call.source is not None:
        source = writer.series(call.source)
        # TA-Lib would give no values after a gap, or wrong ones; the last value stands in.
        inputs = [source if gapless(call.source) else f"pd.Series({source}).ffill()"]
    else:
        inputs = [f"self.data.{column}" for column in spec.columns or ("Close",)]
    values = {name: writer.series(value) for name, value in call.args}
    if spec.talib is None:
        return f"self.I({', '.join([call.name.lower(), *inputs, *values.values()])})"
    keywords = {argument.talib: values[argument.name] for argument in spec.arguments}
    if call.name == "BBANDS":
        keywords["nbdevdn"] = keywords["nbdevup"]
    if len(keywords) == 1:
        arguments = list(keywords.values())
    else:
        arguments = [f"{name}={value}" for name, value in keywords.items()]
    return f"self.I({', '.join([f'talib.{spec.talib}', *inputs, *arguments])})"
