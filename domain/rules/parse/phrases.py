"""Phrases of plain English: "its 20-day average", "the previous close", "the 20-day high"."""

from typing import Any, cast

from lark import Token, Tree

from domain.rules import calls, english
from domain.rules.ast import Condition, Expr, Lag, Number, Price, Span
from domain.rules.calls import Given
from domain.rules.catalogue import CATALOGUE, IndicatorSpec
from domain.rules.errors import RuleError
from domain.rules.formal import formal
from domain.rules.parse.base import span_of
from domain.rules.parse.names import Names
from domain.rules.scope import find_spec
from domain.rules.suggest import hint, nearest
from domain.rules.tree import is_series


class Phrases(Names):
    def the(self, node: Tree[Token]) -> Expr | Condition:
        article, inner = cast("Tree[Token]", node.children[0]), node.children[1]
        word = cast(Token, article.children[0])
        if isinstance(inner, Tree) and inner.data == "the":
            raise self.scope.error(span_of(inner.children[0]), "one article too many")
        if word.type == "THE":
            return self.number(inner)
        if self.subject is None:
            raise self.scope.error(
                span_of(word), "'its' refers to the left side of a comparison, and there is none"
            )
        with self._owned_by(self.subject):
            result = self.number(inner)
            if self.owner is not None:
                text = self.scope.text[slice(*span_of(inner))]
                raise self.scope.error(
                    span_of(node), f"'its' can't be joined with '{text}'", "its 20-day average"
                )
        return result

    def previous(self, node: Tree[Token]) -> Expr:
        word, inner = cast(Token, node.children[0]), cast("Tree[Token]", node.children[1])
        if not word.lower().endswith(("previous", "prior", "preceding")):
            self._check_unit(word)
        value = self.number(inner)
        if inner.data in ("spanned", "extreme", "span_extreme") and isinstance(value, Lag):
            return value  # "the previous 20-day high" is the 20-day high: both end with the bar before
        return self._lag(value, 1, span_of(node))

    def its_previous(self, node: Tree[Token]) -> Expr:
        if self.subject is None:
            raise self.scope.error(
                span_of(node), "'its' refers to the left side of a comparison, and there is none"
            )
        return self._lag(self.subject, 1, span_of(node))

    # -------------------------------------------------------------- "20-day …"

    def spanned(self, node: Tree[Token]) -> Expr:
        count, inner = cast(Token, node.children[0]), node.children[1]
        bars, span = self._bars(count), span_of(node)
        if isinstance(inner, Token):
            return self._fixed(inner, [Given("period", Number(bars), span_of(count))], span)
        word = cast(Token, inner.children[0])
        if (column := self._column(word)) in ("High", "Low"):
            return self._extreme(column, self.take_owner() or Price(cast(Any, column)), bars, span)
        if column:
            raise self.scope.error(
                span, f"'{count} {word}' is not defined", f"{count} average of {word}, or {word}[{bars}]"
            )
        spec = self._word_spec(word)
        source = self.take_owner() if spec.one_series else None
        if (
            source is None
            and self.subject is not None
            and english.averages(spec)
            and english.has_other_scale(self.subject)
        ):
            left = formal(self.subject)
            message = f"the {count} {word} of what: of {left} ('its'), or of Close?"
            raise self.scope.error(span, message, f"its {count} {word}")
        return calls.with_period(self.scope, spec, bars, span_of(count), source, span)

    def _extreme(self, column: str, source: Expr, bars: int, span: Span) -> Expr:
        """The N-day high or low: of the bars before this one, or no close could ever be above it."""
        if source == Price("Close"):
            source = Price(cast(Any, column))
        spec = CATALOGUE["HIGHEST" if column == "High" else "LOWEST"]
        return self._lag(calls.with_period(self.scope, spec, bars, span, source, span), 1, span)

    def spanned_of(self, node: Tree[Token]) -> Expr:
        count, word = cast(Token, node.children[0]), cast("Tree[Token]", node.children[1])
        source = self.number(node.children[3])
        return self._of(count, cast(Token, word.children[0]), source, span_of(node))

    def spanned_pair(self, node: Tree[Token]) -> Expr:
        """ "20-day average volume" and "20-day volume average"."""
        count = cast(Token, node.children[0])
        first, second = (cast(Token, cast("Tree[Token]", child).children[0]) for child in node.children[1:])
        word, what = (second, first) if self._column(first) else (first, second)
        column = self._column(what)
        if not column or self._column(word) or (word.type == "NAME" and not find_spec(word)):
            raise self._misplaced(first, node)
        return self._of(count, word, Price(cast(Any, column), span_of(what)), span_of(node))

    def _misplaced(self, word: Token, node: Tree[Token]) -> RuleError:
        """What is said of a word after a number that is no indicator; most often a misspelt "and" stands there."""
        joined = nearest(word, ("and", "or"))
        found = hint(word)
        if joined or found:
            message, instead = ("", joined) if joined or not found else found[1:]
            text = self.scope.text[: span_of(word)[0]] + instead + self.scope.text[span_of(word)[1] :]
            return self.scope.error(span_of(word), message or f"'{word}' is not understood here", text)
        text = self.scope.text[slice(*span_of(node))]
        if text.lower().endswith("ago"):
            return self.scope.error(span_of(node), f"what, {text}?", f"the close {text}")
        return self.scope.error(span_of(node), f"'{text}' is not understood here", "20-day average volume")

    def windowed(self, node: Tree[Token]) -> Expr:
        title, word, window = node.children
        what = cast(Token, cast("Tree[Token]", word).children[0])
        if not (column := self._column(what)):
            raise self.scope.unknown(what, span_of(what), "a field")
        return self._of(
            cast(Token, window), cast(Token, title), Price(cast(Any, column), span_of(what)), span_of(node)
        )

    def windowed_of(self, node: Tree[Token]) -> Expr:
        title, _, source, window = node.children
        return self._of(cast(Token, window), cast(Token, title), self.number(source), span_of(node))

    def _of(self, count: Token, word: Token, source: Expr, span: Span) -> Expr:
        if not is_series(source):
            raise self.scope.error(span, "this is computed from something that never changes")
        spec = self._word_spec(word)
        if not spec.one_series:
            raise self.scope.error(
                span_of(word), f"{spec.name} is computed from {', '.join(spec.columns)}, not from a series"
            )
        return calls.with_period(self.scope, spec, self._bars(count), span_of(count), source, span)

    def extreme(self, node: Tree[Token]) -> Expr:
        return self._worded_extreme(*cast("tuple[Token, Token]", node.children), node)

    def span_extreme(self, node: Tree[Token]) -> Expr:
        count, words = cast("list[Token]", node.children)
        return self._worded_extreme(words, count, node)

    def _worded_extreme(self, words: Token, count: Token, node: Tree[Token]) -> Expr:
        which, what = words.split(" ", 1)
        spec = CATALOGUE["HIGHEST" if which.lower() == "highest" else "LOWEST"]
        source = Price(english.field(what), span_of(words))
        bars = self._bars(count)
        return self._lag(
            calls.with_period(self.scope, spec, bars, span_of(count), source, span_of(node)), 1, span_of(node)
        )

    def _column(self, word: Token) -> str | None:
        if word.type == "FIELD":
            return english.field(word)
        if word.type == "TITLE" or self.scope.own(word):
            return None
        found = self.scope.reference(word, span_of(word))
        return found.column if isinstance(found, Price) else None

    def _word_spec(self, word: Token) -> IndicatorSpec:
        spec = english.titled(word) if word.type == "TITLE" else find_spec(word)
        if spec is None:
            raise self.scope.unknown(word, span_of(word), "an indicator")
        return spec
