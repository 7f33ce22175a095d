"""Market data."""

from pydantic import Field

from schemas.base import Shape
from schemas.code import Digest


class DataSet(Shape):
    """A frozen piece of market data, named by the SHA-256 of its canonical CSV bytes.

    The canonical form: header `Date,Open,High,Low,Close,Volume`; ISO 8601 UTC times; one row a bar, in order; prices
    as shortest round-trip decimals; `\\n` line ends. The same bars give the same bytes, wherever they came from.
    """

    digest: Digest
    name: str
    bars: int = Field(ge=1)
    start: str
    end: str
    interval: str
    """Most frequent distance between bars: 1h, 1d, 1wk, 1mo, or a number of seconds such as 90s."""
    warnings: list[str] = []
    """What was found and how it was mended: duplicates, gaps, dropped rows."""
