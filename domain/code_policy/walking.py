"""A walk over the tree that knows scopes and collects findings; the rules are its subclasses."""

import ast
from collections.abc import Iterable

from domain.code_policy.rules import RULES
from domain.code_policy.scopes import (
    Comprehension,
    Function,
    Imports,
    bound_in_comprehension,
    bound_in_function,
)
from schemas.code import Finding, Severity


class Walk(ast.NodeVisitor):
    """The tree's depth is bounded, so recursion is safe."""

    def __init__(self, tree: ast.Module, imports: Imports) -> None:
        self.findings: list[Finding] = []
        self._imports = imports
        self._local: list[frozenset[str]] = []
        self._in_main_guard = False
        self.visit(tree)

    def _report(
        self,
        rule: str,
        node: ast.AST,
        message: str,
        *,
        instead: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        why, usual = RULES[rule]
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        if isinstance(node, ast.Attribute):  # a chain begins at its root; the name itself stands at its end
            line, column = node.end_lineno or line, (node.end_col_offset or 0) - len(node.attr)
        self.findings.append(
            Finding(
                rule=rule,
                severity=severity,
                line=line,
                column=max(column, 0) + 1,
                message=message,
                why=why,
                instead=instead or usual,
            )
        )

    def _is_local(self, name: str) -> bool:
        """Whether a function around binds the name for itself, so that no built-in or import can be meant."""
        return any(name in names for names in self._local)

    def visit_If(self, node: ast.If) -> None:
        guard = ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__")
        self.visit(node.test)
        before = self._in_main_guard
        self._in_main_guard = before or (guard and not self._local)
        self._each(node.body)
        self._in_main_guard = before
        self._each(node.orelse)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        annotations = [node.returns] if node.returns else []
        self._each([*node.decorator_list, *annotations])
        self._enter(node, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._enter(node, [node.body])

    def _enter(self, node: Function, body: Iterable[ast.AST]) -> None:
        self.visit(node.args)  # defaults and annotations belong to the scope around
        self._local.append(bound_in_function(node))
        self._each(body)
        self._local.pop()

    def _comprehension(self, node: Comprehension) -> None:
        self.visit(node.generators[0].iter)
        self._local.append(bound_in_comprehension(node))
        self.generic_visit(node)
        self._local.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _each(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)
