"""From an answer to the code in it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.models import Answer
from services.engines.answers.blocks import IsModule, bare_code, begins_bare, blocks, choose
from services.engines.answers.objects import CodeObject, find_object

MOST_CHARACTERS = 1_000_000
"""Of an answer that is looked at."""

_TAGS = "think|thinking|thought|reasoning"
_OPENED = re.compile(rf"\s*<({_TAGS})>", re.IGNORECASE)
_CLOSED = re.compile(rf"</({_TAGS})>", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\A\W*(?:(?:I['’]?m |I am )?(?:very |so )?sorry|I apologi[sz]e|I can(?:['’]?t|not)|I won['’]?t"
    r"|I(?: a|['’])m (?:not able|unable))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Found:
    """Code, and what was said with it. `cut_off`: the answer ends within the code."""

    code: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    cut_off: bool = False


@dataclass(frozen=True)
class NoCode:
    """`reason` is for the model, which is asked again; `refused`: it doesn't want to."""

    reason: str
    refused: bool = False


def find_code(answer: Answer, is_module: IsModule) -> Found | NoCode:
    """The code of an answer in any of the forms in which models give it."""
    length = answer.finish == "length"
    if answer.arguments is not None:
        found = find_object(answer.arguments[:MOST_CHARACTERS])
        if found is not None:
            return _from_object(found, is_module)
    given = answer.text if answer.text.strip() else answer.arguments or ""
    text = without_thinking(given[:MOST_CHARACTERS])
    if text is None:
        return NoCode("it ended while still thinking, before any code")
    if not text.strip():
        return NoCode("it was empty")
    if (found := find_object(text)) is not None:
        return _from_object(found, is_module)
    block = choose(blocks(text), text, is_module)
    if block is not None and block.text.strip():
        return _found(block.text, length and not block.closed)
    begun = begins_bare(text)
    if begun is not None:
        return _found(text[begun:], True) if length else _found(bare_code(text[begun:], is_module), False)
    if _REFUSAL.match(text):
        return NoCode(" ".join(text.split())[:200], refused=True)
    return NoCode("it held no code")


def without_thinking(text: str) -> str | None:
    """The text after the model's thinking, which comes first; None where it never came to an end."""
    place = 0
    while opened := _OPENED.match(text, place):
        closed = next(
            (tag for tag in _CLOSED.finditer(text, opened.end()) if tag[1].lower() == opened[1].lower()), None
        )
        if closed is None:
            return None
        place = closed.end()
    if place == 0 and not _looks_like_code(text.lstrip().split("\n", 1)[0]):
        for tag in _CLOSED.finditer(text):
            place = tag.end()  # the tag that opened it stood in the question's template
    return text[place:]


def _looks_like_code(line: str) -> bool:
    return line.lstrip().startswith(("{", "`", "import ", "from ", "class "))


def _from_object(found: CodeObject, is_module: IsModule) -> Found:
    code = found.code
    fences = blocks(code)
    if fences and not is_module(code):
        block = choose(fences, code, is_module)
        if block is not None and block.text.strip():
            code = block.text
    return _found(code, not found.whole, found.fields)


def _found(code: str, cut_off: bool, fields: Mapping[str, Any] | None = None) -> Found:
    """What is cut off keeps its end as it is: a space there may belong to a line that goes on."""
    return Found(code.lstrip("\n") if cut_off else _plain(code), fields or {}, cut_off)


def _plain(code: str) -> str:
    """Without an escaping too much, and with one line break at the end."""
    if "\n" not in code.strip() and code.count("\\n") >= 3:
        try:
            code = str(json.loads(f'"{code}"', strict=False))
        except ValueError:
            code = code.replace("\\n", "\n").replace('\\"', '"').replace("\\t", "    ")
    return code.strip("\n").rstrip() + "\n"
