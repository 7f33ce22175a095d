"""What plainly never ends, or can't fit: found by reading, before a sandbox's limit has to."""

import ast
import math

from domain.code_policy.walking import Walk

MOST_BITS = 1 << 16
"""Of an integer constant."""
MOST_ITEMS = 100_000_000
"""Of one list, text or array: 800 MB of numbers."""
MOST_STEPS = 10_000_000_000
"""Of one range."""

_MAKES_ARRAYS = frozenset(
    f"numpy.{name}" for name in ("zeros", "ones", "empty", "full", "arange", "linspace", "eye", "identity")
)
_MAKES_BYTES = frozenset({"bytes", "bytearray"})
_LEAVES = ast.Break | ast.Return | ast.Raise | ast.Yield | ast.YieldFrom | ast.Await
_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


class Costs(Walk):
    """Only what is certain from constants alone is reported."""

    def visit_While(self, node: ast.While) -> None:
        forever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        if forever and not _leaves(node.body):
            self._report("endless_loop", node, "this loop has no way out")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Pow | ast.LShift | ast.Mult) and _log2(node) > MOST_BITS:
            self._report("huge", node, "an integer of more than 65,536 bits")
        elif isinstance(node.op, ast.Mult):
            for text, times in ((node.left, node.right), (node.right, node.left)):
                if _is_sequence(text) and _number(times) > MOST_ITEMS:
                    self._report("huge", node, f"a repetition of more than {MOST_ITEMS:,} items")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._imports.resolve(node.func) or (
            node.func.id if isinstance(node.func, ast.Name) and not self._is_local(node.func.id) else ""
        )
        if name == "range":
            most, what = MOST_STEPS, "steps"
        elif name in _MAKES_ARRAYS or name in _MAKES_BYTES:
            most, what = MOST_ITEMS, "items"
        else:
            self.generic_visit(node)
            return
        if any(_product(argument) > most for argument in node.args):
            self._report("huge", node, f"'{name}' of more than {most:,} {what}")
        self.generic_visit(node)


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether the body may leave its loop, or waits for whoever iterates over it; a call may raise, but doesn't say."""
    waiting: list[tuple[ast.AST, bool]] = [(statement, True) for statement in body]
    while waiting:
        node, own = waiting.pop()
        if isinstance(node, _SCOPES):
            continue
        if isinstance(node, _LEAVES) and (own or not isinstance(node, ast.Break)):
            return True
        inner = own and not isinstance(node, ast.While | ast.For | ast.AsyncFor)
        for field, value in ast.iter_fields(node):
            # a break in the `else` of an inner loop is the outer loop's
            same = inner or (own and field == "orelse")
            waiting += [(child, same) for child in (value if isinstance(value, list) else [value])
                        if isinstance(child, ast.AST)]  # fmt: skip
    return False


def _number(node: ast.expr) -> float:
    """The value of an expression of constants, within a float's bounds; 0 where it isn't one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return _bounded(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _bounded(_number(node.left) * _number(node.right))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift):
        left, right = _number(node.left), _number(node.right)
        if left < 1 or right < 0:
            return 0.0
        bits = math.log2(left) * right if isinstance(node.op, ast.Pow) else math.log2(left) + right
        return math.ldexp(1.0, int(min(bits, 1000.0)))
    return 0.0


def _bounded(value: float) -> float:
    return float(min(max(value, -1e300), 1e300))


def _log2(node: ast.expr) -> float:
    """Of a positive integer expression of constants; 0 where it isn't one."""
    if isinstance(node, ast.Constant):
        return math.log2(node.value) if type(node.value) is int and node.value > 0 else 0.0
    if not isinstance(node, ast.BinOp):
        return 0.0
    left = _log2(node.left)
    if isinstance(node.op, ast.Mult):
        return left + _log2(node.right) if left else 0.0
    if isinstance(node.op, ast.Pow):
        return left * _number(node.right)
    if isinstance(node.op, ast.LShift) and isinstance(node.left, ast.Constant | ast.BinOp):
        return left + _number(node.right)
    return 0.0


def _product(node: ast.expr) -> float:
    """A number, or a shape's number of items."""
    if isinstance(node, ast.Tuple | ast.List):
        return math.prod(_number(element) for element in node.elts) if node.elts else 0.0
    return _number(node)


def _is_sequence(node: ast.expr) -> bool:
    return isinstance(node, ast.List | ast.Tuple) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )
