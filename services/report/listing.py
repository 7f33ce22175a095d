"""Code and diffs as lines of safe markup."""

from markupsafe import Markup, escape
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

MAX_LINES = 5000


def code_lines(source: str) -> tuple[list[Markup], int]:
    """Highlighted lines, and how many were left out."""
    lines = source.split("\n")
    shown = "\n".join(lines[:MAX_LINES]).rstrip("\n")
    html = highlight(shown, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True))
    marked = Markup(html.rstrip("\n")).split("\n")  # noqa: S704 – pygments escapes what it shows
    return marked, max(len(lines) - MAX_LINES, 0)


def diff_lines(diff: str) -> tuple[list[tuple[str, Markup]], int]:
    """Kind (add, del, hunk, head or same) and text of each line, and how many were left out."""
    lines = diff.rstrip("\n").split("\n")
    return [(_kind(line), escape(line)) for line in lines[:MAX_LINES]], max(len(lines) - MAX_LINES, 0)


def _kind(line: str) -> str:
    if line.startswith(
        ("diff --git", "index ", "--- ", "+++ ", "new file", "deleted file", "similarity", "rename ")
    ):
        return "head"
    return {"+": "add", "-": "del", "@": "hunk"}.get(line[:1], "same")
