"""Until when models know the world, where that is published."""

from datetime import date

import pytest

from services.engines.cutoffs import knowledge_cutoff


@pytest.mark.parametrize(
    ("engine", "known"),
    [
        ("openai:gpt-4o", date(2023, 10, 1)),
        ("openai:gpt-4o-2024-08-06", date(2023, 10, 1)),
        ("openai:gpt-5-mini-2025-08-07", date(2024, 5, 31)),
        ("anthropic:claude-opus-4-20250514", date(2025, 3, 31)),
        ("anthropic:claude-opus-4-1-20250805", date(2025, 3, 31)),
        ("anthropic:claude-sonnet-4-5", date(2025, 7, 31)),
        ("google:gemini-2.5-pro-preview-05-06", date(2025, 1, 31)),
        ("gemini-2.5-pro", date(2025, 1, 31)),
    ],
)
def test_a_listed_model_has_its_date(engine: str, known: date) -> None:
    assert knowledge_cutoff(engine) == known


@pytest.mark.parametrize(
    "engine",
    ["offline", "", "openai:llama3:8b", "openai:gpt-5.9", "openai:gpt-5-turbo", "anthropic:claude-opus-4-99"],
)
def test_a_model_that_is_only_named_alike_has_none(engine: str) -> None:
    assert knowledge_cutoff(engine) is None
