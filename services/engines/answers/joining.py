"""Putting together code that came in parts."""

from collections.abc import Callable

from schemas.models import Answer
from services.engines.answers.blocks import blocks
from services.engines.answers.finding import without_thinking
from services.engines.answers.objects import find_object

Rank = Callable[[str], int]
"""How good a text is as a module: more for a whole one than for one that only breaks off, and for that than for what
Python can't read."""

_MOST_OVERLAP = 60
"""Lines that a continuation may repeat."""


def begun_line(part: str) -> tuple[str, str]:
    """The whole lines of a part, and the line in which it ends (with its indentation)."""
    head, _, last = part.rstrip("\n").rpartition("\n")
    return (head + "\n" if head else ""), last


def join(part: str, answer: Answer, rank: Rank) -> str:
    """The part and its continuation, as one text.

    Models are told to begin with the line that was cut off. They do, or go on in the middle of it, repeat some lines
    before it, leave its indentation out, or begin anew: of all these readings the best is taken, and of equals the
    first.
    """
    rest = _continuation(answer)
    if not rest.strip():
        return part
    return max(_ways(part, rest), key=rank)


def _ways(part: str, rest: str) -> list[str]:
    """The likeliest first."""
    head, begun = begun_line(part)
    indentation = begun[: len(begun) - len(begun.lstrip())]
    overlap = _overlap(head, rest)
    again = head + "".join(rest.splitlines(keepends=True)[overlap:])
    indented = head + indentation + rest.lstrip()
    onward = part + rest
    below = part.rstrip("\n") + "\n" + rest.lstrip("\n")
    begins_with_it = bool(begun.strip()) and rest.lstrip().startswith(begun.strip())
    if _begins_anew(part, rest):
        return [rest, again, onward, below]
    if overlap > 1 or (overlap and not begins_with_it):
        return [again, onward, below, indented]
    if begins_with_it:
        return [head + rest.lstrip("\n"), indented, onward, below]
    if not begun.strip():
        own = len(rest) - len(rest.lstrip(" "))  # is it all of the line's indentation, or the rest of it?
        return [head + rest, onward] if own and own % 4 == 0 else [onward, head + rest]
    if rest.startswith("    "):
        return [below, onward, again, indented]
    return [onward, below, again, indented]


def ended(answer: Answer) -> bool:
    """Whether a continuation came to its own end. That it can be read tells nothing: `a + b` breaks off to `a`."""
    if answer.finish != "length":
        return True
    text = without_thinking(answer.text) or answer.arguments or ""
    if (found := find_object(text)) is not None:
        return found.whole
    fenced = blocks(text)
    return bool(fenced) and fenced[0].closed


def _continuation(answer: Answer) -> str:
    text = without_thinking(answer.text) or answer.arguments or ""
    if (found := find_object(text)) is not None:
        return found.code
    fenced = blocks(text)
    if fenced:
        return fenced[0].text
    return text if answer.finish == "length" else text.rstrip() + "\n"


def _begins_anew(part: str, rest: str) -> bool:
    first = [[line for line in text.splitlines() if line.strip()][:2] for text in (part, rest)]
    return bool(first[1]) and first[0] == first[1]


def _overlap(head: str, rest: str) -> int:
    """How many lines at the beginning of the rest are the last ones of the head."""
    before, after = head.splitlines(), rest.splitlines()
    for count in range(min(len(before), len(after), _MOST_OVERLAP), 0, -1):
        same = [line.strip() for line in before[-count:]]
        if any(same) and same == [line.strip() for line in after[:count]]:
            return count
    return 0
