"""From Lark's parse tree to the rule language's tree, with types, names and bounds checked on the way.

One method for each rule of `grammar.lark`, of the same name, spread over Names, Phrases and Reader.
"""

import math
from typing import Any, Literal, cast

from lark import Token, Tree

from domain.rules import english
from domain.rules.ast import (
    Arithmetic,
    Compare,
    Condition,
    Cross,
    Expr,
    Logic,
    Negative,
    Not,
    Number,
    Parameter,
    Span,
)
from domain.rules.formal import formal
from domain.rules.parse.base import Node, span_of
from domain.rules.parse.phrases import Phrases
from domain.rules.tree import is_series

_Op = Literal["<", "<=", ">", ">=", "==", "!="]
_OPS: dict[str, _Op] = {
    "GREATER": ">",
    "LESS": "<",
    "AT_LEAST": ">=",
    "AT_MOST": "<=",
    "EQUAL": "==",
    "UNEQUAL": "!=",
}


class Reader(Phrases):
    def rule(self, node: Tree[Token]) -> Condition:
        first = node.children[0]
        if isinstance(first, Token):
            self._opener(first)
        return self.condition(node.children[-1])

    def expression(self, node: Tree[Token]) -> Expr:
        result = self.number(node.children[0])
        if not is_series(result):
            raise self.scope.error(span_of(node), "this never changes from bar to bar; make it a parameter")
        return result

    def _opener(self, token: Token) -> None:
        here, lists = self.scope.path.split("[")[0], english.lists_for(token)
        if here in english.LISTS and here not in lists:
            verb = token.rsplit(" ", 1)[0].rstrip(",")
            raise self.scope.error(
                span_of(token), f"'{verb}' doesn't belong in {here}; move the rule to {' or '.join(lists)}"
            )

    # -------------------------------------------------------------- conditions

    def any_of(self, node: Tree[Token]) -> Condition:
        return self._logic("or", node)

    def all_of(self, node: Tree[Token]) -> Condition:
        return self._logic("and", node)

    def _logic(self, op: Literal["and", "or"], node: Tree[Token]) -> Condition:
        parts: list[Condition] = []
        before: Node | None = None
        for child in node.children:
            compares = isinstance(before, Tree) and before.data in ("compared", "elided")
            self.subject = self.subject if compares else None
            part = self.condition(child)
            parts += part.parts if isinstance(part, Logic) and part.op == op else (part,)
            before = child
        return Logic(op, tuple(parts), span_of(node))

    def negated(self, node: Tree[Token]) -> Condition:
        return Not(self.condition(node.children[1]), span_of(node))

    def compared(self, node: Tree[Token]) -> Condition:
        self.subject = None
        left = self.number(node.children[0])
        return self._tails(left, node, node.children[1:])

    def elided(self, node: Tree[Token]) -> Condition:
        if self.subject is None:
            text = self.scope.text[slice(*span_of(node))]
            raise self.scope.error(span_of(node), f"'{text}' doesn't say what is compared", f"Close {text}")
        return self._tails(self.subject, node, node.children)

    def _tails(self, left: Expr, node: Tree[Token], tails: list[Any]) -> Condition:
        self.subject = left
        condition = cast(Condition, getattr(self, tails[0].data)(left, tails[0], span_of(node)))
        self.subject = left
        if len(tails) > 1:  # said after the first half is read, which may hold the real mistake
            first, second = (self.scope.text[slice(*span_of(tail))] for tail in tails[:2])
            raise self.scope.error(
                span_of(tails[1]),
                "comparisons can't be chained; join two with 'and'",
                f"{formal(left)} {first} and … {second}",
            )
        return condition

    def _compare(self, op: _Op, left: Expr, right: Expr, span: Span) -> Compare:
        self._needs_series(left, right, span)
        return Compare(op, left, right, span)

    def _cross(self, above: bool, left: Expr, right: Expr, span: Span) -> Cross:
        self._needs_series(left, right, span)
        return Cross("above" if above else "below", left, right, span)

    def _needs_series(self, left: Expr, right: Expr, span: Span) -> None:
        if not is_series(left) and not is_series(right):
            raise self.scope.error(
                span, "neither side changes from bar to bar, so this is always or never true"
            )

    # -------------------------------------------------------------- the second half of a comparison

    def relation(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        op = cast(Token, node.children[0])
        return self._compare(_OPS[op.type], left, self.number(node.children[1]), span)

    def share_above(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        return self._share(1, left, node, span)

    def share_below(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        return self._share(-1, left, node, span)

    def _share(self, sign: int, left: Expr, node: Tree[Token], span: Span) -> Condition:
        degree, percent, side = cast("list[Token]", node.children[:3])
        if not degree.lower().endswith(("than", "at least")) or not side.isalpha():
            around = (span_of(degree)[0], span_of(side)[1])
            message = "a percentage is understood as 'more than 5% above' or 'at least 5% below'"
            raise self.scope.error(
                around, message, f"is more than {percent} {'above' if sign > 0 else 'below'}"
            )
        ops: tuple[_Op, _Op] = (">=", ">") if sign > 0 else ("<=", "<")
        level = self._written(english.share(percent, sign), percent)
        right = Arithmetic("*", level, self.number(node.children[3]), span_of(node))
        return self._compare(ops[0] if degree.type == "AT_LEAST" else ops[1], left, right, span)

    def between(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        word, low, high = node.children
        bottom, top = self.number(low), self.number(high)
        if isinstance(bottom, Number) and isinstance(top, Number) and bottom.value > top.value:
            here = (span_of(low)[0], span_of(high)[1])
            raise self.scope.error(
                here, "the first bound is above the second", f"{formal(top)} and {formal(bottom)}"
            )
        parts = (self._compare(">=", left, bottom, span), self._compare("<=", left, top, span))
        inside = Logic("and", parts, span)
        return Not(inside, span) if cast(Token, word).type == "NOT_BETWEEN" else inside

    def crossing(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        above = cast(Token, node.children[0]).type == "CROSS_ABOVE"
        return self._cross(above, left, self.number(node.children[1]), span)

    def crossing_from(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        above = cast(Token, node.children[2]).type == "FROM_BELOW"
        return self._cross(above, left, self.number(node.children[1]), span)

    def sign(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        word = cast(Token, node.children[0])
        positive, zero = word.type.endswith("POSITIVE"), Number(0.0, span_of(word))
        if word.type.startswith("TURNS"):
            return self._cross(positive, left, zero, span)
        return self._compare(">" if positive else "<", left, zero, span)

    def trend(self, left: Expr, node: Tree[Token], span: Span) -> Condition:
        word = cast(Token, node.children[0])
        return self._compare(">" if word.type == "IS_RISING" else "<", left, self._lag(left, 1, span), span)

    # -------------------------------------------------------------- numbers

    def arithmetic(self, node: Tree[Token]) -> Expr:
        left, op, right = (
            self.number(node.children[0]),
            cast(Token, node.children[1]),
            self.number(node.children[2]),
        )
        if op == "/" and self._constant(right) == 0:
            raise self.scope.error(span_of(node.children[2]), "this divides by zero")
        return Arithmetic(cast(Any, str(op)), left, right, span_of(node))

    def _constant(self, node: Expr) -> float | None:
        match node:
            case Number(value):
                return value
            case Parameter(name):
                return self.scope.parameters[name]
            case _:
                return None

    def negative(self, node: Tree[Token]) -> Expr:
        inner = self.number(node.children[1])
        if isinstance(inner, Number) and inner.value > 0:
            return Number(-inner.value, span_of(node))
        return Negative(inner, span_of(node))

    def multiple(self, node: Tree[Token]) -> Expr:
        word = cast(Token, node.children[0])
        amount = self._written(english.factor(word), word)
        return Arithmetic("*", amount, self.number(node.children[1]), span_of(node))

    def lagged(self, node: Tree[Token]) -> Expr:
        inner, bars = self.number(node.children[0]), self.number(node.children[1])
        where = span_of(node.children[1])
        if not isinstance(bars, Number) or bars.value != int(bars.value):
            raise self.scope.error(where, "how many bars ago must be a whole number, written out", "Close[1]")
        if bars.value < 0:
            raise self.scope.error(
                where, "this looks ahead; [1] is the bar before, [2] the one before that", "Close[1]"
            )
        return self._lag(inner, int(bars.value), span_of(node), where)

    def ago(self, node: Tree[Token]) -> Expr:
        word = cast(Token, node.children[1])
        self._check_unit(word)
        return self._lag(
            self.number(node.children[0]), english.whole_number(word), span_of(node), span_of(word)
        )

    def group(self, node: Tree[Token]) -> Expr | Condition:
        return self._read(node.children[0])

    def zero(self, node: Tree[Token]) -> Expr:
        return Number(0.0, span_of(node))

    # a literal is named by its terminal; `number` above is what is expected
    def literal(self, node: Tree[Token]) -> Expr:
        token = cast(Token, node.children[0])
        return self._written(float(token), token)

    def _written(self, value: float, token: Token) -> Number:
        """The number that stands at `token`."""
        if not math.isfinite(value):
            raise self.scope.error(span_of(token), "this number is too large")
        return Number(value, span_of(token))
