"""One statement of prose: what it is about, and the rule, limit or setting it holds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.importer.instruments import as_interval, as_symbol
from domain.importer.phrases import read_limit, read_size_words
from domain.importer.readings import Act, Context, LimitSaid, Reading, RuleSaid, SettingSaid, Side
from domain.importer.sentences import STATEMENT, joints, sentences, trim
from domain.rules.ast import Condition
from domain.rules.errors import RuleError
from domain.rules.parse import parse_rule

MAX_STATEMENT = 1_000
NO_STATEMENT = "no rule, stop, target, size or bar length is recognised in it"

_ONE = r"(?: (?:the|a|an|any|all|your|my|our|every))*"
_THING = r"(?: (?:positions?|trades?|shares|holdings?|entry))?"
_OPENERS: tuple[tuple[Act, tuple[Side, ...], str], ...] = (
    ("exit", ("short",), rf"buy(?:ing)? to cover|buy back|cover(?:ing)?{_ONE}(?: shorts?)?{_THING}"),
    ("exit", ("short",), rf"(?:exit|clos(?:e|ing)|leave){_ONE} shorts?{_THING}|short (?:exit|close)"),
    (
        "exit",
        ("long",),
        rf"sell to close|(?:exit|clos(?:e|ing)|leave){_ONE} longs?{_THING}|long (?:exit|close)",
    ),
    ("entry", ("short",), r"sell(?:ing)? short|short sell(?:ing)?|go(?:ing)? short|short entry"),
    ("entry", ("short",), rf"(?:enter(?:ing)?|open(?:ing)?|take|initiate){_ONE} short{_THING}|short(?:ing)?"),
    ("entry", ("long",), rf"go(?:ing)? long|(?:enter(?:ing)?|open(?:ing)?|take|initiate){_ONE} long{_THING}"),
    ("entry", ("long",), r"buy(?:ing)?(?: long)?|purchase|long entry|long"),
    ("exit", (), rf"(?:exit(?:ing)?|clos(?:e|ing)|leave|liquidate|get out of){_ONE}{_THING}(?: out)?"),
    ("entry", (), rf"(?:enter(?:ing)?|open(?:ing)?|entry|take|initiate){_ONE}{_THING}"),
    ("sell", (), rf"sell(?:ing)?{_ONE}{_THING}"),
)
_SUBJECT = r"(?:(?:we|i|you|it|the (?:strategy|system|bot))\s+(?:(?:will|should|want to|can|then)\s+)?)?"
_OPENING = [
    (act, sides, re.compile(rf"{_SUBJECT}(?:{words})(?![\w-])", re.IGNORECASE))
    for act, sides, words in _OPENERS
]
_WHEN = re.compile(
    r"\s*,?\s*\b(?:only\s+)?(?:when(?:ever)?|if|once|as soon as|provided(?: that)?|upon|on|at|while)\b\s*",
    re.I,
)
_WHEN_FIRST = re.compile(r"(?:when(?:ever)?|if|once|as soon as)\s+", re.IGNORECASE)
_THEN = re.compile(r"\s*,\s*(?:then\s+)?|\s+then\s+|\s*(?:->|=>|\N{RIGHTWARDS ARROW})\s*", re.IGNORECASE)
_HEAD = re.compile(
    r"(?:[-*\N{BULLET}\N{EN DASH}\N{EM DASH}\N{MIDDLE DOT}|]+\s*|\(?\d{1,2}[.)]\s+|step \d{1,2}\s*[:.)-]\s*"
    r"|(?:and|then|but|or|also|next|finally|plus|afterwards|additionally)\b[\s,]*)+",
    re.IGNORECASE,
)
_LABEL = re.compile(r"([^\W\d][^:;<>=\n]{0,80}?)\s*:\s+", re.UNICODE)
_HEADING = re.compile(r"(?:[^\W\d_][^:;<>=\n\d]{0,60}:\s*){1,3}(?:[-*]\s*)?")
_HEDGE = re.compile(
    r"\b(?:not|no|never|avoid|don'?t|without|unless|except|skip|ignore|optional(?:ly)?|may|maybe|might|could|consider"
    r"|example|instead|options?|bad|wrong|mistake|old|previous(?:ly)? used|disabled|test(?:ed)?|wait)\b",
    re.IGNORECASE,
)
_ACT_LABELS: Mapping[str, tuple[Act, tuple[Side, ...]]] = {
    **dict.fromkeys(
        ("entry", "enter", "entries", "entry rule", "entry condition", "entry point", "entry signal"),
        ("entry", ()),
    ),
    **dict.fromkeys(
        ("exit", "exits", "exit rule", "exit condition", "exit point", "exit signal"), ("exit", ())
    ),
    **dict.fromkeys(
        ("buy", "long", "long entry", "entry long", "entry (long)", "buy signal", "buy rule"),
        ("entry", ("long",)),
    ),
    **dict.fromkeys(("short", "short entry", "entry short", "entry (short)"), ("entry", ("short",))),
    **dict.fromkeys(("long exit", "exit long", "exit (long)", "close long"), ("exit", ("long",))),
    **dict.fromkeys(
        ("short exit", "exit short", "exit (short)", "close short", "cover"), ("exit", ("short",))
    ),
    **dict.fromkeys(("sell", "sell signal", "sell rule"), ("sell", ())),
}
_PLAIN_LABELS = frozenset(
    {"original", "trigger", "condition", "rule", "rules", "signal", "setup", "text", "strategy"}
)
_GLOSS = re.compile(
    r"\s*\((?:(?:i\.e\.,? |is )?(?:oversold|overbought|bullish|bearish|golden cross|death cross|up-?trend|down-?trend)"
    r"(?: (?:zone|territory|signal|condition|level|cross(?:over)?))?)\)",
    re.IGNORECASE,
)
_INTERVAL_TEXT = (
    r"(?P<interval>\d{1,3}[\s-]?[A-Za-z]+|[MHDWmhdw]\d{1,2}|hourly|daily|weekly|monthly|end of day)"
)
_BARS = r"(?:\s*|-)(?:time[\s-]?frames?|charts?|bars?|candles?|data|tf)"
_ON_BARS = re.compile(
    rf"[\s,]+(?:on|using|in)\s+(?:the\s+|a\s+|an\s+)?{_INTERVAL_TEXT}{_BARS}$", re.IGNORECASE
)
_SETTING = (
    re.compile(
        rf"(?:(?:trade[sd]?|trading|use[sd]?|run|works?|apply|designed|for|on|using|in|it|we|i|you|the|a|an|with)\s+)*{_INTERVAL_TEXT}{_BARS}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?:bar length|interval|time[\s-]?frame|bars|chart|tf)\s*(?:is|=|:|of)?\s*{_INTERVAL_TEXT}{_BARS}?",
        re.I,
    ),
)
_TRADE = re.compile(
    r"(?:(?:we|i|it)\s+)?(?:trade[sd]?|trading|symbol|ticker|instrument|asset|market)\s*:?\s+(?P<symbol>\S{1,20})",
    re.I,
)
_FILLER = re.compile(
    r"\b(?:of|in|on|for|worth|an?|the|positions?|trades?|market|at|order|shares?|stock|immediately|pair|with)\b",
    re.IGNORECASE,
)


@dataclass
class Piece:
    """A stretch of a text: what it says, or why that isn't understood. `opened`: it begins as a statement does;
    `heading`: it only announces what follows."""

    text: str
    readings: list[Reading] = field(default_factory=list)
    why: str = ""
    nearest: str = ""
    opened: bool = False
    heading: bool = False


def read_text(
    text: str, context: Context, act: Act = "", sides: tuple[Side, ...] = (), *, bare: bool = False
) -> list[Piece]:
    """The statements of a text, one after the other, without a gap but white space.

    `bare` allows a condition without a verb; it is then for `act` and `sides`, as the field says in which it stands.
    """
    pieces: list[Piece] = []
    for start, end in sentences(text):
        pieces += _sentence(text[start:end], context, act, sides, bare)
    return pieces


def _sentence(text: str, context: Context, act: Act, sides: tuple[Side, ...], bare: bool) -> list[Piece]:
    whole = read_statement(text, context, act, sides, bare)
    if whole.readings or len(text) > MAX_STATEMENT:
        return [whole]
    places = joints(text)
    if not places:
        return [whole]
    for at in places:
        left = read_statement(text[slice(*trim(text, 0, at))], context, act, sides, bare)
        if left.readings:
            return [left, *_sentence(text[slice(*trim(text, at, len(text)))], context, act, sides, bare)]
    at = places[0]
    left = read_statement(text[slice(*trim(text, 0, at))], context, act, sides, bare)
    right = _sentence(text[slice(*trim(text, at, len(text)))], context, act, sides, bare)
    return [left, *right] if any(piece.readings for piece in right) else [whole]


def read_statement(text: str, context: Context, act: Act, sides: tuple[Side, ...], bare: bool) -> Piece:
    """One statement as a whole, or a piece with the reason why it isn't understood."""
    if len(text) > MAX_STATEMENT:
        return Piece(text, why=f"longer than {MAX_STATEMENT:,} characters; a rule is one short sentence")
    if _HEADING.fullmatch(text) and not _HEDGE.search(text):
        return Piece(text, heading=True)
    core = _core(text)
    if not core:
        return Piece(text, why=NO_STATEMENT)
    labels: list[str] = []
    worded = False
    while len(labels) < 3 and (found := _LABEL.match(core)):
        label = found[1].strip().lower()
        rest = _core(core[found.end() :])
        if _HEDGE.search(label) or not rest:
            return Piece(text, why=NO_STATEMENT)
        limit = read_limit(core, context)
        if isinstance(limit, LimitSaid):
            return Piece(text, [limit], opened=True)
        if setting := _setting(core):
            return Piece(text, [setting], opened=True)
        if label in _ACT_LABELS:
            act, sides = _ACT_LABELS[label]
            bare = worded = True
        elif label not in _PLAIN_LABELS and not (STATEMENT.match(rest) or _WHEN_FIRST.match(rest)):
            break
        labels.append(label)
        core = rest
    return _read_core(text, core, context, act, sides, bare, worded)


def _core(text: str) -> str:
    """The statement without list marks, connectives, quotes and the full stop."""
    core = text.strip().strip("\"'\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}")
    if head := _HEAD.match(core):
        core = core[head.end() :]
    core = _GLOSS.sub("", core)
    return re.sub(r"[\s,;.!?:|-]+$", "", core).strip()


def _read_core(
    text: str, core: str, context: Context, act: Act, sides: tuple[Side, ...], bare: bool, worded: bool
) -> Piece:
    if setting := _setting(core):
        return Piece(text, [setting], opened=True)
    limit = read_limit(core, context)
    if isinstance(limit, LimitSaid):
        return Piece(text, [limit], opened=True)
    refusals: list[tuple[str, str]] = []
    opened = False
    if opening := _opening(core):
        verb, verb_sides, rest = opening
        for found in _WHEN.finditer(rest):
            opened = True
            said = _object(rest[: found.start()], context.symbol)
            if said is None:
                refusals.append((f"'{rest[: found.start()].strip()}' is not understood there", ""))
                continue
            rule = _condition(rest[found.end() :], context, verb, verb_sides, refusals)
            if rule:
                return Piece(text, [*rule, *said], opened=True)
        if (said := _object(rest, context.symbol)) and _HAS_SIZE.search(rest):
            return Piece(text, [*said], opened=True)
    if first := _WHEN_FIRST.match(core):
        rest = core[first.end() :]
        for found in reversed(list(_THEN.finditer(rest))):
            after = _opening(rest[found.end() :])
            said = _object(after[2], context.symbol) if after else None
            if after is None or said is None:
                continue
            opened = True
            rule = _condition(rest[: found.start()], context, after[0], after[1], refusals)
            if rule:
                return Piece(text, [*rule, *said], opened=True)
        if bare and (rule := _condition(rest, context, act, sides, refusals, worded)):
            return Piece(text, rule, opened=opened)
    elif bare and not opened and (rule := _condition(core, context, act, sides, refusals, worded)):
        return Piece(text, rule)
    if limit is not None:
        return Piece(text, why=limit[0], nearest=limit[1], opened=True)
    if refusals:
        why, nearest = refusals[0]
        return Piece(text, why=why, nearest=nearest, opened=opened)
    return Piece(text, why=NO_STATEMENT, opened=opened)


_HAS_SIZE = re.compile(r"\d")


def _opening(core: str) -> tuple[Act, tuple[Side, ...], str] | None:
    """The verb that a statement begins with, and what follows it."""
    for act, sides, opening in _OPENING:
        if found := opening.match(core):
            return act, sides, core[found.end() :]
    return None


def _object(text: str, symbol: str) -> list[Reading] | None:
    """What stands between the verb and 'when': a size, an instrument, or nothing; None where it is something else."""
    named = [found for word in text.replace(",", " ").split() if (found := _ticker(word))]
    size = read_size_words(text, named[0] if named else symbol)
    readings: list[Reading] = [size[0]] if size else []
    rest = size[1] if size else text
    for word in _FILLER.sub(" ", rest).replace(",", " ").split():
        found = _ticker(word)
        if not found or any(isinstance(each, SettingSaid) for each in readings):
            return None
        readings.append(SettingSaid("symbol", found))
    return readings


def _ticker(word: str) -> str | None:
    """In prose, only what is written in capitals or as a pair is taken for a symbol."""
    return as_symbol(word) if word.upper() == word or "/" in word else None


def _condition(
    text: str,
    context: Context,
    act: Act,
    sides: tuple[Side, ...],
    refusals: list[tuple[str, str]],
    worded: bool = True,
) -> list[Reading] | None:
    """A rule, and the bar length where the text ends with it; what is wrong is added to `refusals`."""
    path = {"entry": "entry_rules", "exit": "exit_rules", "sell": "exit_rules"}.get(act, "rule")
    if "short" in sides:
        path = f"short_{path}"
    core = re.sub(r"^(?:that|the following|then)\s+", "", text.strip().rstrip(",;."))
    settings: list[Reading] = []
    candidates = [core]
    if found := _ON_BARS.search(core):
        interval, _ = as_interval(found["interval"])
        if interval:
            settings = [SettingSaid("interval", interval)]
            candidates = [core[: found.start()]]
    if " or " not in core.lower() and re.search(r",(?![^(]*\))", core):
        candidates.append(re.sub(r"\s*,\s*(?:and\s+)?(?![^(]*\))", " and ", candidates[0]))
    first: RuleError | None = None
    for candidate in candidates:
        try:
            tree = parse(candidate, f"{path}[0]", context)
        except RuleError as error:
            first = first or error
        else:
            return [RuleSaid(act, sides, " ".join(candidate.split()), tree, worded), *settings]
    if first:
        refusals.append((first.message, first.suggestion or _which_way(core)))
    return None


def _which_way(text: str) -> str:
    """The nearest reading of 'crosses' without a direction: there are two, so neither is taken."""
    crossing = re.compile(
        r"\bcross(?:es|ed|ing)?\b(?! (?:above|below|over|under|back|up|down))", re.IGNORECASE
    )
    return crossing.sub("crosses above", text, count=1)[:200] if crossing.search(text) else ""


def parse(text: str, path: str, context: Context) -> Condition:
    return parse_rule(text, path=path, parameters=context.parameters, interval=context.interval)


def _setting(core: str) -> SettingSaid | None:
    for pattern in _SETTING:
        if found := pattern.fullmatch(core):
            interval, _ = as_interval(found["interval"])
            if interval:
                return SettingSaid("interval", interval)
    if found := _TRADE.fullmatch(core):
        word = found["symbol"].strip(".,")
        symbol = as_symbol(word) if word.upper() == word else None
        if symbol:
            return SettingSaid("symbol", symbol)
    return None
