"""What a text is that Python can't parse: a fence, prose, code cut off, and other ways in which answers go wrong."""

import ast
import json
import re
from collections.abc import Iterator

from domain.code_policy.rules import unreadable
from schemas.code import Finding

_FENCE = re.compile(r"^\s*(?:>\s*)?(```|~~~)")
_DIFF = re.compile(r"^(diff --git |--- \S+|\+\+\+ \S+|@@ .* @@)", re.MULTILINE)
_TAG = re.compile(r"^\s*</?(think|thinking|answer|code|reasoning|output|response|solution)>", re.IGNORECASE)
_ESCAPED = re.compile(r"&(lt|gt|amp|quot|#39|#x27);")
_QUOTES = "‘’“”„«»"
_SIGNS = {
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "*",
    "÷": "/",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "…": "...",
    "\u00a0": " ",
}
_WORDS = re.compile(r"^\s*(?:[*>-]+\s*)?\*{0,2}[A-Za-z][\w'’*`-]*[,:;.]?(?:\s+[\w'’*`(\"“&-].*)+$")
_BULLET = re.compile(r"^\s*(\*\*|\d+\.\s+\S|[-•]\s+[A-Z]|[^\x00-\x7f\s]+\s*$)")
_KEYWORD = re.compile(
    r"^\s*(def|class|if|elif|else|for|while|try|except|finally|with|return|import|from|raise|assert|lambda|del|pass"
    r"|global|nonlocal|yield|async|await|match|case|not|@)\b(?!\s+(you|we|the|is|are|this|that|here)\b)"
)
_STATEMENT = re.compile(
    r"^\s*((def|class|return|import|from|with|while|try|except|raise|pass)\b|[\w.]+ = |(if|elif|else|for)\b.*:\s*$)"
)
_ENDS_OPEN = re.compile(
    r"([=+\-*/,.(\[{<>&|:@]|\b(and|or|not|in|is|if|else|return|import|from|def|class|self|lambda|for|while|with|as))\s*$"
)
_TEXTS = re.compile(r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"?|\'(?:[^\'\\\n]|\\.)*\'?|#[^\n]*')
"""Where a text begins that may be long, or a short one or a comment, each to its end or the line's."""
_CUT_OFF = (
    "was never closed",
    "unexpected EOF",
    "EOF while scanning",
    "unterminated f-string",
    "EOF in multi-line",
)


def what_it_is(source: str, error: SyntaxError) -> Finding:
    """The most telling name for what is wrong."""
    lines = source.split("\n")
    last = next((number for number in range(len(lines), 0, -1) if lines[number - 1].strip()), 1)
    line = min(max(error.lineno or 1, 1), max(last, 1))
    message = (error.msg or "invalid syntax").split("\n")[0][:200]
    in_texts = _lines_in_texts(source)
    column = max(error.offset or 1, 1) if error.lineno == line else 1
    finding = (
        _fence(lines, in_texts)
        or _tag(lines, in_texts)
        or _whole_text(source, lines)
        or _mixed_tabs(error, message, line, column)
        or _escaped(lines, line)
        or _prose(lines, line, message)
        or _cut_off(lines, line, column, last, message)
    )
    if finding:
        return finding
    if isinstance(error, IndentationError):
        return unreadable("indentation", message, line=line, column=column)
    text = lines[line - 1]
    if quote := next((sign for sign in text if sign in _QUOTES), None):
        message = f"{message}: the typographic quote {quote}"
        return unreadable("syntax", message, line=line, column=column, instead="use straight quotes")
    if sign := next((sign for sign in text if sign in _SIGNS), None):
        message = f"{message}: the sign {sign!r}"
        return unreadable("syntax", message, line=line, column=column, instead=f"write {_SIGNS[sign]!r}")
    return unreadable("syntax", message, line=line, column=column)


def _fence(lines: list[str], in_texts: set[int]) -> Finding | None:
    fences = [n for n, text in enumerate(lines, 1) if n not in in_texts and _FENCE.match(text)]
    if not fences:
        return None
    shown = lines[fences[0] - 1].strip()[:20]
    if len(fences) % 2:
        message = f"the code fence {shown!r} is left open"
    elif len(fences) > 2:
        message = f"there are {len(fences) // 2} fenced blocks, where one module is wanted"
    else:
        message = f"the code stands between code fences, from line {fences[0]} to line {fences[1]}"
    return unreadable("code_fence", message, line=fences[0])


def _tag(lines: list[str], in_texts: set[int]) -> Finding | None:
    for number, text in enumerate(lines, 1):
        if number not in in_texts and _TAG.match(text):
            return unreadable(
                "prose", f"the tag {text.strip()[:20]} stands in the code", line=number,
                why="it belongs to the answer's text",
            )  # fmt: skip
    return None


def _whole_text(source: str, lines: list[str]) -> Finding | None:
    if len(_DIFF.findall(source)) >= 2:
        return unreadable("diff", "this is a diff, not a module")
    if _is_json(source):
        return unreadable("json", "this is JSON, not a Python module")
    first = lines[0].lstrip().lower()
    if first.startswith(("<!doctype", "<html", "<?xml")):
        return unreadable("prose", "this is a page of HTML or XML", why="it can't be run")
    if len(lines) <= 2 and source.count("\\n") >= 3:
        return unreadable(
            "escaped",
            "the line breaks are written as '\\n'",
            why="the text was escaped once more than it was read",
        )
    return None


def _mixed_tabs(error: SyntaxError, message: str, line: int, column: int) -> Finding | None:
    if isinstance(error, TabError) or "inconsistent use of tabs" in message:
        return unreadable(
            "mixed_tabs", "tabs and spaces are mixed in the indentation", line=line, column=column
        )
    return None


def _escaped(lines: list[str], line: int) -> Finding | None:
    if found := _ESCAPED.search(lines[line - 1]):
        return unreadable(
            "escaped", f"'{found[0]}' stands for a sign, as in HTML", line=line, column=found.start() + 1,
            why="the text was escaped for a web page",
        )  # fmt: skip
    return None


def _prose(lines: list[str], line: int, message: str) -> Finding | None:
    """A sentence at the error, or right before it."""
    if any(sign in message for sign in (*_CUT_OFF, "triple-quoted", "Missing parentheses")):
        return None
    for number in (line, line - 1):
        if number >= 1 and _is_prose(lines[number - 1]):
            return unreadable(
                "prose", f"a sentence stands in the code: {lines[number - 1].strip()[:40]!r}", line=number
            )
    return None


def _cut_off(lines: list[str], line: int, column: int, last: int, message: str) -> Finding | None:
    goes_on = any(_STATEMENT.match(text) for text in lines[line:])  # an open bracket in the middle is a slip
    at_end = line >= last and (
        "expected an indented block" in message
        or "unterminated" in message
        or "expected 'except' or 'finally'" in message
        or "expected ':'" in message
        or lines[last - 1].lstrip().startswith("@")
        or bool(_ENDS_OPEN.search(lines[last - 1]))
    )
    open_text = "unterminated triple-quoted" in message  # it swallowed all that follows, statements too
    if at_end or open_text or (any(sign in message for sign in _CUT_OFF) and not goes_on):
        end = lines[last - 1].strip()[:40]
        return unreadable(
            "cut_off", f"the code breaks off: {message}", line=line, column=column,
            why=f"the last line is {end!r}",
        )  # fmt: skip
    return None


def _is_prose(line: str) -> bool:
    if _BULLET.match(line) and not _reads(line):
        return True
    return (
        bool(_WORDS.match(line))
        and not _KEYWORD.match(line)
        and not re.search(r"[=(){}\[\]]\s*$|\w\s*=\s*\w", line)
    )


def _reads(line: str) -> bool:
    try:
        ast.parse(line.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _lines_in_texts(source: str) -> set[int]:
    """Lines that begin inside a triple-quoted text; a text that is never closed reaches to the end."""
    return {line for first, end in _long_texts(source) for line in range(first + 1, end + 1)}


def _long_texts(source: str) -> Iterator[tuple[int, int]]:
    position, line, counted = 0, 1, 0
    while found := _TEXTS.search(source, position):
        position = found.end()
        if found[0] not in ('"""', "'''"):
            continue
        line += source.count("\n", counted, found.start())
        close = source.find(found[0], position)
        if close < 0:
            yield line, line + source.count("\n", found.start())
            return
        position = close + 3
        end = line + source.count("\n", found.start(), position)
        yield line, end
        line, counted = end, position


def _is_json(source: str) -> bool:
    if source.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(source)
    except (ValueError, RecursionError):
        return False
    return True
