"""What is said when a rule is refused."""

from domain.rules.ast import Span

WINDOW = 96
"""Characters of a long rule that are shown around the place."""


class RuleError(ValueError):
    """A rule that is not understood, or not allowed.

    `path` names it (`entry_rules[0]`), `text` is the rule with single spaces, `span` the place in it, `found` what
    stands there, `message` what is wrong, `suggestion` the nearest thing that is understood, '' where there is none.
    """

    def __init__(self, path: str, text: str, span: Span, message: str, suggestion: str = "") -> None:
        super().__init__(path, text, span, message, suggestion)
        start = min(max(span[0], 0), len(text))
        self.path = path
        self.text = text
        self.span: Span = (start, min(max(span[1], start), len(text)))
        self.message = message
        self.suggestion = suggestion

    @property
    def found(self) -> str:
        return self.text[slice(*self.span)] or "the end of the rule"

    @property
    def explanation(self) -> str:
        """Message, place and suggestion, without the path."""
        shown, start, length = _window(self.text, self.span)
        lines = [self.message, f"    {shown}", f"    {' ' * start}{'^' * max(length, 1)}"]
        if self.suggestion:
            lines.append(f"  nearest understood: {self.suggestion}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.path}: {self.explanation}"


def _window(text: str, span: Span) -> tuple[str, int, int]:
    """The part of `text` around `span` that fits a line, and where the span lies in it."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    first = 0 if len(text) <= WINDOW else max(0, min(span[0] - WINDOW // 3, len(text) - WINDOW))
    before, shown = ("…" if first else ""), text[first : first + WINDOW]
    after = "…" if first + WINDOW < len(text) else ""
    start = span[0] - first
    return before + shown + after, len(before) + start, min(span[1] - span[0], len(shown) - start)
