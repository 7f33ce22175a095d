"""The one error of market data."""

from collections.abc import Sequence


class DataError(ValueError):
    """Market data that can't be used: which source, which lines, what was found, what is expected instead."""

    def __init__(
        self, source: str, problem: str, *, expected: str, found: str = "", lines: Sequence[int] = ()
    ) -> None:
        self.source, self.problem, self.expected, self.found = source, problem, expected, found
        self.lines = tuple(lines)
        place = f"{source}, {number_lines(self.lines)}" if self.lines else source
        text = f"{place}: {problem}"
        if found:
            text += f"; found {found}"
        super().__init__(f"{text}; expected {expected}")

    @property
    def line(self) -> int | None:
        """The first line concerned, from 1."""
        return self.lines[0] if self.lines else None


def number_lines(lines: Sequence[int], shown: int = 5) -> str:
    """'line 3', 'lines 3, 4 and 9', 'lines 3, 4, 5, 6, 7 and 120 more'."""
    if len(lines) == 1:
        return f"line {lines[0]}"
    first = [str(line) for line in lines[:shown]]
    rest = len(lines) - len(first)
    last = f"{rest} more" if rest else first.pop()
    return f"lines {', '.join(first)} and {last}"


def quote(text: str, limit: int = 60) -> str:
    """Foreign text as it may stand in a message: one line, printable, bounded."""
    shown = text if len(text) <= limit else text[:limit] + "…"
    return repr(shown)
