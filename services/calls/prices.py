"""What calls cost, by the price list of genai-prices that is installed: nothing is fetched."""

from schemas.usage import Usage

BYTES_A_TOKEN = 3
"""Fewer than in English or in code (about 4), and a character of most other scripts: an estimate should rather be too
high."""


def price(provider: str, model: str, usage: Usage) -> float | None:
    """US dollars for the usage; None where the list doesn't know the model.

    `provider` is google, anthropic or openai; empty for a server of one's own, whose prices nobody lists.
    """
    if not provider:
        return None
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    tokens = Tokens(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        return float(calc_price(tokens, model, provider_id=provider).total_price)
    except LookupError:
        return None


def estimate(provider: str, model: str, size: int, most_output: int) -> Usage:
    """The most that one call with a question of so many bytes may be expected to use."""
    usage = Usage(calls=1, input_tokens=-(-size // BYTES_A_TOKEN), output_tokens=most_output)
    return usage.model_copy(update={"usd": price(provider, model, usage)})
