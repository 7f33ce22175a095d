"""What calls of a model used."""

from typing import Annotated, Self

from pydantic import Field

from schemas.base import Shape

Count = Annotated[int, Field(ge=0)]


class Usage(Shape):
    """What calls of a model used. Tokens are the provider's own count."""

    calls: Count = 0
    input_tokens: Count = 0
    """Those read from and written to a cache included."""
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    output_tokens: Count = 0
    """Thinking included."""
    usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = 0.0
    """None where the price of at least one call isn't known."""

    def __add__(self, other: Self) -> Self:
        known = self.usd is not None and other.usd is not None
        return self.model_copy(
            update={
                "calls": self.calls + other.calls,
                "input_tokens": self.input_tokens + other.input_tokens,
                "cache_read_tokens": self.cache_read_tokens + other.cache_read_tokens,
                "cache_write_tokens": self.cache_write_tokens + other.cache_write_tokens,
                "output_tokens": self.output_tokens + other.output_tokens,
                "usd": (self.usd or 0) + (other.usd or 0) if known else None,
            }
        )

    def __str__(self) -> str:
        cost = "price unknown" if self.usd is None else f"${self.usd:.4f}"
        calls = f"{self.calls} call{'' if self.calls == 1 else 's'}"
        return f"{calls}, {self.input_tokens:,} tokens in, {self.output_tokens:,} out, {cost}"
