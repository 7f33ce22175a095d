"""Sentences that bound a position: "stop 2% below entry", "take profit at 5%", "risk 1% per trade"."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from domain.rules.ast import Span
from domain.rules.english import unit_problem, whole_number
from domain.rules.errors import RuleError
from domain.rules.suggest import nearest
from schemas.definition import Distance, DistanceKind, PositionSizing, SizingMode

RiskKind = Literal["stop_loss", "take_profit", "trailing_stop", "max_holding_bars", "sizing", "max_position"]

MAX_LENGTH = 200
_EXAMPLES = (
    *(
        "stop 2% below entry",
        "stop loss at 2%",
        "stop 1.5 ATR below entry",
        "2% stop loss",
        "stop at 95.5",
        "20 pips stop",
    ),
    *("take profit at 5%", "target 3 ATR(14)", "trailing stop of 3 ATR", "trail by 2%", "exit after 10 bars"),
    *("hold at most 10 bars", "risk 1% per trade", "invest 50% of equity", "buy 100 shares", "invest $10000"),
    *("maximum position 20% of equity",),
)
_WORDED = re.compile(
    r"\b(stop|stops|sl|tp|target|take[- ]?profits?|trail|trailing|loss(es)?|risk(ing)?|pips?|hold(ing)?|invest|"
    r"allocate|commit|siz(e|ing)|shares?|units?|contracts?|coins?|equity|capital|account|portfolio|balance|"
    r"max(imum)? position|max(imum)? hold|at most|no more than|never more than|buy|trade|after \d+)\b",
    re.IGNORECASE,
)
_KINDS: dict[str, Literal["stop_loss", "take_profit", "trailing_stop"]] = {
    "STOP": "stop_loss",
    "TARGET": "take_profit",
    "TRAIL": "trailing_stop",
}


@dataclass(frozen=True)
class RiskPhrase:
    """One statement. `value` is a Distance for stops and targets, whole bars for `max_holding_bars`, PositionSizing for
    `sizing`, percent of equity for `max_position`. `side` is the side for which the wording makes sense ("stop below
    entry": long), None for both."""

    kind: RiskKind
    value: Distance | PositionSizing | int | float
    side: Literal["long", "short"] | None = None

    def __str__(self) -> str:
        if isinstance(self.value, PositionSizing):
            return f"position_sizing = {self.value.mode} {self.value.value:g}"
        value = f"{self.value:g}" if isinstance(self.value, float) else str(self.value)
        return f"risk_limits.{self.kind} = {value}"


@cache
def grammar() -> Lark:
    return Lark.open(
        "risk.lark",
        rel_to=__file__,
        parser="lalr",
        start="phrase",
        propagate_positions=True,
        maybe_placeholders=False,
    )


def looks_like_risk(text: str) -> bool:
    """Whether a text speaks of stops, targets or size at all, so that a refusal should explain those."""
    return bool(_WORDED.search(text[:MAX_LENGTH]))


def is_risk_phrase(text: str) -> bool:
    """Whether a text has the form of such a sentence, though what it says may still be refused."""
    try:
        grammar().parse(" ".join(text[: MAX_LENGTH + 1].split()))
    except UnexpectedInput:
        return False
    return True


def pip_size(symbol: str) -> float | None:
    """The price of one pip for a currency pair such as EURUSD, EUR/USD or EURUSD=X; None for anything else."""
    pair = symbol.upper().removesuffix("=X").replace("/", "").replace("-", "").replace("_", "")
    if not re.fullmatch(r"[A-Z]{6}", pair) or not (pair[:3] in _CURRENCIES and pair[3:] in _CURRENCIES):
        return None
    return 0.01 if pair.endswith("JPY") else 0.0001


_CURRENCIES = frozenset(
    (
        *("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "PLN", "HUF", "CZK"),
        *("TRY", "ZAR", "MXN", "SGD", "HKD", "CNH", "CNY", "INR", "KRW", "THB", "ILS"),
    )
)


def parse_risk_phrase(
    text: str, *, path: str = "risk phrase", pip: float | None = 0.0001, interval: str = "1d"
) -> RiskPhrase:
    """What a sentence says of stop, target, trail, holding time or size; RuleError where it isn't understood.

    `pip` is the price of one pip, None where pips have no meaning. `interval` is the length of a bar.
    """
    shown = " ".join(text[: 4 * MAX_LENGTH].split())
    if len(text) > MAX_LENGTH:
        raise RuleError(
            path, shown, (0, 0), f"the sentence has {len(text)} characters; at most {MAX_LENGTH} are read"
        )
    try:
        tree = grammar().parse(shown)
    except (UnexpectedCharacters, UnexpectedToken) as error:
        raise _refusal(path, shown, error) from None
    return _Phrases(path, shown, pip, interval).read(cast("Tree[Token]", tree.children[0]))


def _refusal(path: str, text: str, error: UnexpectedInput) -> RuleError:
    start = error.pos_in_stream or 0
    if isinstance(error, UnexpectedToken):
        start = len(text) if error.token.type == "$END" else error.token.start_pos or 0
    rest = text[start:]
    span = (start, start + len(rest.split(" ")[0]))
    message = f"'{rest.split(' ')[0]}' is not understood here" if rest else "the sentence stops too early"
    if not looks_like_risk(text):
        message = "this says nothing of stop, target, trail, holding time or size that is understood"
    return RuleError(path, text, span, message, nearest(text, _EXAMPLES, cutoff=0.3) or _EXAMPLES[0])


@dataclass(frozen=True)
class _Phrases:
    path: str
    text: str
    pip: float | None
    interval: str

    def read(self, node: "Tree[Token]") -> RiskPhrase:
        token = cast(Token, node.children[0])
        match node.data:
            case "limit":
                return self._limit(token, cast("Tree[Token]", node.children[1]), node.children[2:])
            case "limit_named_last":
                amount = cast("Tree[Token]", node.children[0])
                return self._limit(cast(Token, node.children[1]), amount, node.children[2:])
            case "holding":
                return self._holding(cast(Token, node.children[-1]))
            case "cap":
                return RiskPhrase("max_position", self._percent(token))
        mode = {
            "risk": SizingMode.RISK_PERCENT,
            "share": SizingMode.PERCENT_OF_EQUITY,
            "units": SizingMode.FIXED_UNITS,
            "cash": SizingMode.FIXED_CASH,
        }[node.data]
        percentage = mode in (SizingMode.RISK_PERCENT, SizingMode.PERCENT_OF_EQUITY)
        value = self._percent(token) if percentage else self._positive(token)
        return RiskPhrase("sizing", PositionSizing(mode=mode, value=value))

    def _limit(self, word: Token, amount: "Tree[Token]", place: list["Tree[Token] | Token"]) -> RiskPhrase:
        kind = _KINDS[word.type]
        distance = self._distance(amount, placed=bool(place))
        token = cast(Token, amount.children[0])
        if kind == "trailing_stop" and distance.kind is DistanceKind.PRICE:
            raise self._error(
                token, "a trail can't be a fixed price", "trailing stop of 2%, 3 ATR or 20 pips"
            )
        if kind != "take_profit" and distance.kind is DistanceKind.PERCENT and float(distance.value) >= 100:
            raise self._error(token, "a stop must be less than 100% away")
        side: Literal["long", "short"] | None = None
        if place and cast(Token, place[0]).type in ("BELOW", "ABOVE"):
            below = cast(Token, place[0]).type == "BELOW"
            side = "short" if below == (kind == "take_profit") else "long"
        return RiskPhrase(kind, distance, side)

    def _distance(self, amount: "Tree[Token]", placed: bool) -> Distance:
        token = cast(Token, amount.children[0])
        value = self._positive(token)
        match amount.data:
            case "percent":
                return Distance(kind=DistanceKind.PERCENT, value=value)
            case "atrs":
                period = re.search(r"\( ?(\d+)", token)
                bars = int(period[1]) if period else 14
                if not 2 <= bars <= 500:
                    raise self._error(
                        token, f"the period of the ATR must be 2 to 500, not {bars}", "2 ATR(14)"
                    )
                return Distance(kind=DistanceKind.ATR, value=value, period=bars)
            case "pips":
                if self.pip is None:
                    raise self._error(
                        token, "pips have a meaning for currency pairs only", "a percentage, ATR or $ amount"
                    )
                return Distance(kind=DistanceKind.DISTANCE, value=float(f"{value * self.pip:.12g}"))
            case "money" if placed or not token.startswith("$"):
                return Distance(kind=DistanceKind.DISTANCE, value=value)
            case "level" if placed:
                raise self._error(token, f"'{token}' has no unit", f"{token}%, {token} ATR or ${token}")
        # a plain amount is a price where the sentence says "at", and means nothing elsewhere
        if not self.text[: token.start_pos].rstrip().lower().endswith((" at", " at the", " price")):
            unit = token.lstrip("$ ")
            raise self._error(
                token, f"'{token}' could be a price or a distance", f"at {unit}, or ${unit} below entry"
            )
        return Distance(kind=DistanceKind.PRICE, value=value)

    def _holding(self, token: Token) -> RiskPhrase:
        if problem := unit_problem(token, self.interval):
            raise self._error(token, problem, f"{whole_number(token)} bars")
        bars = whole_number(token)
        if not 1 <= bars <= 100_000:
            raise self._error(token, f"the holding time must be 1 to 100000 bars, not {bars}")
        return RiskPhrase("max_holding_bars", bars)

    def _percent(self, token: Token) -> float:
        value = self._positive(token)
        if value > 100:
            raise self._error(token, f"this must be at most 100%, not {value:g}%")
        return value

    def _positive(self, token: Token) -> float:
        number = re.search(r"\d[\d,_]*(\.\d+)?|\.\d+", token)
        assert number, token
        value = float(number[0].replace(",", "").replace("_", ""))
        if not 0 < value < 1e15:
            raise self._error(token, f"this must be more than 0 and less than 1e15, not {value:g}")
        return value

    def _error(self, token: Token, message: str, suggestion: str = "") -> RuleError:
        span: Span = (token.start_pos or 0, token.end_pos or 0)
        return RuleError(self.path, self.text, span, message, suggestion)
