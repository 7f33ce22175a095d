"""The base of every shape."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Shape(BaseModel):
    """A frozen model that refuses keys it doesn't know: a misspelt key is an error, never a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, for example 2026-01-31T12:00:00Z")
    return moment.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_as_utc)]
"""An aware time, kept in UTC."""
