"""A syntax error in words: what stands there, what could, and the nearest text that would have been read."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from lark import UnexpectedCharacters, UnexpectedToken

from domain.rules.ast import Span
from domain.rules.catalogue import ALIASES
from domain.rules.errors import RuleError
from domain.rules.scope import FIELDS, FIELDS_SHOWN, Scope, find_spec
from domain.rules.suggest import WORDS, hint, nearest

_WORD = re.compile(r"[^\W\d]\w*|\d[\w.,]*|\S")

_THOUSANDS = re.compile(r"\b\d{1,3}(?:,\d{3})+\b")

_OPERATORS = re.compile(r"[<>=!*/]+$")
_PERCENT = re.compile(r"(\d[\d.]*) ?(?:%|percent) ?$", re.IGNORECASE)
_AFTER_NUMBER = re.compile(r"\d ([A-Za-z]+) $")
_CROSSES = re.compile(r"\bcross(?:es|ed|ing)?\b", re.IGNORECASE)
_VERB = re.compile(
    r"(?:buy|sell|enter|exit|go|open|close|cover|short)(?: long| short)?\b(?! when)", re.IGNORECASE
)

_EXPECTED: tuple[tuple[str, str], ...] = (
    ("NAME", "a field, indicator, name or number"),
    ("GREATER", "a comparison (<, >, crosses above, is below …)"),
    ("_OR", "'and' or 'or'"),
    ("PLUS", "an operator"),
    ("RPAR", "')'"),
    ("RSQB", "']'"),
    ("COMMA", "','"),
)


@dataclass(frozen=True)
class _Stop:
    """Where reading stopped, what could have stood there, and whether another text would be read."""

    scope: Scope
    start: int
    allowed: Collection[str]
    parses: Callable[[str], bool]

    @property
    def before(self) -> str:
        return self.scope.text[: self.start]

    @property
    def rest(self) -> str:
        return self.scope.text[self.start :]

    def repaired(self, span: Span, instead: str) -> str:
        """The whole rule with `instead` in place, where that would be read; else `instead` alone."""
        text = f"{self.scope.text[: span[0]]}{instead}{self.scope.text[span[1] :]}"
        return text if self.parses(text) else instead

    def error(self, span: Span, message: str, instead: str = "") -> RuleError:
        return self.scope.error(span, message, self.repaired(span, instead) if instead else "")


def refusal(
    scope: Scope, error: UnexpectedCharacters | UnexpectedToken, parses: Callable[[str], bool]
) -> RuleError:
    """What is said of a place where reading stopped. `parses` says whether a text is understood."""
    start = error.pos_in_stream or 0
    allowed: Collection[str] = ()
    if isinstance(error, UnexpectedToken):
        start = len(scope.text) if error.token.type == "$END" else error.token.start_pos or 0
        allowed = error.accepts or error.expected
    elif error.allowed:
        allowed = error.allowed
    stop = _Stop(scope, start, allowed, parses)
    glued = _AFTER_NUMBER.search(stop.before)
    if glued and not find_spec(glued[1]) and glued[1].lower() not in FIELDS:  # "30 for" was begun as "30 EMA"
        stop = replace(stop, start=glued.start(1))
    for usual in (_percentage, _opening, _crossing, _too_early, _thousands, _hinted):
        if found := usual(stop):
            return found
    return _misplaced(stop)


def _percentage(stop: _Stop) -> RuleError | None:
    if not (percent := _PERCENT.search(stop.before)):
        return None
    message = "a percentage has no meaning here; write a number, or 'is more than 5% above'"
    return stop.error(percent.span(), message, percent[1])


def _opening(stop: _Stop) -> RuleError | None:
    if not (verb := _VERB.match(stop.scope.text)):
        return None
    text = f"{verb[0]} when{stop.scope.text[verb.end():]}"
    if stop.start > verb.end() + 1 or not stop.parses(text):
        return None
    return stop.scope.error(verb.span(), f"'{verb[0]}' is followed by 'when' and a condition", text)


def _crossing(stop: _Stop) -> RuleError | None:
    if stop.rest or "FROM_BELOW" not in stop.allowed:
        return None
    *_, crosses = _CROSSES.finditer(stop.scope.text)
    return stop.error(crosses.span(), f"'{crosses[0]}' above or below?", "crosses above")


def _too_early(stop: _Stop) -> RuleError | None:
    if stop.rest:
        return None
    text = stop.before
    closed = text + ")" * (text.count("(") - text.count(")"))
    nearly = closed != text and len(closed) < len(text) + 20 and stop.parses(closed)
    message = f"the rule stops too early; {_expected(stop.allowed)} is missing"
    return stop.scope.error((stop.start, stop.start), message, closed if nearly else "")


def _thousands(stop: _Stop) -> RuleError | None:
    for number in _THOUSANDS.finditer(stop.scope.text):
        if number.start() < stop.start < number.end():
            plain = number[0].replace(",", "_")
            return stop.error(
                number.span(), f"a comma separates arguments, not thousands; write {plain}", plain
            )
    return None


def _hinted(stop: _Stop) -> RuleError | None:
    run = _OPERATORS.search(stop.before)  # of "<>" the first half was read
    for start in ((run.start(),) if run else ()) + (stop.start,):
        found = hint(stop.scope.text[start:])
        if found and start + found[0] > stop.start:
            length, message, instead = found
            return stop.error((start, start + length), f"{message}; write {instead}", instead)
    return None


def _misplaced(stop: _Stop) -> RuleError:
    word = _WORD.match(stop.rest)
    near, span = _near(stop.scope, (stop.start, stop.start + (word.end() if word else 1)))
    expected = _expected(stop.allowed)
    message = f"'{stop.scope.text[slice(*span)]}' is not understood here"
    return stop.error(span, message + (f"; {expected} could stand here" if expected else ""), near)


def _near(scope: Scope, span: Span) -> tuple[str, Span]:
    """The nearest word of the language to what stands at `span`, or to that and the word after it."""
    if not scope.text[span[0]].isalpha():
        return "", span
    vocabulary = (*WORDS, *scope.names(), *ALIASES, *FIELDS_SHOWN)
    following = _WORD.match(scope.text, span[1] + 1)
    if following and scope.text[span[0] : span[1]].isalpha():
        both = (span[0], following.end())
        if near := nearest(scope.text[slice(*both)], WORDS, cutoff=0.8):
            return near, both
    word = scope.text[slice(*span)]
    near = nearest(word, vocabulary, cutoff=0.65)
    return ("" if near.lower() == word.lower() else near), span


def _expected(allowed: Collection[str]) -> str:
    words = [words for terminal, words in _EXPECTED if terminal in allowed]
    return ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1] if words else ""
