"""What holds for every tree: its parts, its size, whether it changes from bar to bar."""

from collections.abc import Iterator

from domain.rules.ast import (
    Arithmetic,
    Compare,
    Condition,
    Cross,
    Expr,
    Indicator,
    Lag,
    Logic,
    Named,
    Negative,
    Not,
    Number,
    Parameter,
    Price,
)

Node = Expr | Condition

MAX_DEPTH = 40
MAX_SIZE = 500
"""Bounds of one rule with the named indicators written out, so that whoever walks a tree may recurse."""


def children(node: Node) -> tuple[Node, ...]:
    """The parts of `node`, in the order of the text; what a name stands for is its part."""
    match node:
        case Number() | Parameter() | Price():
            return ()
        case Indicator(_, args, source):
            return (*(() if source is None else (source,)), *(value for _, value in args))
        case Named(_, expr) | Lag(expr) | Negative(expr) | Not(expr):
            return (expr,)
        case Arithmetic(_, left, right) | Compare(_, left, right) | Cross(_, left, right):
            return (left, right)
        case Logic(_, parts):
            return parts


def walk(node: Node) -> Iterator[Node]:
    """`node` and all its parts, depth first, without recursion."""
    stack: list[Node] = [node]
    while stack:
        stack.extend(reversed(children(at := stack.pop())))
        yield at


def too_large(node: Node) -> bool:
    """Whether the tree passes MAX_DEPTH or MAX_SIZE; the work is bounded by them."""
    stack: list[tuple[Node, int]] = [(node, 1)]
    size = 0
    while stack:
        at, depth = stack.pop()
        size += 1
        if depth > MAX_DEPTH or size > MAX_SIZE:
            return True
        stack.extend((part, depth + 1) for part in children(at))
    return False


def is_series(node: Node) -> bool:
    """Whether the value changes from bar to bar, rather than being made of numbers and parameters alone."""
    return any(isinstance(part, Price | Indicator) for part in walk(node))
