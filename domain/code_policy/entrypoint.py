"""The class that the engine runs."""

import ast

from domain.code_policy.allowed import STRATEGIES
from domain.code_policy.rules import RULES
from domain.code_policy.scopes import Imports
from schemas.code import Finding


def check_entrypoint(tree: ast.Module, imports: Imports, entrypoint: str | None) -> list[Finding]:
    """The entrypoint, or any class where none is named, is a Strategy with `init` and `next`."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    strategies = _strategies(classes, imports)
    if entrypoint is None:
        if not strategies:
            return [_finding(1, "no class at the top level derives from backtesting.Strategy")]
        return []
    node = classes.get(entrypoint)
    if node is None:
        there = f"; there is {', '.join(sorted(strategies or classes)[:5])}" if classes else ""
        return [_finding(1, f"there is no class '{entrypoint}'{there}")]
    base = strategies.get(entrypoint)
    if base is None:
        return [_finding(node.lineno, f"'{entrypoint}' doesn't derive from backtesting.Strategy")]
    if STRATEGIES[base]:
        return []
    defined = _methods(node, classes)
    return [
        _finding(node.lineno, f"'{entrypoint}' has no method '{method}'", "define init(self) and next(self)")
        for method in ("init", "next")
        if method not in defined
    ]


def _strategies(classes: dict[str, ast.ClassDef], imports: Imports) -> dict[str, str]:
    """Classes that derive from the engine's, through classes of the module too, and which of the engine's it is."""
    derived: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for name, node in classes.items():
        for base in node.bases:
            dotted = imports.resolve(base)
            if dotted in STRATEGIES:
                found.setdefault(name, dotted)
            elif isinstance(base, ast.Name):
                derived.setdefault(base.id, []).append(name)
    waiting = list(found)
    while waiting:
        base_name = waiting.pop()
        for name in derived.get(base_name, ()):
            if name not in found:
                found[name] = found[base_name]
                waiting.append(name)
    return found


def _methods(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        current = waiting.pop()
        seen.add(current.name)
        for part in ast.walk(current):
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(part.name)
            elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                found.add(part.id)  # next = _other_function
        waiting += [
            classes[base.id]
            for base in current.bases
            if isinstance(base, ast.Name) and base.id in classes and base.id not in seen
        ]
    return found


def _finding(line: int, message: str, instead: str = "") -> Finding:
    why, usual = RULES["entrypoint"]
    return Finding(rule="entrypoint", line=line, message=message, why=why, instead=instead or usual)
