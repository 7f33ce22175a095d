"""Fenced blocks in text, and bare code between sentences."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

IsModule = Callable[[str], bool]
"""Whether a text is a whole strategy module: Python reads it, and it defines a strategy."""

PYTHON = frozenset({"python", "py", "python3"})
_OTHERS = frozenset(
    {"json", "bash", "sh", "shell", "console", "text", "txt", "diff", "yaml", "toml", "csv", "output"}
)
_MOST_BLOCKS = 12

_FENCE = re.compile(r"^[ \t]{0,8}(?P<signs>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
_FIRST_LINE = re.compile(
    r'^(?:import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|class[ \t]+\w+[ \t]*[(:]|@\w|"""|#!|# )', re.MULTILINE
)
_CODE_LINE = re.compile(
    r"^(?:\s+\S|[)\]}]|(?:import|from|class|def|if|else|for|while|return|@)\b|\w[\w.\[\]]*\s*[=(]|#)"
)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    closed: bool


def blocks(text: str) -> list[Block]:
    """All fenced blocks; the last may be open."""
    return list(_blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    place = 0
    while place < len(lines):
        opened = _FENCE.match(lines[place])
        place += 1
        if not opened:
            continue
        begin = place
        while place < len(lines) and not _closes(lines[place], opened["signs"]):
            place += 1
        language = opened["info"].strip().split(" ")[0].lower()
        closed = place < len(lines)
        end = (
            "\n" if closed or text.endswith("\n") else ""
        )  # where an answer is cut off, a line isn't at its end
        yield Block(language, "\n".join(lines[begin:place]) + end, closed)
        place += 1


def _closes(line: str, signs: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(signs) and set(bare) == {signs[0]}


def choose(found: list[Block], text: str, is_module: IsModule) -> Block | None:
    """The block, or the blocks together, that are the module; else what comes nearest to one."""
    python = [block for block in found if block.language in PYTHON] or [
        block for block in found if block.language not in _OTHERS
    ]
    python = python[:_MOST_BLOCKS]
    if not python:
        return None
    for block in reversed(python):  # the last one is what the model came to in the end
        if is_module(block.text):
            return block
    if len(python) > 1:
        together = "\n".join(block.text for block in python)
        if is_module(together):
            return Block("python", together, python[-1].closed)
    for whole in _longer(text):  # fences that stand in the code's own texts
        if is_module(whole.text):
            return whole
    with_class = [block for block in python if re.search(r"^class\s", block.text, re.MULTILINE)]
    return with_class[-1] if with_class else max(python, key=lambda block: len(block.text))


def _longer(text: str) -> Iterator[Block]:
    """From the first fence to each later one."""
    lines = text.splitlines()
    fences = [place for place, line in enumerate(lines) if _FENCE.match(line)][: _MOST_BLOCKS + 1]
    for end in fences[2:]:
        yield Block("python", "\n".join(lines[fences[0] + 1 : end]) + "\n", True)


def begins_bare(text: str) -> int | None:
    """Where code that stands in the text without fences begins: at the first line that looks like a module's."""
    found = _FIRST_LINE.search(text)
    return found.start() if found else None


def bare_code(text: str, is_module: IsModule) -> str:
    """A text that begins with code, up to the code's last line."""
    code = text.splitlines()
    whole = "\n".join(code) + "\n"
    if is_module(whole):
        return whole
    end = len(code)
    while end > 1 and not _CODE_LINE.match(code[end - 1]):
        end -= 1
    return "\n".join(code[:end]) + "\n"
