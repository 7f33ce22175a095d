"""What the parts of a document add up to: one value for each thing, and a word about every part that lost.

Where two parts differ, the one in a field of its own wins over notes, notes over titles, titles over sources; where
two of the same rank differ, neither is taken. Both cases are reported.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from domain.importer.phrases import TITLES
from domain.importer.readings import (
    SIDES,
    DocumentRead,
    LimitSaid,
    ParameterSaid,
    Part,
    Rank,
    Reading,
    SettingSaid,
    Settled,
    Slot,
)
from domain.importer.rulebook import settle_rules
from domain.importer.statements import NO_STATEMENT


def settle(read: DocumentRead) -> Settled:
    """Choose; parts that lose are refused in place, parts that win get their `shown` words."""
    settled = Settled()
    _settle_settings(read.parts, settled)
    _settle_parameters(read.parts, settled)
    settle_rules(read, settled)
    _settle_limits(read, settled)
    _settle_labels(read, settled)
    _forgive_repeats(read.parts)
    _find_gaps(read.parts, settled)
    return settled


# ---------------------------------------------------------------------- settings and parameters


def _settle_settings(parts: Iterable[Part], settled: Settled) -> None:
    said: dict[str, list[tuple[Part, SettingSaid]]] = defaultdict(list)
    for part in parts:
        for reading in part.readings:
            if isinstance(reading, SettingSaid):
                said[reading.key].append((part, reading))
    for key, mentions in said.items():
        best = min(part.rank for part, _ in mentions)
        values = list(dict.fromkeys(reading.value for part, reading in mentions if part.rank == best))
        if key == "interval" and len(values) > 1:
            for part, reading in mentions:
                part.refuse(
                    f"several bar lengths are given ({', '.join(values)}); one must be chosen", reading.value
                )
            continue
        taken = values[0]
        settled.settings[key] = taken
        if len(values) > 1:
            settled.assumptions.append(
                f"{', '.join(values)} are named, and a definition trades one symbol: {taken}, the first, is taken; "
                "import again for each of the others"
            )
        lost: dict[int, tuple[Part, list[str]]] = {}
        for part, reading in mentions:
            if reading.value == taken:
                part.shown.append(f"{key} {taken}")
            else:
                lost.setdefault(id(part), (part, []))[1].append(reading.value)
        for part, others in lost.values():
            what = "trades one symbol" if key == "symbol" else "has one bar length"
            part.refuse(f"a definition {what}: {taken} is taken, {', '.join(others)} is not")


def _settle_parameters(parts: Iterable[Part], settled: Settled) -> None:
    said: dict[str, list[tuple[Part, ParameterSaid]]] = defaultdict(list)
    for part in parts:
        for reading in part.readings:
            if isinstance(reading, ParameterSaid):
                said[reading.name].append((part, reading))
    for name, mentions in said.items():
        values = {reading.value for _, reading in mentions}
        for part, reading in mentions:
            if len(values) > 1:
                shown = " and ".join(f"{value:g}" for value in sorted(values))
                part.refuse(f"the parameter {name} is given as {shown}; one must be chosen")
            elif len(settled.parameters) >= 64 and name not in settled.parameters:
                part.refuse("a definition has at most 64 parameters")
            else:
                settled.parameters[name] = reading.value
                part.shown.append(f"parameter {name} = {reading.value:g}")


# ---------------------------------------------------------------------- limits


def _settle_limits(read: DocumentRead, settled: Settled) -> None:
    traded = [side for side in SIDES if settled.entries.get(side)]
    said: dict[Slot, list[tuple[Part, LimitSaid]]] = defaultdict(list)
    for part in read.parts:
        for reading in part.readings:
            if not isinstance(reading, LimitSaid):
                continue
            if reading.side and traded and reading.side not in traded:
                part.refuse(f"fits a {reading.side} position, but only {traded[0]} ones are entered")
            else:
                said[reading.slot].append((part, reading))
    for slot, mentions in said.items():
        _settle_limit(slot, mentions, settled)
    sizing = settled.limits.get("sizing")
    if (
        sizing
        and isinstance(sizing.value, dict)
        and sizing.value["mode"] == "risk_percent"
        and "stop_loss" not in settled.limits
    ):
        del settled.limits["sizing"]
        for part, _ in said["sizing"]:
            part.refuse(
                "a size by risk needs a stop loss to measure the risk by, and none is understood",
                "10% of equity",
            )


def _settle_limit(slot: Slot, mentions: list[tuple[Part, LimitSaid]], settled: Settled) -> None:
    best = min(part.rank for part, _ in mentions)
    first = [(part, limit) for part, limit in mentions if part.rank == best]
    chosen, winner = first[0][1], first[0][0]
    shown = list(dict.fromkeys(limit.shown for _, limit in first))
    title = TITLES[slot]
    if any(limit.value != chosen.value for _, limit in first):
        for part, _ in mentions:
            part.refuse(f"the {title} is given as {' and '.join(shown)}; one must be chosen")
        return
    settled.limits[slot] = chosen
    for part, limit in mentions:
        if limit.value == chosen.value:
            part.shown.append(
                f"{title} {limit.shown}" if part is winner else f"repeats the {title} {limit.shown}"
            )
        else:
            part.refuse(
                f"differs from the {title} of {chosen.shown} at {winner.path}, which is taken", chosen.shown
            )


# ---------------------------------------------------------------------- labels and repeats


def _settle_labels(read: DocumentRead, settled: Settled) -> None:
    """Labels such as 'cancel' on what is a stop loss, and order types that go with it."""
    by_path: dict[str, list[Part]] = defaultdict(list)
    for part in read.parts:
        by_path[part.path].append(part)
    for index, label in read.labels.items():
        own = [part for part in read.parts if part.step == index and part.shown and not part.why]
        limits = [each for part in own for each in part.readings if isinstance(each, LimitSaid)]
        rules = [each for part in own for each in part.rules]
        if limits and not rules:
            _order_types(by_path, read, index, TITLES[limits[0].slot])
        if not label.path or label.act:
            if label.act and limits and not rules:
                settled.assumptions.append(
                    f"{label.path} is '{label.name}', but the step says only: {', '.join(_titles(limits))}; so read"
                )
            continue
        for part in by_path[label.path]:
            if limits or rules:
                what = ", ".join(_titles(limits)) or "a rule"
                part.to, part.why, part.nearest = "", "", ""
                part.shown.append(f"the step is no '{label.name}': it says {what}")
                settled.assumptions.append(
                    f"{label.path} is '{label.name}', but the text of the step says {what}; read as that"
                )
            elif not part.why:
                part.refuse(
                    f"a '{label.name}' step has no counterpart: a definition enters, leaves and limits",
                    "enter or exit",
                )
        for part in read.parts:
            if part.step == index and part.rank is Rank.FIELD and part.why == NO_STATEMENT:
                part.why = f"stands in a '{label.name}' step, which has no counterpart in a definition"


def _titles(limits: Iterable[Reading]) -> list[str]:
    return list(dict.fromkeys(TITLES[each.slot] for each in limits if isinstance(each, LimitSaid)))


def _order_types(by_path: Mapping[str, list[Part]], read: DocumentRead, index: int, title: str) -> None:
    for part in read.parts:
        if (
            part.step == index
            and part.order_type
            and part.why
            and part.text.lower().startswith(("stop", "limit"))
        ):
            part.why, part.nearest = "", ""
            part.shown.append(f"the order that works as {title}")


def _forgive_repeats(parts: list[Part]) -> None:
    """A text that isn't understood by itself ('3% below entry') but stands word for word in one of its step that is,
    repeats it. A source may repeat any step."""
    understood = [
        (_plain(part.text), part) for part in parts if part.shown and part.readings and not part.why
    ]
    for part in parts:
        if not part.why or part.lost:
            continue
        text = _plain(part.text.rstrip(".\N{HORIZONTAL ELLIPSIS}"))
        if len(text) < 6:
            continue
        near = [each for each in understood if part.rank is Rank.SOURCE or each[1].step == part.step]
        whole = next((each for plain, each in near if _holds(plain, text, part.cut)), None)
        if whole and (part.cut or len(text.split()) > 1):
            part.why, part.nearest = "", ""
            part.shown.append(f"repeats a part of {whole.path}")


def _holds(whole: str, text: str, cut: bool) -> bool:
    """Whether `text` stands in `whole` as whole words; a text that breaks off may end inside a word."""
    return f" {text}" in f" {whole}" if cut else f" {text} " in f" {whole} "


def _plain(text: str) -> str:
    return " ".join(text.lower().replace(",", " ").replace(";", " ").split()).strip(" .:!?-*")


def _find_gaps(parts: list[Part], settled: Settled) -> None:
    """Rules that are taken although another condition of the same step is not understood: they say less than the
    document, so there is no definition."""
    taken = {part.group for part in parts if part.group and part.rules and part.shown}
    for part in parts:
        if part.group in taken and part.why and not part.lost:
            settled.gaps.append(
                f"{part.path} is not understood, so the other condition of its step would act alone; "
                "write it as a rule and add it"
            )
