"""Prices: by the list where it knows the model, unknown where it doesn't."""

import pytest

from schemas.usage import Usage
from services.calls import estimate, price
from services.engines.asking import Question, Turn

MILLION = Usage(calls=1, input_tokens=1_000_000, output_tokens=1_000_000)


@pytest.mark.parametrize(
    ("provider", "model", "least", "most"),
    [
        ("openai", "gpt-4o", 12.5, 12.5),
        ("anthropic", "claude-3-5-haiku-latest", 4.0, 5.0),
        ("google", "gemini-2.0-flash", 0.3, 1.0),
    ],
)
def test_known_models_have_their_price(provider: str, model: str, least: float, most: float) -> None:
    found = price(provider, model, MILLION)
    assert found is not None
    assert least <= found <= most


def test_what_came_from_a_cache_is_cheaper() -> None:
    cached = MILLION.model_copy(update={"cache_read_tokens": 900_000})
    full, less = price("openai", "gpt-4o", MILLION), price("openai", "gpt-4o", cached)
    assert full is not None
    assert less is not None
    assert less < full


def test_unknown_prices_are_said_to_be_unknown() -> None:
    assert price("openai", "no-such-model", MILLION) is None
    assert price("", "gpt-4o", MILLION) is None  # a server of one's own that calls its model so
    known = Usage(calls=1, usd=0.25)
    assert (known + known).usd == 0.5
    assert (known + Usage(calls=1, usd=None)).usd is None


def test_an_estimate_is_the_most_a_call_may_cost() -> None:
    found = estimate("openai", "gpt-4o", 3001, 2000)
    assert (found.calls, found.input_tokens, found.output_tokens) == (1, 1001, 2000)
    assert found.usd == pytest.approx(1001 * 2.5e-6 + 2000 * 10e-6)
    assert estimate("openai", "no-such-model", 10, 10).usd is None


def test_a_character_that_takes_a_token_of_its_own_is_estimated_so() -> None:
    question = Question("", (Turn("user", "\u8d8b\u52bf" * 500),), None)
    assert estimate("", "x", question.size, 0).input_tokens == 1000
