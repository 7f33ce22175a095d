"""Text to tree, within bounds: whatever a model wrote, it is read or refused by what it is, and nothing crashes."""

import ast
import io
import json
import re
import tokenize
import warnings

from schemas.code import Finding

MAX_CHARACTERS = 400_000
MAX_DEPTH = 100
"""Levels of the tree; hand-written strategies stay below 30."""
MAX_BRACKETS = 60

_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2060\ufeff]")
_FENCE = re.compile(r"^\s*(```|~~~)")
_DIFF = re.compile(r"^(diff --git |--- \S+|\+\+\+ \S+|@@ .* @@)", re.MULTILINE)
_TAG = re.compile(r"^\s*</?(think|thinking|answer|code|reasoning|output)>", re.IGNORECASE)
_WORDS = re.compile(r"^\s*(?:[#*>-]+\s*)?[A-Za-z][\w'’*`]*[,:;]?(?:\s+[\w'’*`(\"“].*)+$")
_KEYWORD = re.compile(
    r"^\s*(def|class|if|elif|else|for|while|try|except|finally|with|return|import|from|raise|assert|lambda|del|pass"
    r"|global|nonlocal|yield|async|await|match|case|not|@)\b(?!\s+(you|we|the|is|are|this|that|here)\b)"
)
_STATEMENT = re.compile(
    r"^\s*((def|class|return|import|from|with|while|try|except|raise|pass)\b|[\w.]+ = |(if|elif|else|for)\b.*:\s*$)"
)
_CUT_OFF = (
    "was never closed",
    "unexpected EOF",
    "EOF while scanning",
    "unterminated triple-quoted",
    "EOF in multi-line",
)


class UnreadableCode(ValueError):
    """Text that is no Python module within bounds; `finding` says what it is instead."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def read_code(source: str) -> ast.Module:
    """The tree of a module, at most MAX_DEPTH deep. Raises UnreadableCode."""
    _check_text(source)
    _check_brackets(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in strings are black's business
            tree = ast.parse(source)
    except SyntaxError as error:
        raise UnreadableCode(_what_it_is(source, error)) from error
    except (RecursionError, MemoryError, OverflowError, ValueError) as error:
        raise UnreadableCode(_too_deep(1)) from error
    _check_depth(tree)
    if _is_wrapped(tree):
        raise UnreadableCode(
            Finding(
                rule="json",
                message="this is one JSON object, not a Python module",
                why="the code seems to be wrapped in the answer's own format",
                instead="give the code alone",
            )
        )
    return tree


def _check_text(source: str) -> None:
    if len(source) > MAX_CHARACTERS:
        raise UnreadableCode(
            Finding(
                rule="size",
                message=f"{len(source):,} characters",
                why="a strategy is small; text of this size is something else",
                instead=f"keep the module below {MAX_CHARACTERS:,} characters",
            )
        )
    if not source.strip():
        raise UnreadableCode(
            Finding(rule="empty", message="there is no code", instead="write the strategy's module")
        )
    for number, line in enumerate(source.splitlines()[:2], 1):
        cookie = _COOKIE.match(line)
        if cookie and cookie[1].lower().replace("_", "-") not in ("utf-8", "utf8"):
            raise UnreadableCode(
                Finding(
                    rule="encoding",
                    line=number,
                    message=f"the module declares the encoding {cookie[1][:40]}",
                    why="Python would read other code from the file than was checked",
                    instead="remove the declaration; modules are UTF-8",
                )
            )
    for position, character in enumerate(source):
        if character in "\0\ufffd" or "\ud800" <= character <= "\udfff":
            raise UnreadableCode(
                _at(source, position, "encoding", f"the character U+{ord(character):04X} stands in the code",
                    "the text was damaged when it was read or written", "give the module as UTF-8")
            )  # fmt: skip
    if hidden := _HIDDEN.search(source):
        raise UnreadableCode(
            _at(source, hidden.start(), "hidden-text", f"the invisible character U+{ord(hidden[0]):04X}",
                "what a person reads may not be what Python reads", "remove it")
        )  # fmt: skip


def _at(source: str, position: int, rule: str, message: str, why: str, instead: str) -> Finding:
    line = source.count("\n", 0, position) + 1
    column = position - (source.rfind("\n", 0, position) + 1) + 1
    return Finding(rule=rule, line=line, column=column, message=message, why=why, instead=instead)


def _check_brackets(source: str) -> None:
    """Before parsing, since the parser's time grows with the depth of what it backtracks over."""
    depth = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                if depth > MAX_BRACKETS:
                    raise UnreadableCode(_too_deep(token.start[0]))
    except (tokenize.TokenError, SyntaxError):
        return  # the parser will say it better


def _too_deep(line: int) -> Finding:
    return Finding(
        rule="nesting",
        line=line,
        message="the code is nested too deeply, or too long in one expression",
        why="deep trees exhaust the tools that read them",
        instead=f"stay below {MAX_DEPTH} levels; give parts a name, or use a loop",
    )


def _check_depth(tree: ast.Module) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise UnreadableCode(_too_deep(getattr(level[0], "lineno", 1)))


def _is_wrapped(tree: ast.Module) -> bool:
    return (
        len(tree.body) == 1
        and isinstance(tree.body[0], ast.Expr)
        and isinstance(tree.body[0].value, ast.Dict)
    )


def _what_it_is(source: str, error: SyntaxError) -> Finding:
    lines = source.splitlines()
    line = min(max(error.lineno or 1, 1), len(lines))
    column = max(error.offset or 1, 1)

    def finding(rule: str, message: str, why: str, instead: str, at: int = line) -> Finding:
        return Finding(
            rule=rule, line=at, column=column if at == line else 1, message=message, why=why, instead=instead
        )

    for number, text in enumerate(lines, 1):
        if _FENCE.match(text):
            return finding("fence", "a code fence was left in the code", f"Python can't read {text.strip()[:20]!r}",
                           "give the code alone, without fences", number)  # fmt: skip
        if _TAG.match(text):
            return finding("prose", f"the tag {text.strip()[:20]} stands in the code", "it belongs to an answer's text",
                           "give the code alone", number)  # fmt: skip
    if len(_DIFF.findall(source)) >= 2:
        return finding("diff", "this is a diff, not a module", "it can't be run", "give the whole module", 1)
    if _is_json(source):
        return finding(
            "json", "this is JSON, not a Python module", "it can't be run", "give the code alone", 1
        )
    message = (error.msg or "invalid syntax").split("\n")[0][:200]
    last = next((number for number in range(len(lines), 0, -1) if lines[number - 1].strip()), 1)
    if isinstance(error, TabError) or "inconsistent use of tabs" in message:
        return finding(
            "indentation", message, "tabs and spaces are mixed", "indent by four spaces throughout"
        )
    prose = next((n for n in (line, line - 1) if n >= 1 and _is_prose(lines[n - 1])), None)
    if prose and not any(sign in message for sign in _CUT_OFF):
        return finding("prose", "a sentence stands in the code", f"Python can't read {lines[prose - 1].strip()[:40]!r}",
                       "give the code alone, or make it a comment with '#'", prose)  # fmt: skip
    at_end = line >= last
    goes_on = any(_STATEMENT.match(text) for text in lines[line:])  # an open bracket in the middle is a slip
    if (any(sign in message for sign in _CUT_OFF) and not goes_on) or (
        at_end
        and (
            "expected an indented block" in message
            or "unterminated" in message
            or _breaks_off(lines[last - 1])
        )
    ):
        end = lines[last - 1].strip()[:40]
        return finding(
            "cut-off",
            f"the code breaks off: {message}",
            f"the last line is {end!r}",
            "give the whole module, to its end",
        )
    if isinstance(error, IndentationError):
        return finding(
            "indentation", message, "the blocks of the module can't be told", "indent by four spaces a level"
        )
    return finding("syntax", message, "Python can't read this line", "correct the syntax")


def _is_prose(line: str) -> bool:
    return (
        bool(_WORDS.match(line))
        and not _KEYWORD.match(line)
        and not re.search(r"[=(){}\[\]]\s*$|\w\s*=\s*\w", line)
    )


def _breaks_off(line: str) -> bool:
    return bool(
        re.search(
            r"([=+\-*/,.(\[{<>&|:]|\b(and|or|not|in|is|if|else|return|import|from|def|class|self))\s*$", line
        )
    )


def _is_json(source: str) -> bool:
    if source.lstrip()[:1] not in "{[":
        return False
    try:
        json.loads(source)
    except (ValueError, RecursionError):
        return False
    return True
