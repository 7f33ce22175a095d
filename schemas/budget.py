"""Budgets: what calls of models may use, and what they have used."""

from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from schemas.base import Shape

MOST_TOKENS, MOST_USD, MOST_CALLS = 10**15, 1e6, 10**9

Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Usd = Annotated[float, Field(ge=0, le=MOST_USD, allow_inf_nan=False)]
Calls = Annotated[int, Field(ge=0, le=MOST_CALLS)]


class Budget(Shape):
    """The most that calls of models may use, of each kind; None sets no limit."""

    tokens: Tokens | None = None
    """Read and written together."""
    usd: Usd | None = None
    calls: Calls | None = None

    @model_serializer(mode="wrap")
    def _as_given(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what wasn't given, so that a wish to change one limit says nothing of the others when it arrives."""
        return {name: value for name, value in whole(self).items() if name in self.model_fields_set}

    @property
    def is_limited(self) -> bool:
        return self != type(self)()

    def changed(self, wish: Self) -> Self:
        """This budget with what `wish` says; what wasn't given there stays."""
        return self.model_copy(update={name: getattr(wish, name) for name in wish.model_fields_set})


class Amounts(Shape):
    """So many tokens, US dollars and calls."""

    tokens: Annotated[int, Field(ge=0)] = 0
    usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Of the calls whose price is known."""
    calls: Annotated[int, Field(ge=0)] = 0


class Balance(Shape):
    """A budget beside what was made of it."""

    limit: Budget
    spent: Amounts
    reserved: Amounts
    """For calls that are under way, at most."""
    left: Budget
    """Neither spent nor reserved; None where there is no limit, 0 where more was used than is allowed now."""
    unknown_usd_calls: Annotated[int, Field(ge=0)] = 0
    """Calls whose price is unknown: their tokens are counted, their dollars aren't."""
