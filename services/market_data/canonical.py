"""Bars to canonical bytes and back. `schemas.market.DataSet` says the form."""

import io

import numpy as np
import pandas as pd

COLUMNS = ("Open", "High", "Low", "Close", "Volume")
_HEADER = "Date," + ",".join(COLUMNS)


def to_bytes(bars: pd.DataFrame) -> bytes:
    columns = [[repr(value).removesuffix(".0") for value in bars[column].tolist()] for column in COLUMNS]
    rows = map(",".join, zip(_times(pd.DatetimeIndex(bars.index)), *columns, strict=True))
    return "\n".join([_HEADER, *rows, ""]).encode("ascii")


def from_bytes(data: bytes) -> pd.DataFrame:
    """UTC index `Date`, float columns Open, High, Low, Close, Volume."""
    # numpy reads decimals as Python does, exactly; older pandas may be off by the last bit
    values = np.loadtxt(io.BytesIO(data), delimiter=",", skiprows=1, usecols=range(1, 6), ndmin=2)
    times = np.loadtxt(io.BytesIO(data), delimiter=",", skiprows=1, usecols=0, dtype=str, ndmin=1)
    index = pd.DatetimeIndex(pd.to_datetime(times, format="ISO8601", utc=True), name="Date").as_unit("us")
    return pd.DataFrame(values, index=index, columns=list(COLUMNS))


def _times(index: pd.DatetimeIndex) -> list[str]:
    """ISO 8601 to the second, to the microsecond where one has a fraction."""
    moments = index.tz_localize(None).as_unit("us").to_numpy()
    whole = moments.astype("datetime64[s]")
    texts = np.datetime_as_string(whole)
    fine = np.flatnonzero(moments != whole)
    if len(fine):
        texts = texts.astype("U26")
        texts[fine] = np.datetime_as_string(moments[fine])
    return [f"{text}Z" for text in texts.tolist()]
