"""The document, value by value: which field holds what, and what each of them says.

Reading has no memory: it gives one `Part` for each piece of each value. What they add up to is settled in `settle`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domain.importer.document import Leaf, child, key_text
from domain.importer.fields import (
    EXIT_KEYS,
    NOTE_KEYS,
    RISK_KEYS,
    RULE_KEYS,
    by_text,
    read_limits,
    read_params,
    read_setting_or_limit,
    read_size_field,
)
from domain.importer.limits import slot_of_key
from domain.importer.readings import SIDES, Act, Context, DocumentRead, Label, Rank, Side
from domain.importer.scalars import as_number, plain_key
from domain.importer.sheet import Sheet, leaf_paths

_LABELS: Mapping[str, tuple[Act, tuple[Side, ...]]] = {
    **dict.fromkeys(("enter", "entry", "open", "enter_position"), ("entry", ())),
    **dict.fromkeys(("buy", "long", "enter_long", "go_long", "buy_long"), ("entry", ("long",))),
    **dict.fromkeys(("short", "sell_short", "enter_short", "go_short"), ("entry", ("short",))),
    **dict.fromkeys(("exit", "close", "close_position", "leave"), ("exit", ())),
    **dict.fromkeys(("exit_long", "close_long"), ("exit", ("long",))),
    **dict.fromkeys(("exit_short", "close_short", "cover", "buy_to_cover"), ("exit", ("short",))),
    "sell": ("sell", ()),
}
_OTHER_LABELS = frozenset({"modify", "hold", "cancel", "notify", "wait"})
_SIDES: Mapping[str, tuple[Side, ...]] = {
    **dict.fromkeys(("long", "buy", "bull", "bullish", "long_only"), ("long",)),
    **dict.fromkeys(("short", "sell", "bear", "bearish", "short_only"), ("short",)),
    **dict.fromkeys(("both", "long_short", "long_and_short", "any"), ("long", "short")),
}
_SIDE_WORDS: Mapping[Side, re.Pattern[str]] = {
    side: re.compile(
        rf"\b(?:go|going|enter|entering|open|opening|exit|close|cover|leave|sell)(?: (?:a|the|your|all))? {side}\b"
        rf"|\b{side}[ -](?:entry|entries|exit|exits|positions?|trades?|side|only|signal|setup|when|if)\b"
        rf"|^\s*{side}\s*$",
        re.IGNORECASE,
    )
    for side in SIDES
}
_SIDE_KEYS = frozenset({"side", "direction", "position_side"})
_SOURCE_KEYS = frozenset(
    {"snippet", "snippets", "text", "content", "quote", "excerpt", "raw", "raw_input", "source", "sources"}
)


def read_document(data: Mapping[str, Any], leaves: Sequence[Leaf], context: Context) -> DocumentRead:
    """All parts of a document; read it again where the context turns out to be another."""
    sheet = Sheet(leaves, context)
    steps = _steps(data)
    labels = {index: _step(sheet, index, path, step) for index, (path, step) in enumerate(steps)}
    _around(sheet, data)
    return DocumentRead(sheet.parts(), labels, _in_order([step for _, step in steps]))


# ---------------------------------------------------------------------- steps


def _steps(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    steps = data.get("steps")
    if isinstance(steps, Mapping) and all(isinstance(member, Mapping) for member in steps.values()):
        return [(child("steps", key), member) for key, member in by_text(steps).items()]
    if isinstance(steps, list | tuple):
        return [(child("steps", index), member) for index, member in enumerate(steps)]
    return [] if steps is None else [("steps", steps)]


def _in_order(steps: Sequence[Any]) -> list[int]:
    """Indices by `order`; steps without one keep their place after the ones that have it."""

    def place(index: int) -> tuple[float, int]:
        step = steps[index]
        order = as_number(step.get("order")) if isinstance(step, Mapping) else None
        return (float("inf") if order is None else order, index)

    return sorted(range(len(steps)), key=place)


def _step(sheet: Sheet, index: int, path: str, step: Any) -> Label:
    if not isinstance(step, Mapping):
        sheet.read_all(path, step, Rank.NOTES, index)
        return Label()
    fields = by_text(step)
    label = _label(sheet, path, fields)
    for key, value in fields.items():
        _field(sheet, index, child(path, key), key, value, label)
    return label


def _label(sheet: Sheet, path: str, step: Mapping[str, Any]) -> Label:
    """The step's action and side; the action is an object with a type, or a plain word."""
    label = Label()
    for key, value in step.items():
        plain, at = plain_key(key), child(path, key)
        if plain in _SIDE_KEYS:
            _side(sheet, label, at, value)
        elif plain == "action" and isinstance(value, str):
            _action_type(sheet, label, at, value)
        elif plain == "action" and isinstance(value, Mapping):
            for name, member in by_text(value).items():
                if plain_key(name) in ("type", "action", "name", "kind") and isinstance(member, str):
                    _action_type(sheet, label, child(at, name), member)
                elif plain_key(name) in _SIDE_KEYS:
                    _side(sheet, label, child(at, name), member)
    label.sides = label.sides or _side_in_words(step)
    return label


def _side_in_words(step: Mapping[str, Any]) -> tuple[Side, ...]:
    """The one side that title and notes speak of ('Short entry'); () where they name none or both."""
    texts = [
        value
        for key, value in step.items()
        if plain_key(key) in NOTE_KEYS | {"title", "name"} and isinstance(value, str)
    ]
    found = [side for side, words in _SIDE_WORDS.items() if any(words.search(text) for text in texts)]
    return (found[0],) if len(found) == 1 else ()


def _action_type(sheet: Sheet, label: Label, path: str, value: str) -> None:
    plain = plain_key(value)
    if label.name or not plain:
        return
    label.name, label.path = plain, path
    if plain in _LABELS:
        label.act, sides = _LABELS[plain]
        label.sides = sides or label.sides
        sheet.mean(path, "the step sells" if label.act == "sell" else f"the step is an {label.act}")
    elif plain in _OTHER_LABELS or slot_of_key(plain):
        sheet.carry(path, "notes")
    else:
        sheet.refuse(path, f"'{value[:60]}' is no action that a step can have", "enter or exit")


def _side(sheet: Sheet, label: Label, path: str, value: Any) -> None:
    sides = _SIDES.get(plain_key(value)) if isinstance(value, str) else None
    if sides:
        label.sides = sides
        sheet.mean(path, f"the side: {' and '.join(sides)}")
    else:
        sheet.refuse_all(path, value, "no side that is known", "long, short or both")


def _field(sheet: Sheet, index: int, path: str, key: str, value: Any, label: Label) -> None:
    plain = plain_key(key)
    if plain in RULE_KEYS:
        act: Act = "entry" if plain.startswith("entry") else label.act
        more = {"act": act, "sides": label.sides, "bare": bool(act), "group": f"step {index}"}
        sheet.read_all(path, value, Rank.FIELD, index, **more)
    elif plain in EXIT_KEYS | RISK_KEYS or (plain == "risk" and not isinstance(value, int | float)):
        read_limits(sheet, index, path, value, label, plain in EXIT_KEYS)
    elif plain == "action" and isinstance(value, Mapping):
        _action(sheet, index, path, by_text(value))
    elif plain in ("params", "parameters"):
        read_params(sheet, index, path, value)
    elif plain in ("title", "name"):
        sheet.read_all(path, value, Rank.TITLE, index, carry="notes")
    elif plain in ("description", "rationale"):
        sheet.read_all(path, value, Rank.SOURCE, index, carry="notes")
    elif plain in NOTE_KEYS:
        sheet.read_all(path, value, Rank.NOTES, index)
    elif plain == "size":
        read_size_field(sheet, index, path, value)
    elif plain == "order":
        _order(sheet, path, value)
    else:
        read_setting_or_limit(sheet, index, path, key, value)


def _order(sheet: Sheet, path: str, value: Any) -> None:
    if as_number(value) is None:
        sheet.refuse_all(path, value, "an order is a number", "1")
    else:
        sheet.mean(path, "the place of the step among the steps")


def _action(sheet: Sheet, index: int, path: str, action: Mapping[str, Any]) -> None:
    for key, value in action.items():
        plain, at = plain_key(key), child(path, key)
        if plain == "size":
            read_size_field(sheet, index, at, value)
        elif plain == "order_type":
            _order_type(sheet, index, at, value)
        else:
            read_setting_or_limit(sheet, index, at, key, value)


def _order_type(sheet: Sheet, index: int, path: str, value: Any) -> None:
    plain = plain_key(value) if isinstance(value, str) else ""
    if plain in ("market", "market_order", "mkt"):
        sheet.mean(path, "filled at the open of the next bar", step=index)
    elif plain:
        why = f"orders are filled at the open of the next bar; a {plain.replace('_', ' ')[:40]} order is not"
        sheet.refuse(path, why, "market", step=index)
        for part in sheet.parts_of(path):
            part.order_type = True


# ---------------------------------------------------------------------- around the steps


def _around(sheet: Sheet, data: Mapping[str, Any]) -> None:
    """All that stands beside the steps."""
    for key, value in by_text(data).items():
        plain, path = plain_key(key), child("", key)
        if plain in ("strategy_id", "id"):
            sheet.carry(path, "name")
        elif plain == "title":
            sheet.carry(path, "description")
        elif plain == "version":
            sheet.carry(path, "version")
        elif plain == "description":
            sheet.read_all(path, value, Rank.SOURCE, carry="description")
        elif plain in ("classification", "metadata") and isinstance(value, Mapping):
            _about(sheet, path, by_text(value))
        elif plain == "provenance":
            _provenance(sheet, path, value)
        elif plain in ("tags", "tag"):
            for at in leaf_paths(value, path):
                sheet.carry(at, "tags")
        elif plain in EXIT_KEYS | RISK_KEYS:
            read_limits(sheet, None, path, value, Label(), plain in EXIT_KEYS)
        elif plain in ("params", "parameters"):
            read_params(sheet, None, path, value)
        elif plain in NOTE_KEYS:
            sheet.read_all(path, value, Rank.SOURCE)
        elif plain != "steps":
            read_setting_or_limit(sheet, None, path, key, value)


def _about(sheet: Sheet, path: str, fields: Mapping[str, Any]) -> None:
    """`classification` and `metadata`."""
    for key, member in fields.items():
        plain, at = plain_key(key), child(path, key)
        if plain in ("type", "risk_tier", "tags", "category"):
            for leaf_path in leaf_paths(member, at):
                sheet.carry(leaf_path, "tags")
        elif plain in ("created_at", "created"):
            sheet.carry(at, "created")
        elif plain in ("last_updated", "updated_at", "updated"):
            sheet.carry(at, "updated")
        else:
            read_setting_or_limit(sheet, None, at, key, member)


def _provenance(sheet: Sheet, path: str, value: Any) -> None:
    """Sources anywhere below `provenance`; their texts are read, their dates and authors carried."""
    if isinstance(value, str):
        sheet.read(path, Rank.SOURCE)
    elif isinstance(value, Mapping):
        for key, member in value.items():
            at = child(path, key_text(key))
            if not isinstance(member, str) or plain_key(key) in _SOURCE_KEYS:
                _provenance(sheet, at, member)
    elif isinstance(value, list | tuple):
        for position, member in enumerate(value):
            _provenance(sheet, child(path, position), member)
