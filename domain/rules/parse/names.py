"""Names, indicator calls and the lines of indicators."""

from typing import cast

from lark import Token, Tree

from domain.rules import calls, english
from domain.rules.ast import Expr, Indicator, Named, Price, Span
from domain.rules.calls import Given
from domain.rules.catalogue import CATALOGUE, IndicatorSpec
from domain.rules.formal import formal
from domain.rules.parse.base import Base, Node, span_of
from domain.rules.scope import find_spec, glued


class Names(Base):
    def name(self, node: Tree[Token]) -> Expr:
        token = cast(Token, node.children[0])
        span = span_of(token)
        if token.type == "TITLE":
            return self._bare(english.titled(token), token)
        if found := self.scope.reference(token, span):
            return found
        if spec := find_spec(token):
            return self._bare(spec, token)
        if near := glued(token):
            return calls.with_period(self.scope, near[0], near[1], span, self.take_owner(), span)
        raise self.scope.unknown(token, span)

    def _bare(self, spec: IndicatorSpec, token: Token) -> Expr:
        """An indicator without arguments: its defaults, where that can't mean something else."""
        span = span_of(token)
        if own := self.scope.lookalike(token):
            plain = calls.complete(self.scope, spec, {}, Price("Close"), span)
            message = (
                f"'{token}' could be this definition's '{own}' or the indicator {formal(plain)}; say which"
            )
            raise self.scope.error(span, message, f"{own} or {formal(plain)}")
        if token.type == "TITLE" and english.averages(spec):
            raise self.scope.error(span, f"'{token}' of how many bars?", f"20-bar {token}")
        return calls.complete(self.scope, spec, {}, self.take_owner() if spec.one_series else None, span)

    def call(self, node: Tree[Token]) -> Expr:
        token, arguments = cast(Token, node.children[0]), cast("Tree[Token]", node.children[1])
        given = [self._given(cast("Tree[Token]", child)) for child in arguments.children]
        if token.type in ("BAND", "DI"):
            return self._fixed(token, given, span_of(node))
        spec = english.titled(token) if token.type == "TITLE" else find_spec(token)
        if spec is None:
            if self.scope.reference(token, span_of(token)):
                raise self.scope.error(
                    span_of(token), f"'{token}' takes no arguments; past bars are written '{token}[1]'"
                )
            raise self.scope.unknown(token, span_of(token), "an indicator")
        return calls.call(self.scope, spec, given, span_of(node))

    def _given(self, node: Tree[Token]) -> Given:
        with self._owned_by(None):
            value = self.number(node.children[-1])
        if node.data == "positional":
            return Given(None, value, span_of(node))
        name = cast(Token, node.children[0])
        return Given(str(name), value, span_of(node.children[1]), span_of(name))

    def call_short(self, node: Tree[Token]) -> Expr:
        token, amount = cast("list[Token]", node.children)
        spec = find_spec(token)
        if spec is None or self.scope.own(token):
            raise self.scope.error(
                span_of(amount), f"a number can't follow '{token}' here; an operator is missing"
            )
        return calls.with_period(
            self.scope, spec, self._bars(amount), span_of(amount), self.take_owner(), span_of(node)
        )

    def fixed(self, node: Tree[Token]) -> Expr:
        return self._fixed(cast(Token, node.children[0]), [], span_of(node))

    def _fixed(self, token: Token, given: list[Given], span: Span) -> Indicator:
        """Wordings that name one line of one indicator: "upper Bollinger band", "+DI", "%K"."""
        if token.type == "DI":
            if self.scope.own("DI"):
                message = (
                    f"'{token}' could be the indicator or this definition's 'DI'; give yours another name"
                )
                raise self.scope.error(span_of(token), message)
            return calls.call(
                self.scope, CATALOGUE["PLUS_DI" if token[0] == "+" else "MINUS_DI"], given, span
            )
        if token.type == "PERCENT_KD":
            stoch = calls.call(self.scope, CATALOGUE["STOCH"], given, span)
            return calls.line_of(self.scope, stoch, token[-1], span)
        line = next(word for word in ("upper", "middle", "lower") if word in token.lower())
        return calls.line_of(self.scope, calls.call(self.scope, CATALOGUE["BBANDS"], given, span), line, span)

    def field(self, node: Tree[Token]) -> Expr:
        return Price(english.field(cast(Token, node.children[0])), span_of(node))

    # -------------------------------------------------------------- lines

    def line(self, node: Tree[Token]) -> Expr:
        inner, token = node.children[0], cast(Token, node.children[1])
        word = token.lower().split()[-1].lstrip(".") if token.type == "LINE" else self._worded_line(token)
        return self._line(self.number(inner), inner, word, token, span_of(node))

    def line_of(self, node: Tree[Token]) -> Expr:
        token = cast(Token, node.children[0])
        word = token.lower().split()[0]
        return self._line(self.number(node.children[1]), node.children[1], word, token, span_of(node))

    def _worded_line(self, token: Token) -> str:
        words = token.lower().replace("’", "'").removeprefix("'s ").split()
        return "macd" if words in (["line"], ["macd", "line"], ["main", "line"]) else words[0]

    def _line(self, inner: Expr, node: Node, word: str, token: Token, span: Span) -> Expr:
        base = inner.expr if isinstance(inner, Named) else inner
        while isinstance(node, Tree) and node.data in ("the", "group"):
            node = node.children[-1]
        if not isinstance(base, Indicator) or (
            isinstance(node, Tree) and node.data in ("line", "line_of", "fixed")
        ):
            text = self.scope.text[slice(*span_of(node))]
            raise self.scope.error(
                span_of(token), f"'{text}' has no lines to choose from", "MACD(12, 26, 9).signal"
            )
        chosen = calls.line_of(self.scope, base, word, span_of(token))
        chosen = Indicator(chosen.name, chosen.args, chosen.source, chosen.line, span)
        return Named(inner.name, chosen, span) if isinstance(inner, Named) else chosen

    def signal_line(self, node: Tree[Token]) -> Expr:
        """A bare "signal line" belongs to the MACD on the left of the comparison."""
        owner = self.take_owner() or self.subject
        base = owner.expr if isinstance(owner, Named) else owner
        if not isinstance(base, Indicator) or base.name != "MACD":
            raise self.scope.error(span_of(node), "of what is this the signal line?", "MACD signal line")
        chosen = Indicator(base.name, base.args, base.source, "signal", span_of(node))
        return Named(owner.name, chosen, span_of(node)) if isinstance(owner, Named) else chosen
