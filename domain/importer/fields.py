"""Fields that mean the same wherever they stand: limits, sizes, parameters, instrument and bar length."""

import re
from collections.abc import Mapping
from typing import Any

from domain.importer.document import child, key_text
from domain.importer.instruments import as_interval, as_symbol, is_indicator
from domain.importer.limits import read_field, read_size, slot_of_key, unit_of
from domain.importer.readings import Label, ParameterSaid, Rank, SettingSaid, Slot
from domain.importer.scalars import as_number, as_parameter_name, plain_key, tidy, words
from domain.importer.sheet import Sheet, leaf_paths

RULE_KEYS = words(
    "trigger triggers condition conditions entry entry_condition entry_conditions signal when rule rules"
)
EXIT_KEYS = words("exit exits exit_condition exit_conditions exit_rule exit_rules exit_trigger")
RISK_KEYS = words("risk_controls risk_control risk_management risk_limits controls stops")
NOTE_KEYS = words("notes note raw_text original original_text comment comments text description")
INTERVAL_KEYS = words("timeframe time_frame interval bar_length chart granularity")
SYMBOL_KEYS = words("symbol symbols instrument instruments primary_instruments ticker tickers asset")
_KIND_KEYS = words("type mode unit kind units")
_VALUE_KEYS = words("value amount level size qty quantity")
_PERIOD_KEYS = words("period atr_period length")
_IDENTITY_KEYS = words("id rule_id control_id label enabled priority")
A_PARAMETER = ("a parameter has a name and a value", "{'name': 'rsi_period', 'value': 14}")


def _named(value: Mapping[Any, Any], keys: frozenset[str], but: str = "") -> str:
    """The first key of `value` that is among `keys`, as it is written there; '' where none is."""
    return next((name for name in map(key_text, value) if plain_key(name) in keys and name != but), "")


def by_text(value: Mapping[Any, Any]) -> dict[str, Any]:
    """The members by their keys as texts."""
    return {key_text(key): member for key, member in value.items()}


# ---------------------------------------------------------------------- instrument and bar length


def read_setting_or_limit(sheet: Sheet, step: int | None, path: str, key: str, value: Any) -> None:
    """A field that is named after what it holds; others are left alone."""
    plain = plain_key(key)
    if plain in SYMBOL_KEYS:
        for at in leaf_paths(value, path):
            _symbol(sheet, at, step)
    elif plain in INTERVAL_KEYS:
        for at in leaf_paths(value, path):
            _interval(sheet, at, step)
    elif found := slot_of_key(key):
        read_slot(sheet, step, path, *found, value)


def _symbol(sheet: Sheet, path: str, step: int | None) -> None:
    leaf = sheet.leaf(path)
    if leaf is None:
        return
    symbols: list[str | None] = []
    if isinstance(leaf.value, str):
        symbols = [as_symbol(word) for word in re.split(r"[,;]|\sand\s", leaf.text) if word.strip()]
    known = [symbol for symbol in symbols if symbol]
    if known and len(known) == len(symbols):
        sheet.mean(path, "", [SettingSaid("symbol", symbol) for symbol in known], step)
    elif is_indicator(leaf.text):
        sheet.carry(path, "notes")
    else:
        sheet.refuse(path, "not the symbol of an instrument", "a ticker such as AAPL or EURUSD", step)


def _interval(sheet: Sheet, path: str, step: int | None) -> None:
    if leaf := sheet.leaf(path):
        interval, _ = as_interval(
            re.sub(r"(?i)(?<![\s-])[\s-]*(?:bars?|candles?|chart|time ?frame)$", "", leaf.text)
        )
        if interval:
            sheet.mean(path, "", [SettingSaid("interval", interval)], step)
        else:
            sheet.refuse(path, "not a bar length", "1m, 5m, 15m, 30m, 1h, 2h, 4h, 1d, 1wk or 1mo", step)


# ---------------------------------------------------------------------- limits


def read_limits(sheet: Sheet, step: int | None, path: str, value: Any, label: Label, is_exit: bool) -> None:
    """`exit` and `risk_controls` in any of their shapes. In `exit`, a condition without a verb is an exit rule."""
    if isinstance(value, Mapping):
        if not _self_described(sheet, step, path, by_text(value)):
            for key, member in by_text(value).items():
                _member(sheet, step, child(path, key), key, member, label, is_exit)
    elif isinstance(value, list | tuple):
        for position, member in enumerate(value):
            read_limits(sheet, step, child(path, position), member, label, is_exit)
    elif isinstance(value, str):
        sheet.read(path, Rank.FIELD, step, act="exit", sides=label.sides, bare=is_exit)
    elif value is not None:
        why = "a number or truth value says nothing without the name of a limit"
        sheet.refuse(path, why, "stop_loss_pct: 2", step)


def _member(
    sheet: Sheet, step: int | None, path: str, key: str, value: Any, label: Label, is_exit: bool
) -> None:
    plain = plain_key(key)
    if found := slot_of_key(key):
        read_slot(sheet, step, path, *found, value)
    elif plain in SYMBOL_KEYS | INTERVAL_KEYS:
        read_setting_or_limit(sheet, step, path, key, value)
    elif plain in _IDENTITY_KEYS:
        for at in leaf_paths(value, path):
            sheet.carry(at, "notes")
    elif plain in RULE_KEYS | EXIT_KEYS | RISK_KEYS | NOTE_KEYS or (
        isinstance(value, str) and plain not in _KIND_KEYS
    ):
        read_limits(sheet, step, path, value, label, is_exit)
    else:
        sheet.refuse_all(
            path, value, f"'{key[:60]}' is no limit that a definition has", "stop_loss_pct", step
        )


def _self_described(sheet: Sheet, step: int | None, path: str, value: Mapping[str, Any]) -> bool:
    """{name: stop_loss, value: 2, unit: percent}: a limit that names itself."""
    name = _named(value, words("name type control kind"))
    amount = _named(value, words("value amount level"))
    if not name or not amount or not isinstance(value[name], str):
        return False
    unit_key = _named(value, words("unit units mode"), but=name)
    paths = [child(path, key) for key in (amount, name, unit_key) if key]
    found = slot_of_key(value[name])
    if found is None:
        for at in paths:
            why = f"'{value[name][:60]}' is no limit that a definition has"
            sheet.refuse(at, why, "stop_loss, take_profit, trailing_stop or max_holding_bars", step)
        return True
    slot, unit = found
    if unit_key:
        unit = unit_of(str(value[unit_key])) or plain_key(value[unit_key])
    sheet.outcome_of_many(paths, read_field(slot, unit, value[amount], sheet.context), step)
    return True


def read_slot(sheet: Sheet, step: int | None, path: str, slot: Slot, unit: str, value: Any) -> None:
    """The value of a field that is named after a limit: a scalar, or an object with value and type."""
    if not isinstance(value, Mapping):
        for at in leaf_paths(value, path):
            if leaf := sheet.leaf(at):
                sheet.outcome(at, read_field(slot, unit, leaf.value, sheet.context), step)
        return
    fields = by_text(value)
    kind, amount = _named(value, _KIND_KEYS), _named(value, _VALUE_KEYS)
    period = _named(value, _PERIOD_KEYS)
    if not amount:
        amount = next((name for name in fields if unit_of(name)), "")
        unit = unit_of(amount) or unit
    if not amount:
        why = "a limit in an object needs 'value' and 'type'"
        sheet.refuse_all(path, value, why, "{'type': 'percent', 'value': 2}", step)
        return
    if kind and isinstance(fields[kind], str):
        named = fields[kind]
        unit = named if slot == "sizing" else unit_of(named) or plain_key(named)
    outcome = read_field(slot, unit, fields[amount], sheet.context, fields[period] if period else None)
    used = [name for name in (amount, kind, period) if name]
    sheet.outcome_of_many([child(path, name) for name in used], outcome, step)
    for name, member in fields.items():
        if name not in used:
            why = f"'{name[:60]}' says nothing about a limit here"
            sheet.refuse_all(child(path, name), member, why, "", step)


def read_size_field(sheet: Sheet, step: int | None, path: str, value: Any) -> None:
    """`action.size`."""
    if isinstance(value, Mapping):
        read_slot(sheet, step, path, "sizing", "", value)
    elif leaf := sheet.leaf(path):
        sheet.outcome(path, read_size("", leaf.value, sheet.context), step)
    else:
        why = "a size is a number or text, or an object with mode and value"
        sheet.refuse_all(path, value, why, "{'mode': 'percent', 'value': 10}", step)


# ---------------------------------------------------------------------- parameters


def read_params(sheet: Sheet, step: int | None, path: str, value: Any) -> None:
    """`params`: a list of {name, value}, or an object."""
    if isinstance(value, Mapping):
        for key, member in by_text(value).items():
            _param(sheet, step, key, child(path, key), member)
    elif isinstance(value, list | tuple):
        for position, member in enumerate(value):
            at = child(path, position)
            fields = by_text(member) if isinstance(member, Mapping) else {}
            name, amount = _named(fields, words("name key")), _named(fields, words("value default"))
            if name and amount and isinstance(fields[name], str):
                _param(sheet, step, fields[name], child(at, amount), fields[amount])
                _name_of_param(sheet, step, child(at, name), child(at, amount))
            else:
                sheet.refuse_all(at, member, *A_PARAMETER, step=step)


def _param(sheet: Sheet, step: int | None, name: str, path: str, value: Any) -> None:
    number, plain = as_number(value), as_parameter_name(name)
    if plain_key(name) in INTERVAL_KEYS | SYMBOL_KEYS or slot_of_key(name):
        read_setting_or_limit(sheet, step, path, name, value)
    elif number is None:
        sheet.refuse_all(path, value, "a parameter is a number", "14", step)
    elif plain:
        sheet.mean(path, "", [ParameterSaid(plain, tidy(number))], step)
    else:
        sheet.refuse(path, f"'{name[:60]}' can't be the name of a parameter", "rsi_period", step)


def _name_of_param(sheet: Sheet, step: int | None, name_path: str, path: str) -> None:
    if any(part.readings for part in sheet.parts_of(path)):
        sheet.mean(name_path, "the name of the value beside it", step=step)
    else:
        sheet.refuse(name_path, "the name of the value beside it, which is not understood", step=step)
