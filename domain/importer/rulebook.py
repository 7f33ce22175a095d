"""Which entries and exits the rules of a document add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from domain.importer.readings import (
    SIDES,
    Act,
    DocumentRead,
    Label,
    Part,
    Rank,
    RuleSaid,
    Settled,
    Side,
    conjuncts,
)
from domain.rules.ast import Condition, Logic, Number
from domain.rules.formal import formal

MAX_RULE = 1_000
"""Characters of one rule."""
MAX_RULES = 32
"""Of one list."""


@dataclass
class _Group:
    """Conditions that must hold together, with the parts that say so."""

    rank: Rank
    rules: list[tuple[Part, RuleSaid]] = field(default_factory=list)

    @property
    def conditions(self) -> frozenset[Condition]:
        return frozenset(each for _, rule in self.rules for each in rule.conditions)

    @property
    def path(self) -> str:
        return self.rules[0][0].path

    def texts(self) -> list[str]:
        """One text for each distinct condition, in the words of the document."""
        seen: dict[frozenset[Condition], str] = {}
        for _, rule in self.rules:
            if not any(rule.conditions <= other for other in seen):
                seen[rule.conditions] = rule.text
        return list(seen.values())

    def tree(self) -> Condition:
        parts = tuple(dict.fromkeys(each for _, rule in self.rules for each in conjuncts(rule.tree)))
        return parts[0] if len(parts) == 1 else Logic("and", parts)


def settle_rules(read: DocumentRead, settled: Settled) -> None:
    """Fill in `entries` and `exits`; parts that lose are refused in place."""
    _Rules(read, settled).settle()


class _Rules:
    def __init__(self, read: DocumentRead, settled: Settled) -> None:
        self._read = read
        self._settled = settled
        self._rules = [(part, rule) for part in _in_step_order(read) for rule in part.rules]

    def settle(self) -> None:
        resolved = [
            (part, known) for part, rule in self._rules if (known := self._with_act(part, rule)) is not None
        ]
        self._entries([(part, rule) for part, rule in resolved if rule.act == "entry"])
        self._exits([(part, rule) for part, rule in resolved if rule.act in ("exit", "sell")])

    # what a rule is for

    def _with_act(self, part: Part, rule: RuleSaid) -> RuleSaid | None:
        """The rule with its act made sure of by the label of its step and by the other texts; None where refused."""
        label = self._label(part)
        if part.rank is not Rank.FIELD:
            return self._in_prose(part, rule)
        told = {
            (other.act, other.sides) for text, other in self._rules if text.rank and other.tree == rule.tree
        }
        acts = {act for act, _ in told}
        if rule.worded:
            if rule.act == "sell" and label.act == "entry":
                return self._refuse_sell(part)
            if label.act in ("entry", "exit") and rule.act in ("entry", "exit") and rule.act != label.act:
                self._mislabelled(part, label, rule.act)
            return rule
        if label.act == "entry" and acts and "entry" not in acts:
            if acts == {"sell"}:
                return self._refuse_sell(part)
            self._mislabelled(part, label, "exit")
            return replace(rule, act="exit", sides=_one({sides for act, sides in told if act == "exit"}))
        if label.act == "exit" and acts == {"entry"}:
            self._mislabelled(part, label, "entry")
            return replace(rule, act="entry", sides=_one({sides for _, sides in told}))
        if not rule.sides:
            return replace(rule, sides=_one({sides for act, sides in told if act == rule.act}))
        return rule

    def _label(self, part: Part) -> Label:
        """The label that is to be held against the text: in a field of its own purpose (`exit`) that purpose."""
        label = self._read.labels.get(part.step, Label()) if part.step is not None else Label()
        return label if part.act in ("", label.act) else replace(label, act=part.act)

    def _in_prose(self, part: Part, rule: RuleSaid) -> RuleSaid | None:
        """'Sell when' in notes means what the field with the same condition means."""
        if rule.act != "sell":
            return rule
        same = {other.act for field_, other in self._rules if not field_.rank and other.tree == rule.tree}
        return self._refuse_sell(part) if same == {"entry"} else rule

    def _refuse_sell(self, part: Part) -> RuleSaid | None:
        part.refuse(
            "'sell' can mean to leave a long position or to enter a short one, and the step is marked as an entry",
            "'sell short when …' for an entry, or the action type 'exit'",
        )
        return None

    def _mislabelled(self, part: Part, label: Label, act: Act) -> None:
        self._settled.assumptions.append(
            f"{label.path} is '{label.name}', but the text of the step says that it is an {act}; the text is taken"
        )

    # entries

    def _entries(self, rules: list[tuple[Part, RuleSaid]]) -> None:
        if unnamed := list(dict.fromkeys(part.path for part, rule in rules if not rule.sides)):
            places = ", ".join(unnamed[:4]) + (" …" if len(unnamed) > 4 else "")
            self._settled.assumptions.append(f"no side is named for the entry at {places}: read as long")
        for side in SIDES:
            groups = _grouped([(part, rule) for part, rule in rules if side in (rule.sides or ("long",))])
            if not groups:
                continue
            best = min(group.rank for group in groups)
            taken: list[_Group] = []
            for group in (group for group in groups if group.rank == best):
                if not any(group.conditions == other.conditions for other in taken):
                    taken.append(group)
            taken = self._take_entries(side, taken)
            for group in groups:
                for part, rule in group.rules:
                    if any(group is each for each in taken):
                        part.shown.append(f"{side} entry: {formal(rule.tree)}")
                    elif any(rule.conditions <= each.conditions for each in taken):
                        part.shown.append(f"repeats the {side} entry: {formal(rule.tree)}")
                    elif not part.why:
                        part.refuse(
                            f"differs from the {side} entry at {taken[0].path}, which is taken",
                            taken[0].texts()[0],
                        )

    def _take_entries(self, side: Side, groups: list[_Group]) -> list[_Group]:
        if len(groups) == 1:
            self._settled.entries[side] = self._together(side, groups[0])
            return groups
        text = formal(Logic("or", tuple(group.tree() for group in groups)))
        while len(text) > MAX_RULE and len(groups) > 1:
            for part, _ in groups.pop().rules:
                part.refuse(
                    f"with this entry the {side} entries are longer than {MAX_RULE} characters together"
                )
            text = formal(Logic("or", tuple(group.tree() for group in groups))) if len(groups) > 1 else ""
        self._settled.entries[side] = [text] if text else self._together(side, groups[0])
        if len(groups) > 1:
            self._settled.assumptions.append(
                f"{' and '.join(group.path for group in groups)} each enter {side} by themselves; "
                "they are joined by 'or', because all entry rules of a definition must hold"
            )
        return groups

    def _together(self, side: Side, group: _Group) -> list[str]:
        texts = group.texts()
        if len(texts) > MAX_RULES:
            self._settled.gaps.append(
                f"{group.path}: {len(texts)} conditions must hold together, and a definition has at most {MAX_RULES} "
                f"{side} entry rules; join some of them with 'and'"
            )
        return texts

    # exits

    def _exits(self, rules: list[tuple[Part, RuleSaid]]) -> None:
        traded = [side for side in SIDES if self._settled.entries.get(side)]
        usable: list[tuple[Part, RuleSaid]] = []
        for part, rule in rules:
            sides = ("long",) if rule.act == "sell" else rule.sides or tuple(traded)
            kept = tuple(side for side in sides if side in traded)
            if kept:
                usable.append((part, replace(rule, sides=kept)))
            else:
                which = f" on the {' or '.join(sides)} side" if sides else ""
                part.refuse(f"an exit, but nothing that is understood enters{which}")
        for side in traded:
            taken: list[_Group] = []
            for group in sorted(
                _grouped([each for each in usable if side in each[1].sides]), key=lambda each: each.rank
            ):
                self._exit(side, group, taken)
            texts = [
                texts[0] if len(texts := group.texts()) == 1 else formal(group.tree()) for group in taken
            ]
            self._settled.exits[side] = texts

    def _exit(self, side: Side, group: _Group, taken: list[_Group]) -> None:
        same = next((each for each in taken if group.conditions <= each.conditions), None)
        rival = next(
            (each for each in taken if each.rank < group.rank and _shape(each) == _shape(group)), None
        )
        for part, rule in group.rules:
            if part.why:
                continue
            if same:
                part.shown.append(f"repeats the {side} exit: {formal(rule.tree)}")
            elif rival:
                part.refuse(f"differs from the {side} exit at {rival.path}, which is taken", rival.texts()[0])
            elif len(taken) >= MAX_RULES or len(formal(group.tree())) > MAX_RULE:
                part.refuse(f"a definition has at most {MAX_RULES} rules of {MAX_RULE} characters in a list")
            else:
                part.shown.append(f"{side} exit: {formal(rule.tree)}")
        if not same and not rival and not any(part.why for part, _ in group.rules):
            taken.append(group)


def _one(sides: set[tuple[Side, ...]]) -> tuple[Side, ...]:
    named = {each for each in sides if each}
    return next(iter(named)) if len(named) == 1 else ()


def _grouped(rules: list[tuple[Part, RuleSaid]]) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for number, (part, rule) in enumerate(rules):
        key = f"{part.group} {rule.act}" if part.group else f"alone {number}"
        groups.setdefault(key, _Group(part.rank)).rules.append((part, rule))
    return list(groups.values())


def _shape(group: _Group) -> frozenset[str]:
    """The conditions with every number left out: 'RSI(14) > 70' and 'RSI(14) > 80' have the same shape."""
    return frozenset(repr(_without_numbers(each)) for each in group.conditions)


def _without_numbers(node: Any) -> Any:
    if isinstance(node, Number):
        return "number"
    if isinstance(node, tuple):
        return tuple(_without_numbers(each) for each in node)
    names: Mapping[str, Any] = getattr(node, "__dataclass_fields__", {})
    return (
        (type(node).__name__, *(_without_numbers(getattr(node, name)) for name in names if name != "span"))
        if names
        else node
    )


def _in_step_order(read: DocumentRead) -> list[Part]:
    place = {index: position for position, index in enumerate(read.order)}
    return sorted(
        read.parts, key=lambda part: place.get(part.step, len(place)) if part.step is not None else len(place)
    )
