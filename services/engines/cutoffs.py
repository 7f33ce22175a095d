"""Until when models know the world: prices before that date may be known to them, results on these prove little.

Dates are the last day of what the providers publish. Where they give two, the later one is taken: the end of the
training data, not the end of what is known reliably. A model that isn't listed has no date; a guess would be worse.
"""

import re
from datetime import date

_CUTOFFS: dict[str, date] = {
    # Anthropic: docs "Models overview" and the Transparency Hub (training data); for Claude 5 only the reliable
    # cut-off is published there.
    "claude-3-5-haiku": date(2024, 7, 31),
    "claude-3-5-sonnet": date(2024, 4, 30),
    "claude-3-7-sonnet": date(2024, 11, 30),
    "claude-haiku-4-5": date(2025, 7, 31),
    "claude-opus-4": date(2025, 3, 31),
    "claude-opus-4-0": date(2025, 3, 31),
    "claude-opus-4-1": date(2025, 3, 31),
    "claude-opus-4-5": date(2025, 8, 31),
    "claude-opus-4-6": date(2025, 8, 31),
    "claude-opus-4-7": date(2026, 1, 31),
    "claude-opus-5": date(2026, 5, 31),
    "claude-sonnet-4": date(2025, 3, 31),
    "claude-sonnet-4-0": date(2025, 3, 31),
    "claude-sonnet-4-5": date(2025, 7, 31),
    "claude-sonnet-4-6": date(2026, 1, 31),
    "claude-sonnet-5": date(2026, 1, 31),
    # OpenAI: the models' pages in the API docs; checked against models.dev (July 2026).
    "gpt-3.5-turbo": date(2021, 9, 1),
    "gpt-4-turbo": date(2023, 12, 31),
    "gpt-4.1": date(2024, 6, 1),
    "gpt-4.1-mini": date(2024, 6, 1),
    "gpt-4.1-nano": date(2024, 6, 1),
    "gpt-4o": date(2023, 10, 1),
    "gpt-4o-mini": date(2023, 10, 1),
    "gpt-5": date(2024, 9, 30),
    "gpt-5-chat": date(2024, 9, 30),
    "gpt-5-codex": date(2024, 9, 30),
    "gpt-5-mini": date(2024, 5, 31),
    "gpt-5-nano": date(2024, 5, 31),
    "gpt-5-pro": date(2024, 9, 30),
    "gpt-5.1": date(2024, 9, 30),
    "gpt-5.1-codex": date(2024, 9, 30),
    "gpt-5.2": date(2025, 8, 31),
    "gpt-5.2-codex": date(2025, 8, 31),
    "gpt-5.2-pro": date(2025, 8, 31),
    "gpt-5.4": date(2025, 8, 31),
    "gpt-5.4-mini": date(2025, 8, 31),
    "gpt-5.4-nano": date(2025, 8, 31),
    "gpt-5.4-pro": date(2025, 8, 31),
    "gpt-5.5": date(2025, 12, 1),
    "gpt-5.5-pro": date(2025, 12, 1),
    "o1": date(2023, 10, 1),
    "o1-pro": date(2023, 10, 1),
    "o3": date(2024, 6, 1),
    "o3-mini": date(2024, 6, 1),
    "o3-pro": date(2024, 6, 1),
    "o4-mini": date(2024, 6, 1),
    # Google: the models' pages in the Gemini API docs.
    "gemini-2.0-flash": date(2024, 8, 31),
    "gemini-2.0-flash-lite": date(2024, 8, 31),
    "gemini-2.5-flash": date(2025, 1, 31),
    "gemini-2.5-flash-lite": date(2025, 1, 31),
    "gemini-2.5-pro": date(2025, 1, 31),
    "gemini-3-flash": date(2025, 1, 31),
    "gemini-3-pro": date(2025, 1, 31),
    "gemini-3.1-pro": date(2025, 1, 31),
    "gemini-3.1-flash-lite": date(2025, 1, 31),
}
_SNAPSHOT = re.compile(
    r"(?:-(?:\d{3,4}|\d{8}|\d{4}-\d{2}-\d{2}|latest|preview(?:-[\d-]+)?|exp(?:-[\d-]+)?))?"
)
"""What may follow a model's name without making it another model: a dated version, `latest`, `preview`."""


def knowledge_cutoff(engine: str) -> date | None:
    """The last day that the engine's model (`provider:model`, or the model alone) may know; None where nobody says."""
    model = engine.rpartition(":")[2].lower()
    for name in sorted(_CUTOFFS, key=len, reverse=True):
        if model.startswith(name) and _SNAPSHOT.fullmatch(model[len(name) :]):
            return _CUTOFFS[name]
    return None
