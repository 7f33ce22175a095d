"""Text to tree, within bounds: whatever a model wrote, it is read or refused by what it is.

All of it is linear in the text but Python's own parser, which has cases of its own; so the worker reads in a process
that it can end (services.code_reading).
"""

import ast
import io
import re
import tokenize
import warnings

from domain.code_policy.misread import what_it_is
from domain.code_policy.rules import at_position, unreadable
from schemas.code import Finding

MAX_CHARACTERS = 400_000
MAX_LINE = 20_000
"""Characters of one line."""
MAX_TOKENS = 60_000
"""Words and signs, comments and ends of lines included; a strategy of a thousand lines has about 15,000."""
MAX_DEPTH = 100
"""Levels of the tree; hand-written strategies stay below 30."""
MAX_BRACKETS = 60
MAX_FIELDS = 5_000
"""Braces in one text: before Python 3.12 each field of an f-string is parsed on its own, from a copy."""

_STRAY = frozenset(" \t\f\"'\\")
"""Blanks before a sign that isn't Python's, quotes that aren't closed, backslashes within a line."""
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2060\ufeff\u00ad\U000e0000-\U000e007f]")
_DAMAGED = re.compile("[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd\ufffe\uffff\ud800-\udfff]")


class UnreadableCode(ValueError):
    """Text that is no Python module within bounds; `finding` says what it is instead."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def read_code(source: str) -> ast.Module:
    """The tree of a module, at most MAX_DEPTH deep. Raises UnreadableCode."""
    if finding := check_size(source) or _check_text(source) or _check_tokens(source):
        raise UnreadableCode(finding)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in strings are black's business
            tree = ast.parse(source)
    except SyntaxError as error:
        raise UnreadableCode(what_it_is(source, error)) from error
    except (RecursionError, MemoryError, OverflowError, ValueError) as error:
        raise UnreadableCode(_too_deep(1)) from error
    if finding := _check_depth(tree) or _not_code(tree):
        raise UnreadableCode(finding)
    return tree


def check_size(source: str) -> Finding | None:
    """Before anything else is done with the text."""
    if len(source) > MAX_CHARACTERS:
        return unreadable(
            "size",
            f"{len(source):,} characters",
            instead=f"keep the module below {MAX_CHARACTERS:,} characters",
        )
    return None


def _check_text(source: str) -> Finding | None:
    if not source.strip():
        return unreadable("empty", "there is no code")
    if source.startswith("\ufeff"):
        return unreadable(
            "encoding", "the module begins with a byte order mark (U+FEFF)", instead="remove it"
        )
    for number, line in enumerate(source.split("\n", 2)[:2], 1):
        cookie = _COOKIE.match(line)
        if cookie and cookie[1].lower().replace("_", "-") not in ("utf-8", "utf8"):
            return unreadable(
                "encoding",
                f"the module declares the encoding {cookie[1][:40]}",
                line=number,
                why="Python would read other code from the file than was checked",
                instead="remove the declaration; modules are UTF-8",
            )
    if damaged := _DAMAGED.search(source):
        return at_position(
            source, damaged.start(), "encoding", f"the character U+{ord(damaged[0]):04X} stands in the code"
        )
    if hidden := _HIDDEN.search(source):
        return at_position(
            source, hidden.start(), "hidden_text", f"the invisible character U+{ord(hidden[0]):04X}"
        )
    for number, line in enumerate(source.split("\n"), 1):
        if len(line) > MAX_LINE:
            return unreadable(
                "size",
                f"a line of {len(line):,} characters",
                line=number,
                instead=f"keep lines below {MAX_LINE:,} characters",
            )
    return None


def _check_tokens(source: str) -> Finding | None:
    """Before parsing, since the parser's time grows with the depth of what it backtracks over."""
    depth = 0
    try:
        for count, token in enumerate(tokenize.generate_tokens(io.StringIO(source).readline)):
            if count > MAX_TOKENS:
                return unreadable(
                    "size",
                    f"more than {MAX_TOKENS:,} words and signs",
                    line=token.start[0],
                    instead="compute tables at run time instead of writing them out",
                )
            if token.type == tokenize.ERRORTOKEN and token.string in _STRAY:
                return (
                    None  # the parser stops here too, and each that follows would be read to the line's end
                )
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                if depth > MAX_BRACKETS:
                    return _too_deep(token.start[0])
            elif token.type == tokenize.STRING and token.string.count("{") > MAX_FIELDS:
                return unreadable(
                    "size",
                    f"a text with more than {MAX_FIELDS:,} braces",
                    line=token.start[0],
                    instead="build long texts from parts",
                )
    except (tokenize.TokenError, SyntaxError):
        return None  # the parser will say it better
    return None


def _too_deep(line: int) -> Finding:
    return unreadable(
        "nesting",
        "the code is nested too deeply, or too long in one expression",
        line=line,
        instead=f"stay below {MAX_DEPTH} levels; give parts a name, or use a loop",
    )


def _check_depth(tree: ast.Module) -> Finding | None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return None
    return _too_deep(getattr(level[0], "lineno", 1))


def _not_code(tree: ast.Module) -> Finding | None:
    """What Python can read, and what isn't code all the same."""
    body = tree.body
    if len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Dict | ast.List):
        return unreadable("json", "this is one JSON value, not a Python module")
    for statement in body:
        # 'python' is left of '```python' where somebody took away the fence's signs; 'Done' is an answer's last word
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Name):
            word = statement.value
            return unreadable(
                "prose",
                f"the word '{word.id[:40]}' stands alone",
                line=word.lineno,
                column=word.col_offset + 1,
                why="it names nothing that is used; it seems to belong to the answer's text",
            )
    return None
