"""What every part of the reader needs: the scope, what "its" refers to, and what type a place wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from lark import Token, Tree

from domain.rules import english
from domain.rules.ast import Compare, Condition, Cross, Expr, Lag, Logic, Not, Span
from domain.rules.formal import number_text
from domain.rules.scope import Scope
from domain.rules.tree import is_series

Node = Tree[Token] | Token
MAX_LAG: Final = 100_000
_CONDITIONS = (Compare, Cross, Not, Logic)


def span_of(node: Node) -> Span:
    if isinstance(node, Token):
        return (node.start_pos or 0, node.end_pos or 0)
    return (node.meta.start_pos, node.meta.end_pos) if not node.meta.empty else (0, 0)


class Base:
    """`subject` is the left side of the comparison being read ("its" refers to it); `owner` is set while the phrase
    after "its" is read, until something has taken it for its series."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.subject: Expr | None = None
        self.owner: Expr | None = None

    # -------------------------------------------------------------- what is expected

    def condition(self, node: Node) -> Condition:
        result = self._read(node)
        if isinstance(result, _CONDITIONS):
            return result
        text = self.scope.text[slice(*span_of(node))]
        raise self.scope.error(
            span_of(node), f"'{text}' is a number, not a condition; compare it with something", f"{text} > …"
        )

    def number(self, node: Node) -> Expr:
        result = self._read(node)
        if not isinstance(result, _CONDITIONS):
            return result
        text = self.scope.text[slice(*span_of(node))]
        raise self.scope.error(span_of(node), f"'{text}' is a condition; a number is needed here")

    def _read(self, node: Node) -> Expr | Condition:
        assert isinstance(node, Tree), node
        return cast("Expr | Condition", getattr(self, node.data)(node))

    def _lag(self, inner: Expr, bars: int, span: Span, where: Span | None = None) -> Expr:
        if not is_series(inner):
            raise self.scope.error(span, "this never changes, so it has no past bars")
        base, total = (inner.expr, inner.bars + bars) if isinstance(inner, Lag) else (inner, bars)
        if total > MAX_LAG:
            raise self.scope.error(where or span, f"at most {MAX_LAG} bars ago")
        return Lag(base, total, span) if total else base

    @contextmanager
    def _owned_by(self, owner: Expr | None) -> Iterator[None]:
        before, self.owner = self.owner, owner
        yield
        self.owner = before

    def take_owner(self) -> Expr | None:
        """What "its" refers to, as the series of an indicator; None, and so Close, where there is no "its"."""
        owner, self.owner = self.owner, None
        return owner

    def _bars(self, token: Token) -> int:
        if token.type in ("SPAN", "WINDOW"):
            self._check_unit(token)
            return english.whole_number(token)
        if not token.isdigit():
            raise self.scope.error(
                span_of(token), f"a number of bars must be whole, not {number_text(float(token))}"
            )
        return int(token)

    def _check_unit(self, token: Token) -> None:
        if problem := english.unit_problem(token, self.scope.interval):
            raise self.scope.error(span_of(token), problem, "bars, for example '20-bar' or '3 bars ago'")
