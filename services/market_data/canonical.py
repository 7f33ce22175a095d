"""Bars to canonical bytes and back. `schemas.market.DataSet` says the form."""

import numpy as np
import pandas as pd

COLUMNS = ("Open", "High", "Low", "Close", "Volume")
_HEADER = "Date," + ",".join(COLUMNS)


def to_bytes(bars: pd.DataFrame) -> bytes:
    times = [_time(moment) for moment in pd.DatetimeIndex(bars.index)]
    columns = [[_decimal(value) for value in bars[column].tolist()] for column in COLUMNS]
    rows = map(",".join, zip(times, *columns, strict=True))
    return "\n".join([_HEADER, *rows, ""]).encode("ascii")


def from_bytes(data: bytes) -> pd.DataFrame:
    """UTC index `Date`, float columns Open, High, Low, Close, Volume."""
    times, *columns = zip(*(line.split(",") for line in data.decode("ascii").splitlines()[1:]), strict=True)
    index = pd.DatetimeIndex(pd.to_datetime(list(times), format="ISO8601", utc=True), name="Date").as_unit(
        "us"
    )
    # numpy reads decimals as Python does, exactly; pandas' own parser may be off by the last bit
    values = {name: np.array(column, dtype=np.float64) for name, column in zip(COLUMNS, columns, strict=True)}
    return pd.DataFrame(values, index=index)


def _time(moment: pd.Timestamp) -> str:
    return moment.tz_localize(None).isoformat() + "Z"


def _decimal(value: float) -> str:
    return repr(value).removesuffix(".0")
