"""Reading one rule or expression: text in, tree out, or RuleError.

The language is described in docs/rules.md, its grammar in `grammar.lark`. Every word counts: what the grammar can't
place is refused. Work is bounded: texts have at most MAX_LENGTH characters, the LALR parser takes time linear in them
and doesn't recurse, and trees have the bounds of `domain.rules.tree`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from domain.rules.ast import Condition, Expr
from domain.rules.parse.reader import Reader
from domain.rules.parse.refusal import refusal
from domain.rules.scope import Scope
from domain.rules.tree import MAX_DEPTH, MAX_SIZE, too_large

MAX_LENGTH = 1000
MAX_NESTING = 100
"""Levels of the parse tree, parentheses and signs included."""


@cache
def grammar() -> Lark:
    return Lark.open(
        "../grammar.lark",
        rel_to=__file__,
        parser="lalr",
        start=["rule", "expression"],
        propagate_positions=True,
        maybe_placeholders=False,
    )


def parse_rule(
    text: str,
    *,
    path: str = "rule",
    parameters: Mapping[str, float] | None = None,
    indicators: Mapping[str, Expr] | None = None,
    interval: str = "1d",
) -> Condition:
    """The condition that `text` states.

    `path` names the rule in messages; where it begins with the name of a list (`exit_rules[0]`), an opening such as
    "Sell when" is held to it. `interval` is the length of a bar, to which phrases such as "20-day" are held.
    """
    scope = _scope(text, path, parameters, indicators, interval)
    return cast(Condition, _read(scope, "rule"))


def parse_expression(
    text: str,
    *,
    path: str = "expression",
    parameters: Mapping[str, float] | None = None,
    indicators: Mapping[str, Expr] | None = None,
    interval: str = "1d",
) -> Expr:
    """The number that `text` stands for on each bar, such as `EMA(Close, fast) - EMA(Close, slow)`."""
    scope = _scope(text, path, parameters, indicators, interval)
    return cast(Expr, _read(scope, "expression"))


def names_in(text: str) -> frozenset[str]:
    """The bare names that stand in an expression, for finding an order to read them in; none where it can't be read."""
    try:
        tree = grammar().parse(_collapse(text)[:MAX_LENGTH], start="expression")
    except UnexpectedInput:
        return frozenset()
    return frozenset(
        str(node.children[0]) for node in tree.find_data("name") if isinstance(node.children[0], Token)
    )


def is_reserved(name: str) -> bool:
    """Whether a name can't be used for a parameter or an indicator because the language takes it for something else."""
    for text, times in (
        (f"{name} > 1", 1),
        (f"1 < {name} and {name} < 2", 2),
        (f"SMA({name}) > -{name} * {name}", 3),
    ):
        try:
            tree = grammar().parse(text, start="rule")
        except UnexpectedInput:
            return True
        if [str(node.children[0]) for node in tree.find_data("name")].count(name) != times:
            return True
    return False


def _collapse(text: str) -> str:
    return " ".join(text.split())


def _scope(
    text: str,
    path: str,
    parameters: Mapping[str, float] | None,
    indicators: Mapping[str, Expr] | None,
    interval: str,
) -> Scope:
    shown = _collapse(text[: 4 * MAX_LENGTH])
    scope = Scope(path, shown, parameters or {}, indicators or {}, interval)
    if len(text) > MAX_LENGTH:
        raise scope.error(
            (0, 0),
            f"the rule has {len(text)} characters; at most {MAX_LENGTH} are read. "
            "Split it, or name parts of it in indicators",
        )
    if not shown:
        raise scope.error((0, 0), "the rule is empty", "RSI(14) < 30")
    return scope


def _read(scope: Scope, start: str) -> Expr | Condition:
    try:
        tree = grammar().parse(scope.text, start=start)
    except (UnexpectedCharacters, UnexpectedToken) as error:
        raise refusal(scope, error, lambda text: _parses(text, start)) from None
    _check_nesting(scope, tree)
    reader = Reader(scope)
    result: Expr | Condition = reader.rule(tree) if start == "rule" else reader.expression(tree)
    if too_large(result):
        message = f"this is too large: at most {MAX_DEPTH} levels and {MAX_SIZE} parts, named indicators written out"
        raise scope.error((0, len(scope.text)), message)
    return result


def _parses(text: str, start: str) -> bool:
    try:
        grammar().parse(text, start=start)
    except UnexpectedInput:
        return False
    return True


def _check_nesting(scope: Scope, tree: Tree[Token]) -> None:
    stack: list[tuple[Any, int]] = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_NESTING:
            raise scope.error(
                (0, len(scope.text)), f"this is nested too deeply: at most {MAX_NESTING} levels"
            )
        if isinstance(node, Tree):
            stack.extend((child, depth + 1) for child in node.children)
