"""Secrets in the environment: `from os import environ`, and in it the names that the definition asks for.

Nothing else of `os` is reached: `environ` is imported by itself, under its own name, at the module's top level, and
stands nowhere but in `environ["NAME"]` and `environ.get("NAME")`.
"""

import ast
import re
from collections.abc import Collection, Iterator

from domain.code_policy.rules import RULES
from schemas.code import Finding

_NAME = "environ"
_IN_TEXT = re.compile(rf"\b{_NAME}\b")


def how_to_read(secrets: Collection[str]) -> str:
    """What an author is told to write."""
    places = " or ".join(f'environ["{name}"]' for name in sorted(secrets))
    return f"write `from os import environ`, and {places}"


def imports_of_environment(tree: ast.Module) -> frozenset[ast.ImportFrom]:
    """The statements `from os import environ` at the top level: within a class it would be known by another name."""
    return frozenset(
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        and (node.module, node.level) == ("os", 0)
        and [(alias.name, alias.asname or _NAME) for alias in node.names] == [(_NAME, _NAME)]
    )


def check_environment(tree: ast.Module, secrets: Collection[str]) -> Iterator[Finding]:
    """What is done with an imported `environ` beyond reading `secrets`; without any its import is refused anyway."""
    if not secrets or not imports_of_environment(tree):
        return
    read: set[int] = set()
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):  # a place comes before the name in it
        which = _read(node)
        if which is not None:
            environment, key = which
            read.add(id(environment))
            if not (isinstance(key, ast.Constant) and key.value in secrets):
                yield _finding(key, f"{ast.unparse(key)[:60]} is no secret of the definition", secrets)
        elif isinstance(node, ast.Name) and node.id == _NAME and id(node) not in read:
            yield _finding(node, "'environ' may only be read, by a literal name", secrets)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in alone  # docstrings are never run
            and _IN_TEXT.search(node.value)
        ):
            yield _finding(node, "a text names 'environ': some functions run texts", secrets)


def _read(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """The environment and the name that is read: `environ[name]`, `environ.get(name)`, with or without a default."""
    match node:
        case ast.Subscript(value=ast.Name(id="environ") as environment, slice=key, ctx=ast.Load()):
            return environment, key
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="environ") as environment, attr="get"),
            args=[key] | [key, _],
            keywords=[],
        ) if not isinstance(key, ast.Starred):
            return environment, key
    return None


def _finding(node: ast.expr, message: str, secrets: Collection[str]) -> Finding:
    why, _ = RULES["environment"]
    return Finding(
        rule="environment",
        line=node.lineno,
        column=node.col_offset + 1,
        message=message,
        why=why,
        instead=how_to_read(secrets),
    )
