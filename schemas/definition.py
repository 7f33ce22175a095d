"""The canonical strategy definition, schema 2.x.

A definition says *what* is traded and by which rules. The rules are texts in the rule language (docs/rules.md);
this module checks what can be said without reading them, `domain.definitions` checks the rest.
"""

import keyword
import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.base import Shape
from schemas.secrets import SecretName

SCHEMA_VERSION: Final = "2.0"

INTERVALS = ("1m", "2m", "5m", "15m", "30m", "1h", "2h", "4h", "1d", "1wk", "1mo")
"""Bar lengths, shortest first."""

_PERIOD = re.compile(r"max|ytd|[1-9][0-9]{0,3}(d|wk|mo|y)")
_SEMVER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?")


def _identifier(name: str) -> str:
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise ValueError(f"'{name}' is a Python keyword; choose another name, for example '{name}_'")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(
            f"'{name}' can't be a name; allowed are letters, digits and '_', beginning with a letter"
        )
    if "__" in name:
        raise ValueError(f"'{name}' holds '__', which Python reserves; use a single '_'")
    return name


def _version(text: str) -> str:
    if not _SEMVER.fullmatch(text):
        raise ValueError(f"'{text}' is not a version; write three numbers, for example 1.0.0")
    return text


def _period(text: str) -> str:
    if not _PERIOD.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a period; allowed are max, ytd, or a number with d, wk, mo or y (5y)"
        )
    return text


def _interval(text: str) -> str:
    if text not in INTERVALS:
        raise ValueError(f"'{text}' is not an interval; allowed are {', '.join(INTERVALS)}")
    return text


def _rule(text: str) -> str:
    if not text.strip():
        raise ValueError("the rule is empty; write a condition such as 'RSI(14) < 30', or remove it")
    return text.strip()


Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_identifier)]
Rule = Annotated[str, Field(max_length=1000), AfterValidator(_rule)]
Number = int | float


class DistanceKind(StrEnum):
    """How far a stop or target lies: from the price at which the order is decided (docs/rules.md)."""

    PERCENT = "percent"
    ATR = "atr"
    DISTANCE = "distance"  # in units of price
    PRICE = "price"  # an absolute level


_AMOUNT = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_DISTANCE = re.compile(
    rf"^\s*(?:(?P<percent>{_AMOUNT})\s*%|(?P<atr>{_AMOUNT})\s*(?:x|\*|times)?\s*ATR(?:\((?P<period>[0-9]+)\))?"
    rf"|price\s+(?P<price>{_AMOUNT})|distance\s+(?P<distance>{_AMOUNT}))\s*$",
    re.IGNORECASE,
)


def _distance(value: Any) -> Any:
    """Accept '2%', '2 ATR', '2 ATR(14)', 'price 95.5' and 'distance 0.002' beside the object form."""
    if isinstance(value, bool | int | float):
        raise ValueError(f"{value!r} has no unit; write '{value}%', '{value} ATR', 'price …' or 'distance …'")
    if not isinstance(value, str):
        return value
    found = _DISTANCE.match(value)
    if not found:
        raise ValueError(
            f"'{value}' is not understood; allowed are '2%', '2 ATR(14)', 'price 95.5' and 'distance 0.002'"
        )
    parts = {kind: text for kind, text in found.groupdict().items() if text is not None}
    period = parts.pop("period", None)
    ((kind, text),) = parts.items()
    return {"kind": kind, "value": float(text)} | ({"period": int(period)} if period else {})


class Distance(Shape):
    """A stop, target or trail. `value` is a number > 0 or the name of a parameter."""

    kind: DistanceKind
    value: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Name
    period: Annotated[int, Field(ge=2, le=500)] = 14
    """Bars of the ATR; without meaning for other kinds."""

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return {
            DistanceKind.PERCENT: f"{value}%",
            DistanceKind.ATR: f"{value} ATR({self.period})",
            DistanceKind.DISTANCE: f"distance {value}",
            DistanceKind.PRICE: f"price {value}",
        }[self.kind]


AnyDistance = Annotated[Distance, BeforeValidator(_distance, json_schema_input_type=Distance | str)]


class RiskLimits(Shape):
    """What ends or bounds a position beside its rules."""

    stop_loss: AnyDistance | None = None
    take_profit: AnyDistance | None = None
    trailing_stop: AnyDistance | None = None
    max_holding_bars: Annotated[int, Field(ge=1, le=100_000)] | Name | None = None
    max_position: Annotated[float, Field(gt=0, le=100)] | None = None
    """Most of the equity in one position, in percent."""

    @model_validator(mode="after")
    def _trail_moves(self) -> Self:
        if self.trailing_stop and self.trailing_stop.kind is DistanceKind.PRICE:
            raise ValueError("trailing_stop: a trail can't be a fixed price; allowed are %, ATR and distance")
        return self


class SizingMode(StrEnum):
    PERCENT_OF_EQUITY = "percent_of_equity"
    FIXED_UNITS = "fixed_units"
    FIXED_CASH = "fixed_cash"
    RISK_PERCENT = "risk_percent"  # of equity lost if the stop is hit; needs a stop_loss


class PositionSizing(Shape):
    mode: SizingMode = SizingMode.PERCENT_OF_EQUITY
    value: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 95.0

    @model_validator(mode="after")
    def _in_bounds(self) -> Self:
        if self.mode in (SizingMode.PERCENT_OF_EQUITY, SizingMode.RISK_PERCENT) and self.value > 100:
            raise ValueError(f"{self.mode} is {self.value:g}; allowed is more than 0 and at most 100")
        if self.mode is SizingMode.FIXED_UNITS and self.value != int(self.value):
            raise ValueError(f"fixed_units is {self.value:g}; allowed are whole numbers of units")
        return self


class Thresholds(Shape):
    """What a result must reach to be merged as it is; None sets no bound."""

    min_trades: Annotated[int, Field(ge=1)] | None = None
    max_drawdown: Annotated[float, Field(gt=0, le=100)] | None = None
    """Worst drawdown allowed, in percent, as a positive number."""
    min_sharpe: Annotated[float, Field(allow_inf_nan=False)] | None = None
    min_deflated_sharpe: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least probability that the true Sharpe ratio is above 0, given how often was tried (docs/verdict.md)."""


class StrategyDefinition(Shape):
    """One strategy, complete: from it alone code is written and judged."""

    schema_version: Literal["2.0"] = SCHEMA_VERSION
    name: Name
    description: Annotated[str, Field(max_length=4000)] = ""
    version: Annotated[str, AfterValidator(_version)] = "1.0.0"
    framework: Literal["backtesting.py"] = "backtesting.py"
    symbol: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._=^/-]+$")]
    period: Annotated[str, AfterValidator(_period)] = "max"
    interval: Annotated[str, AfterValidator(_interval)] = "1d"
    start_date: date | None = None
    end_date: date | None = None
    parameters: dict[Name, Number] = Field(default_factory=dict, max_length=64)
    indicators: dict[Name, Rule] = Field(default_factory=dict, max_length=64)
    """Names for expressions of the rule language, for example {"rsi": "RSI(rsi_period)"}."""
    entry_rules: list[Rule] = Field(default_factory=list, max_length=32)
    exit_rules: list[Rule] = Field(default_factory=list, max_length=32)
    short_entry_rules: list[Rule] = Field(default_factory=list, max_length=32)
    short_exit_rules: list[Rule] = Field(default_factory=list, max_length=32)
    position_sizing: PositionSizing = PositionSizing()
    risk_limits: RiskLimits = RiskLimits()
    thresholds: Thresholds = Thresholds()
    tags: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default_factory=list, max_length=32
    )
    notes: Annotated[str, Field(max_length=8000)] = ""
    secrets: list[SecretName] = Field(default_factory=list, max_length=16)
    """What its trials want in their environment; given where GENESIS_SANDBOX_SECRETS allows it (docs/secrets.md)."""
    created: date | None = None
    updated: date | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if not self.entry_rules and not self.short_entry_rules:
            raise ValueError(
                "entry_rules: empty, and so is short_entry_rules; at least one entry rule is needed"
            )
        for side, entry, leave in (
            ("exit_rules", self.entry_rules, self.exit_rules),
            ("short_exit_rules", self.short_entry_rules, self.short_exit_rules),
        ):
            if leave and not entry:
                raise ValueError(
                    f"{side}: given, but nothing enters on that side; remove them or add entry rules"
                )
            if entry and not leave and not self._ends_without_rules():
                raise ValueError(
                    f"{side}: empty, so a position would never end; add an exit rule, a stop_loss, take_profit, "
                    "trailing_stop or max_holding_bars, or entry rules for the other side"
                )
        if self.position_sizing.mode is SizingMode.RISK_PERCENT and not self.risk_limits.stop_loss:
            raise ValueError(
                "position_sizing: risk_percent needs a risk_limits.stop_loss to measure the risk by"
            )
        if self.start_date and self.end_date and self.start_date >= self.end_date:
            raise ValueError(f"end_date: {self.end_date} is not after start_date {self.start_date}")
        if twice := sorted(set(self.parameters) & set(self.indicators)):
            raise ValueError(f"indicators.{twice[0]}: also the name of a parameter; names must differ")
        return self

    def _ends_without_rules(self) -> bool:
        risk = self.risk_limits
        limits = (risk.stop_loss, risk.take_profit, risk.trailing_stop, risk.max_holding_bars)
        return any(limits) or bool(self.entry_rules and self.short_entry_rules)
