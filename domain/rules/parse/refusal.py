"""A syntax error in words: what stands there, what could, and the nearest text that would have been read."""

import re
from collections.abc import Callable, Collection

from lark import UnexpectedCharacters, UnexpectedToken

from domain.rules.ast import Span
from domain.rules.catalogue import ALIASES
from domain.rules.errors import RuleError
from domain.rules.scope import FIELDS_SHOWN, Scope
from domain.rules.suggest import WORDS, hint, nearest

_WORD = re.compile(r"[^\W\d]\w*|\d[\w.,]*|\S")

_THOUSANDS = re.compile(r"\b\d{1,3}(?:,\d{3})+\b")

_OPERATORS = re.compile(r"[<>=!*/]+$")
_PERCENT = re.compile(r"(\d[\d.]*) ?(?:%|percent) ?$", re.IGNORECASE)
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


def refusal(
    scope: Scope, error: UnexpectedCharacters | UnexpectedToken, parses: Callable[[str], bool]
) -> RuleError:
    """What is said of a place where reading stopped. `parses` says whether a text is understood."""
    start = error.pos_in_stream or 0
    allowed: Collection[str]
    if isinstance(error, UnexpectedToken):
        start = len(scope.text) if error.token.type == "$END" else error.token.start_pos or 0
        allowed = error.accepts or error.expected
    else:
        allowed = error.allowed or ()
    rest = scope.text[start:]
    if percent := _PERCENT.search(scope.text[:start]):
        message = "a percentage has no meaning here; write a number, or 'is more than 5% above'"
        return scope.error(percent.span(), message, _repaired(scope, percent.span(), percent[1], parses))
    if verb := _VERB.match(scope.text):
        text = f"{verb[0]} when{scope.text[verb.end():]}"
        if verb.end() < start + 2 and parses(text):
            return scope.error(verb.span(), f"'{verb[0]}' is followed by 'when' and a condition", text)
    if not rest:
        return scope.error(
            (start, start),
            f"the rule stops too early; {_expected(allowed)} is missing",
            _closed(scope.text, parses),
        )
    for thousands in _THOUSANDS.finditer(scope.text):
        if thousands.start() < start < thousands.end():
            number = thousands[0].replace(",", "_")
            message = f"a comma separates arguments, not thousands; write {number}"
            return scope.error(thousands.span(), message, _repaired(scope, thousands.span(), number, parses))
    if run := _OPERATORS.search(scope.text[:start]):  # of "<>" the first half was read
        longer = hint(scope.text[run.start() :])
        if longer and run.start() + longer[0] > start:
            start, rest = run.start(), scope.text[run.start() :]
    if found := hint(rest):
        length, message, instead = found
        return scope.error(
            (start, start + length),
            f"{message}; write {instead}",
            _repaired(scope, (start, start + length), instead, parses),
        )
    word = _WORD.match(rest)
    near, span = _near(scope, (start, start + (word.end() if word else 1)))
    return _at(scope, span, allowed, near, parses)


def _at(
    scope: Scope, span: Span, allowed: Collection[str], near: str, parses: Callable[[str], bool]
) -> RuleError:
    text = scope.text[slice(*span)]
    expected = _expected(allowed)
    return scope.error(
        span,
        f"'{text}' is not understood here" + (f"; {expected} could stand here" if expected else ""),
        _repaired(scope, span, near, parses) if near else "",
    )


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


def _repaired(scope: Scope, span: Span, instead: str, parses: Callable[[str], bool]) -> str:
    """The whole rule with `instead` in place, where that would be read; else `instead` alone."""
    text = f"{scope.text[: span[0]]}{instead}{scope.text[span[1] :]}"
    return text if parses(text) else instead


def _closed(text: str, parses: Callable[[str], bool]) -> str:
    missing = text.count("(") - text.count(")")
    closed = text + ")" * max(missing, 0)
    return closed if 0 < missing <= 20 and parses(closed) else ""


def _expected(allowed: Collection[str]) -> str:
    words = [words for terminal, words in _EXPECTED if terminal in allowed]
    return ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1] if words else ""
