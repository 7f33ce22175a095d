"""What a module consists of."""

import ast
from collections.abc import Iterator

from domain.code_policy.reading import UnreadableCode, read_code
from schemas.code import CodeMetadata


def describe_code(source: str) -> CodeMetadata:
    """Classes, functions (methods as `Class.method`), imported modules in alphabetical order, and lines.

    Text that can't be read has lines and nothing else; check_code says why.
    """
    lines = len(source.splitlines())
    try:
        tree = read_code(source)
    except UnreadableCode:
        return CodeMetadata(lines=lines)
    named = list(_named(tree, ""))
    return CodeMetadata(
        classes=[name for name, node in named if isinstance(node, ast.ClassDef)],
        functions=[name for name, node in named if not isinstance(node, ast.ClassDef)],
        imports=sorted(set(_imported(tree))),
        lines=lines,
    )


def _named(
    node: ast.AST, prefix: str
) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child
            yield from _named(child, f"{prefix}{child.name}.")
        else:
            yield from _named(child, prefix)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
