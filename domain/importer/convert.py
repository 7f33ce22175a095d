"""From one document of the step format to one canonical definition."""

from collections.abc import Mapping
from typing import Any

from domain.definitions import DefinitionError, check_definition
from domain.importer.document import Leaf, read_leaves, recognise
from domain.importer.instruments import DEFAULT_SYMBOL, is_indicator
from domain.importer.readings import SIDES, Context, DocumentRead, LimitSaid, Part, Settled, Slot
from domain.importer.report import Carried, ImportResult, NotUnderstood, Understood
from domain.importer.scalars import as_date, as_name, as_version, tidy
from domain.importer.settle import settle
from domain.importer.steps import read_document

MAX_DESCRIPTION = 4_000
MAX_NOTES = 8_000
MAX_TAGS = 32
DEFAULT_INTERVAL = "1d"
_OVERFLOW = "(more texts of the imported document did not fit here; the import report has them all)"


def import_steps(data: Mapping[str, Any], *, source: str) -> ImportResult:
    """Turn one document of the step format into a definition.

    `source` names the document in messages. Raises ImportFormatError where `data` is not in the format or out of
    bounds; everything else that is wrong with it is said in the result.
    """
    document = recognise(data, source)
    leaves = read_leaves(document, source)
    context = Context({}, "", DEFAULT_INTERVAL)
    for _ in range(3):  # symbol, interval and parameters decide how the rest is read
        read = read_document(document, leaves, context)
        settled = settle(read)
        found = Context(
            {name: float(value) for name, value in settled.parameters.items()},
            settled.settings.get("symbol", ""),
            settled.settings.get("interval", DEFAULT_INTERVAL),
        )
        if found == context:
            break
        context = found
    return _Definition(document, leaves, read, settled, source).result()


class _Definition:
    """Puts the definition together and sorts the parts into the three lists."""

    def __init__(
        self, data: Mapping[str, Any], leaves: list[Leaf], read: DocumentRead, settled: Settled, source: str
    ) -> None:
        self._data = data
        self._leaves = leaves
        self._parts = read.parts
        self._settled = settled
        self._source = source
        self._assumptions = list(dict.fromkeys(settled.assumptions))
        self._draft: dict[str, Any] = {}

    def result(self) -> ImportResult:
        self._identity()
        self._trading()
        self._texts()
        result = ImportResult(None, self._draft, assumptions=self._assumptions)
        for part in self._parts:
            if part.why:
                result.not_understood.append(NotUnderstood(part.path, part.text, part.why, part.nearest))
            elif part.to:
                result.carried.append(Carried(part.path, part.text, part.to))
            else:
                meaning = "; ".join(dict.fromkeys(part.shown)) or part.meaning
                result.understood.append(Understood(part.path, part.text, meaning))
        return self._checked(result)

    def _checked(self, result: ImportResult) -> ImportResult:
        if not any(self._settled.entries.values()):
            problem = "no entry is understood, so there is nothing to trade; see what was not understood"
            result.problems.append(problem)
            return result
        if self._settled.gaps:
            result.problems.extend(self._settled.gaps)
            return result
        try:
            checked = check_definition(self._draft)
        except DefinitionError as error:
            result.problems.extend(str(problem) for problem in error.problems)
            return result
        definition = checked.definition.model_dump(mode="json", exclude_none=True)
        return ImportResult(
            definition,
            self._draft,
            result.understood,
            result.not_understood,
            result.carried,
            [*result.assumptions, *checked.notes],
        )

    # ------------------------------------------------------------------ fields

    def _carried(self, to: str) -> list[Part]:
        return [part for part in self._parts if part.to == to and not part.why]

    def _identity(self) -> None:
        ids = self._carried("name")
        title = self._data.get("title")
        names = [as_name(part.text) for part in ids]
        name = next(filter(None, names), "")
        if not name:
            name = as_name(title if isinstance(title, str) else "") or as_name(
                self._source.rsplit("/")[-1].split(".")[0]
            )
            name = name or "imported"
            self._assumptions.append(f"no strategy_id that can be a name: the name is {name}")
        for part, own in zip(ids, names, strict=True):
            if part.text != name or own != name:
                part.to = "notes" if own != name else ""
                part.meaning = f"the name {name}"
        self._draft["name"] = name
        self._draft["version"] = "1.0.0"
        for part in self._carried("version"):
            version = as_version(part.text)
            self._draft["version"] = version or "1.0.0"
            if version is None:
                part.to = "notes"
                self._assumptions.append(f"version: '{part.text[:40]}' is no version; 1.0.0 is set")
            elif version != part.text:
                part.to, part.meaning = "", f"version {version}"

    def _trading(self) -> None:
        settled, draft = self._settled, self._draft
        draft["symbol"] = settled.settings.get("symbol", DEFAULT_SYMBOL)
        if "symbol" not in settled.settings:
            self._assumptions.append(
                f"no instrument is named: the symbol is {DEFAULT_SYMBOL}, for which data is bundled; change it"
            )
        draft["interval"] = settled.settings.get("interval", DEFAULT_INTERVAL)
        if "interval" not in settled.settings:
            self._assumptions.append(f"no bar length is named: the interval is {DEFAULT_INTERVAL}")
        if settled.parameters:
            draft["parameters"] = dict(settled.parameters)
        for side in SIDES:
            prefix = "" if side == "long" else "short_"
            if entries := settled.entries.get(side):
                draft[f"{prefix}entry_rules"] = entries
            if exits := settled.exits.get(side):
                draft[f"{prefix}exit_rules"] = exits
        if size := settled.limits.get("sizing"):
            draft["position_sizing"] = _value(size)
        else:
            self._assumptions.append("no position size is understood: 95 percent of equity is the default")
        slots: tuple[Slot, ...] = (
            "stop_loss",
            "take_profit",
            "trailing_stop",
            "max_holding_bars",
            "max_position",
        )
        if risk := {slot: _value(settled.limits[slot]) for slot in slots if slot in settled.limits}:
            draft["risk_limits"] = risk

    def _texts(self) -> None:
        self._tags()
        self._dates()
        descriptions = [leaf.text for leaf in self._leaves if leaf.path in ("title", "description")]
        descriptions += [
            part.text for part in self._carried("description") if part.path not in ("title", "description")
        ]
        self._draft["description"] = "\n".join(dict.fromkeys(descriptions))
        if len(self._draft["description"]) > MAX_DESCRIPTION:
            self._draft["description"] = self._draft["description"][:MAX_DESCRIPTION]
            for part in self._carried("description"):
                part.to = "notes"
        named = [
            part for part in self._carried("notes") if "instrument" in part.path and is_indicator(part.text)
        ]
        if named:
            places = ", ".join(f"{part.path} ('{part.text}')" for part in named[:6]) + (
                " …" if len(named) > 6 else ""
            )
            self._assumptions.append(
                f"an indicator stands where an instrument should, kept in the notes: {places}"
            )
        self._notes()

    def _tags(self) -> None:
        tags: list[str] = []
        for part in self._carried("tags"):
            if part.text not in tags and (len(tags) >= MAX_TAGS or len(part.text) > 64):
                part.to = "notes"
            elif part.text not in tags:
                tags.append(part.text)
        if tags:
            self._draft["tags"] = tags

    def _dates(self) -> None:
        for key in ("created", "updated"):
            for part in self._carried(key):
                day = as_date(part.text)
                if day and key not in self._draft:
                    self._draft[key] = day.isoformat()
                if day is None or self._draft[key] != part.text:
                    part.to = "notes"

    def _notes(self) -> None:
        """What has no field of its own, word for word under its path, as far as there is room."""
        lines = [f"Imported from {self._source[:200]}."]
        size = len(lines[0])
        room = MAX_NOTES - len(_OVERFLOW) - 1
        full = False
        for part in self._parts:
            if not part.why and part.to != "notes":
                continue
            line = f"{'not understood, ' if part.why else ''}{part.path}: {part.text}"
            if size + len(line) + 1 > room:
                full = True
                part.to = "report" if part.to else part.to
                continue
            lines.append(line)
            size += len(line) + 1
        if full:
            lines.append(_OVERFLOW)
            self._assumptions.append(
                f"notes: the texts that were left over have more than {MAX_NOTES} characters; not all fit"
            )
        self._draft["notes"] = "\n".join(lines)


def _value(limit: LimitSaid) -> Any:
    """The limit as a definition file shows it."""
    if isinstance(limit.value, dict):
        return {key: tidy(each) if isinstance(each, float) else each for key, each in limit.value.items()}
    return tidy(limit.value) if isinstance(limit.value, float) else limit.value
