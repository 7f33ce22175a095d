"""Stops, targets, sizes and other limits as fields state them: `stop_loss_pct: 2`, `{"mode": "risk", "value": 1}`."""

import re
from collections.abc import Mapping
from typing import Any

from domain.importer.phrases import TITLES, Refusal, distance, lots, pips, read_limit, sizing
from domain.importer.readings import Context, LimitSaid, Slot
from domain.importer.scalars import as_number, by_word, plain_key

_SLOTS: Mapping[str, Slot] = by_word(
    {
        "stop_loss": "stop_loss stoploss sl stop initial_stop hard_stop",
        "take_profit": "take_profit takeprofit tp target profit_target price_target target_profit",
        "trailing_stop": "trailing_stop trailingstop trailing trail trailing_stop_loss",
        "max_holding_bars": "max_holding_bars max_bars time_stop max_hold_bars exit_after_bars holding_bars",
        "max_position": "max_position max_position_size max_exposure",
        "sizing": "position_size position_sizing size sizing risk risk_per_trade max_risk_per_trade account_risk "
        "lot_size",
    }
)
_IMPLIED_UNITS = by_word(
    {
        "bars": "max_holding_bars max_bars time_stop max_hold_bars exit_after_bars holding_bars",
        "risk": "risk risk_per_trade max_risk_per_trade account_risk",
        "lots": "lot_size",
    }
)
_UNITS = by_word(
    {
        "percent": "percent pct percentage perc",
        "atr": "atr atr_multiple atr_multiplier atr_mult x_atr multiple_atr",
        "pips": "pip pips",
        "price": "price absolute level fixed_price",
        "distance": "distance price_distance usd dollars",
        "bars": "bars candles",
    }
)
_MODES = by_word(
    {
        "percent_of_equity": "percent pct percentage percent_of_equity percent_equity equity_percent equity_pct "
        "percent_of_capital percent_of_account percent_of_portfolio equity",
        "fixed_units": "fixed units fixed_units shares fixed_shares contracts quantity qty",
        "fixed_cash": "cash fixed_cash notional dollar usd fixed_dollar fixed_amount",
        "risk_percent": "risk risk_percent risk_pct percent_risk risk_per_trade risk_per_trade_percent "
        "risk_per_trade_pct account_risk fixed_fractional",
        "lots": "lots lot fixed_lots lot_size",
    }
)
_LEADS: Mapping[Slot, str] = {"max_holding_bars": "hold", "max_position": "maximum position"}
"""How a phrase about it begins, where that isn't its title."""
_SHARE = re.compile(r"([+-]?\d{1,6}(?:\.\d{1,6})?)\s*(?:%|percent)")


def slot_of_key(key: str) -> tuple[Slot, str] | None:
    """What a field's name is about, and its unit: 'stop_loss_pct' is the stop loss in percent."""
    plain = plain_key(key)
    if plain in _SLOTS:
        return _SLOTS[plain], _IMPLIED_UNITS.get(plain, "")
    if _MODES.get(plain) == "risk_percent" and plain.startswith("risk_"):
        return "sizing", "risk_percent"
    for size in (1, 2):
        stem, unit = plain.rsplit("_", size)[0], "_".join(plain.split("_")[-size:])
        if stem in _SLOTS and unit in _UNITS:
            return _SLOTS[stem], _UNITS[unit]
    return None


def unit_of(text: str) -> str:
    """The unit that a word or the end of a field's name stands for: 'pct' and 'percentage' are 'percent'."""
    return _UNITS.get(plain_key(text), "")


def read_field(
    slot: Slot, unit: str, value: Any, context: Context, period: Any = None
) -> LimitSaid | Refusal:
    """A limit from a field: `unit` is what the field's name or a neighbour says, '' where neither does."""
    if slot == "sizing":
        return read_size(unit, value, context)
    title = TITLES[slot]
    number = as_number(value)
    if number is None and isinstance(value, str):
        share = _SHARE.fullmatch(value.strip())
        if share and unit in ("percent", ""):
            return _bounded(slot, "percent", float(share[1]))
        lead, other = _LEADS.get(slot, title), ""
        for phrase in dict.fromkeys((value, f"{lead} {value}", f"{lead} at {value}")):
            limit = read_limit(phrase, context)
            if isinstance(limit, LimitSaid):
                if limit.slot == slot:
                    return limit
                other = other or TITLES[limit.slot]
        if other:
            return f"it stands in a field for the {title}, but says something about the {other}", ""
        refusal = read_limit(f"{lead} {value}", context)
        return refusal if isinstance(refusal, tuple) else (f"not understood as a {title}", f"{title} 2%")
    if number is None:
        return f"a {title} is a number or a text, not {value!r}"[:120], "2%"
    if slot == "max_position":
        unit = unit or "percent"
    if not unit:
        return (
            f"the number has no unit, so a {title} of {number:g} can mean percent, price or pips",
            f"{number:g}%",
        )
    if unit == "percent" and 0 < number < 1:
        return (
            f"{number:g} without a % sign can mean {number:g}% or {number * 100:g}%",
            f"{number * 100:g}% or {number:g}%",
        )
    if unit == "pips":
        return pips(slot, number, context.symbol)
    return _bounded(slot, unit, number, period)


def _bounded(slot: Slot, unit: str, number: float, period: Any = None) -> LimitSaid | Refusal:
    if slot == "max_holding_bars":
        if unit != "bars" or number != int(number) or not 1 <= number <= 100_000:
            return f"the longest holding is a whole number of bars from 1 to 100000, found {number:g}", "10"
        return LimitSaid(slot, int(number), f"{number:g} bars")
    if slot == "max_position":
        if unit != "percent" or not 0 < number <= 100:
            return (
                f"the largest position is more than 0 and at most 100 percent of equity, found {number:g}",
                "20%",
            )
        return LimitSaid(slot, number, f"{number:g}% of equity")
    if unit not in ("percent", "atr", "price", "distance"):
        return f"a {TITLES[slot]} in {unit or 'an unknown unit'} is not understood", "2%"
    if slot == "trailing_stop" and unit == "price":
        return "a trailing stop can't be a fixed price", "2% or 3 ATR"
    if unit == "percent" and slot != "take_profit" and abs(number) >= 100:
        return f"a {TITLES[slot]} is less than 100% away, found {number:g}%", "2%"
    bars = as_number(period) if period is not None else 14.0
    if bars is None or bars != int(bars) or not 2 <= bars <= 500:
        return f"the period of the ATR is a whole number from 2 to 500, found {period!r}"[:120], "14"
    return distance(slot, unit, abs(number) if slot == "stop_loss" else number, int(bars))


def read_size(mode: str, value: Any, context: Context) -> LimitSaid | Refusal:
    """A size from `mode` and `value`; 'percent' with '2%' and with 2 are the same, 0.02 alone is refused."""
    kind = _MODES.get(plain_key(mode), "") if mode else ""
    if mode and not kind:
        nearest = "percent_of_equity, fixed_units, fixed_cash or risk_percent"
        return f"the sizing mode '{str(mode)[:60]}' is not known", nearest
    number = as_number(value)
    marked = False
    if number is None and isinstance(value, str):
        share = _SHARE.fullmatch(value.strip())
        if share and kind in ("", "percent_of_equity", "risk_percent"):
            number, marked = float(share[1]), True
            kind = kind or "percent_of_equity"
        else:
            words = f"position size {value}" if kind != "risk_percent" else f"risk {value}"
            limit = read_limit(value, context)
            if not isinstance(limit, LimitSaid):
                limit = read_limit(words, context)
            if isinstance(limit, LimitSaid) and limit.slot == "sizing":
                return limit
            return limit if isinstance(limit, tuple) else ("not understood as a size", "10% of equity")
    if number is None:
        return f"a size is a number or a text, not {value!r}"[:120], "10% of equity"
    if not kind:
        return f"a size of {number:g} has no unit", f"{number:g}% of equity or {number:g} units"
    if kind == "lots":
        return lots(number, context.symbol)
    if kind in ("percent_of_equity", "risk_percent") and not marked and 0 < number < 1:
        return f"{number:g} without a % sign can mean {number:g}% or {number * 100:g}%", f"{number * 100:g}%"
    return sizing(kind, number)
