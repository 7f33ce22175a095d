"""Market data: what CSV files of the wild become, and what is refused, by line."""

import gzip
import hashlib
import io
import math
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.market import DataSet
from services.market_data import BUNDLED, DataError, MarketData, read_csv
from services.market_data.canonical import from_bytes, to_bytes
from services.market_data.spacing import describe_gaps, interval_of

HEADER = "Date,Open,High,Low,Close,Volume"
ROWS = [
    "2020-01-02,100,102,99,101,1000",
    "2020-01-03,101,103,100.5,102.25,1100",
    "2020-01-06,102,104,101,103,1200",
    "2020-01-07,103,105,102,104.5,1300",
]
PLAIN = "\n".join([HEADER, *ROWS, ""])


class MemoryStore:
    """The artifact store's contract, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        return digest

    def get(self, digest: str) -> bytes:
        return self.kept[digest]


@pytest.fixture
def market() -> MarketData:
    return MarketData(MemoryStore())


def read(text: str | bytes) -> tuple[pd.DataFrame, list[str]]:
    return read_csv(text if isinstance(text, bytes) else text.encode(), "prices.csv")


def refused(text: str | bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        read(text)
    assert str(caught.value).startswith("prices.csv")
    assert "expected" in str(caught.value)
    return caught.value


def table(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows, ""])


EXPECTED = from_bytes(PLAIN.replace("2020-01-0", "2020-01-0").encode())


def same(text: str | bytes) -> list[str]:
    """The text gives the bars of PLAIN, byte for byte; returns the warnings."""
    bars, warnings = read(text)
    assert to_bytes(bars) == to_bytes(EXPECTED)
    return warnings


# --- bundled sets and freezing


@pytest.mark.parametrize(
    ("name", "bars", "interval", "start"),
    [
        ("GOOG", 2148, "1d", "2004-08-19T00:00:00Z"),
        ("EURUSD", 5000, "1h", "2017-04-19T09:00:00Z"),
        ("BTCUSD", 156, "1mo", "2012-01-31T00:00:00Z"),
    ],
)
def test_bundled(market: MarketData, name: str, bars: int, interval: str, start: str) -> None:
    dataset = market.load(name.lower())
    assert (dataset.name, dataset.bars, dataset.interval, dataset.start) == (name, bars, interval, start)
    assert market.load(f" {name} ") == dataset
    import backtesting.test

    theirs = getattr(backtesting.test, name)
    ours = market.bars(dataset.digest)
    pd.testing.assert_frame_equal(
        ours.tz_localize(None),
        theirs.astype("float64"),
        check_names=False,
        check_index_type=False,
        check_freq=False,
    )


def test_digest_is_the_canonical_form(market: MarketData, tmp_path: Path) -> None:
    path = tmp_path / "my prices.csv"
    path.write_text(PLAIN)
    dataset = market.load(str(path))
    data = (
        b"Date,Open,High,Low,Close,Volume\n"
        b"2020-01-02T00:00:00Z,100,102,99,101,1000\n"
        b"2020-01-03T00:00:00Z,101,103,100.5,102.25,1100\n"
        b"2020-01-06T00:00:00Z,102,104,101,103,1200\n"
        b"2020-01-07T00:00:00Z,103,105,102,104.5,1300\n"
    )
    assert dataset == DataSet(
        digest=hashlib.sha256(data).hexdigest(),
        name="my prices.csv",
        bars=4,
        start="2020-01-02T00:00:00Z",
        end="2020-01-07T00:00:00Z",
        interval="1d",
    )
    bars = market.bars(dataset.digest)
    assert list(bars.columns) == ["Open", "High", "Low", "Close", "Volume"]
    assert str(bars.index.tz) == "UTC"
    assert set(map(str, bars.dtypes)) == {"float64"}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("APPLE", "no such data"),
        ("", "folder"),
        ("/nowhere/x.csv", "no such data"),
        ("a\0b", "no such data"),
        ("~nobody-of-this-name/x.csv", "no such data"),
        ("~a\0b", "can't be read"),
    ],
)
def test_unknown_source(market: MarketData, source: str, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        market.load(source)
    assert all(name in str(caught.value) for name in BUNDLED)


def test_folder_and_device(market: MarketData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder"):
        market.load(str(tmp_path))
    with pytest.raises(DataError, match="no regular file"):
        market.load("/dev/zero")


def test_too_large(market: MarketData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.csv"
    path.write_text(PLAIN)
    monkeypatch.setattr("services.market_data.MAX_BYTES", 100)
    with pytest.raises(DataError, match="MB"):
        market.load(str(path))


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.market_data.table.MAX_ROWS", 3)
    assert "too many rows" in refused(PLAIN).problem


# --- the same bars, whatever the file looks like

OTHER_TEXTS = {
    "plain": PLAIN,
    "no newline at the end": PLAIN.rstrip("\n"),
    "crlf": PLAIN.replace("\n", "\r\n"),
    "old mac line ends": PLAIN.replace("\n", "\r"),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16-le without mark": PLAIN.encode("utf-16-le"),
    "utf-16-be without mark": PLAIN.encode("utf-16-be"),
    "utf-32": PLAIN.encode("utf-32"),
    "blank lines": PLAIN.replace("\n", "\n\n") + "\n \n,,,,,\n",
    "upper case": PLAIN.replace(HEADER, HEADER.upper()),
    "spaces": PLAIN.replace(",", " ,  "),
    "angle brackets": PLAIN.replace(HEADER, "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"),
    "underscores": PLAIN.replace(
        HEADER, "trade_date,open_price,high_price,low_price,close_price,total_volume"
    ),
    "numbered": PLAIN.replace(HEADER, "timestamp,1. open,2. high,3. low,4. close,5. volume"),
    "with units": PLAIN.replace(HEADER, "Date,Open (USD),High (USD),Low (USD),Close (USD),Volume"),
    "unnamed index": PLAIN.replace("Date,", ","),
    "quoted": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.strip().split("\n")
    ),
    "trailing commas": PLAIN.replace("\n", ",\n"),
    "trailing commas in rows only": HEADER + "\n" + "\n".join(row + ",," for row in ROWS),
    "semicolons": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "bars of ASCII": PLAIN.replace(",", "|"),
    "decimal comma": PLAIN.replace(",", ";").replace(".", ","),
    "decimal comma, quoted": HEADER
    + "\n"
    + "\n".join(",".join(f'"{c.replace(".", ",")}"' for c in row.split(",")) for row in ROWS),
    "thousands": PLAIN.replace(",", ";").replace("1000", "1,000").replace("1100", "1,100"),
    "european thousands": PLAIN.replace(",", ";")
    .replace(".", ",")
    .replace("1000", "1.000")
    .replace("1300", "1.300"),
    "swiss thousands": PLAIN.replace("1000", "1'000"),
    "thin spaces": PLAIN.replace("1000", "1\u202f000").replace("1100", "1\xa0100"),
    "money": PLAIN.replace(",10", ",$10"),
    "volume in K": PLAIN.replace(",1000", ",1K").replace(",1100", ",1.1K"),
    "exponents": PLAIN.replace(",1000", ",1e3").replace("102.25", "1.0225E2"),
    "slashes": PLAIN.replace("2020-01-0", "2020/01/0"),
    "points": PLAIN.replace("2020-01-0", "2020.01.0"),
    "compact": PLAIN.replace("2020-01-0", "2020010"),
    "german dates": table(*(f"0{r[9]}.01.2020{r[10:]}" for r in ROWS)),
    "month names": table(*(f"0{r[9]}-Jan-2020{r[10:]}" for r in ROWS)),
    "long dates": table(*(f'"January {r[9]}, 2020"{r[10:]}' for r in ROWS)),
    "zulu": table(*(f"{r[:10]}T00:00:00Z{r[10:]}" for r in ROWS)),
    "utc suffix": table(*(f"{r[:10]} 00:00:00 UTC{r[10:]}" for r in ROWS)),
    "midnight": table(*(f"{r[:10]} 00:00{r[10:]}" for r in ROWS)),
    "am pm": table(*(f"{r[:4]}/01/{r[8:10]} 12:00 AM{r[10:]}" for r in ROWS)),
    "epoch s": table(*(f"{pd.Timestamp(r[:10]).timestamp():.0f}{r[10:]}" for r in ROWS)),
    "epoch s as float": table(*(f"{pd.Timestamp(r[:10]).timestamp():.1f}{r[10:]}" for r in ROWS)),
    "epoch ms": table(*(f"{pd.Timestamp(r[:10]).timestamp() * 1e3:.0f}{r[10:]}" for r in ROWS)),
    "epoch us": table(*(f"{pd.Timestamp(r[:10]).timestamp() * 1e6:.0f}{r[10:]}" for r in ROWS)),
    "epoch ns": table(*(f"{pd.Timestamp(r[:10]).timestamp() * 1e9:.0f}{r[10:]}" for r in ROWS)),
    "date and time apart": table(
        *(f"{r[:10].replace('-', '.')},00:00{r[10:]}" for r in ROWS),
        header=HEADER.replace("Date", "Date,Time"),
    ),
    "time and date apart": table(*(f"00:00:00,{r}" for r in ROWS), header="Time," + HEADER),
    "lines above the header": "https://example.org/prices\nGOOG daily\n\n" + PLAIN,
    "three-line header of yfinance": table(
        "Ticker,G,G,G,G,G", "Date,,,,,", *ROWS, header="Price,Open,High,Low,Close,Volume"
    ),
    "one symbol": table(*("GOOG," + r for r in ROWS), header="Symbol," + HEADER),
    "windows-1252 in a comment column": table(
        *(r + ",\xe9t\xe9" for r in ROWS), header=HEADER + ",Note"
    ).encode("cp1252"),
    "extra columns": table(*(r + ",0,1" for r in ROWS), header=HEADER + ",Dividends,Stock Splits"),
    "adjusted close beside": table(*(r + ",50" for r in ROWS), header=HEADER + ",Adj Close"),
    "order of columns": "\n".join(",".join(reversed(line.split(","))) for line in PLAIN.strip().split("\n")),
    "descending": table(*reversed(ROWS)),
    "shuffled": table(ROWS[2], ROWS[0], ROWS[3], ROWS[1]),
    "a row twice": table(*ROWS, ROWS[1]),
    "a row without prices": table(*ROWS[:2], "2020-01-05,null,null,null,null,null", *ROWS[2:]),
    "dos end of file": PLAIN + "\x1a",
}


@pytest.mark.parametrize("text", OTHER_TEXTS.values(), ids=OTHER_TEXTS.keys())
def test_same_bars(text: str | bytes) -> None:
    same(text)


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("descending", "newest bar came first"),
        ("shuffled", "out of order in 2 places, first at line 3"),
        ("a row twice", "1 row repeated exactly, dropped: line 6"),
        ("a row without prices", "1 row without a price dropped: line 4"),
        ("windows-1252 in a comment column", "read as Windows-1252"),
        ("extra columns", "columns ignored: Dividends, Stock Splits"),
        ("adjusted close beside", "columns ignored: Adj Close"),
    ],
)
def test_what_was_mended_is_said(name: str, warning: str) -> None:
    assert any(warning in line for line in same(OTHER_TEXTS[name]))


@pytest.mark.parametrize("name", ["plain", "crlf", "decimal comma", "epoch ms", "german dates", "zulu"])
def test_nothing_to_say(name: str) -> None:
    assert same(OTHER_TEXTS[name]) == []


# --- times


def times(*texts: str) -> list[str]:
    bars, _ = read(table(*(f'"{text}",10,12,9,11,5' for text in texts)))
    return [moment.isoformat() for moment in bars.index.tz_localize(None)]


@pytest.mark.parametrize(
    ("texts", "read_as"),
    [
        (["31/01/2020", "01/02/2020"], ["2020-01-31T00:00:00", "2020-02-01T00:00:00"]),
        (["01/31/2020", "02/01/2020"], ["2020-01-31T00:00:00", "2020-02-01T00:00:00"]),
        (["01/01/2020"], ["2020-01-01T00:00:00"]),
        (["31-12-2019 23:30", "01-01-2020 00:00"], ["2019-12-31T23:30:00", "2020-01-01T00:00:00"]),
        (
            ["2020-01-31T10:00:00+02:00", "2020-01-31T10:00:00Z"],
            ["2020-01-31T08:00:00", "2020-01-31T10:00:00"],
        ),
        (
            ["2020-01-31 10:00:00-0500", "2020-01-31 11:00:00-0500"],
            ["2020-01-31T15:00:00", "2020-01-31T16:00:00"],
        ),
        (
            ["31.01.2020 10:00 GMT+01:00", "31.01.2020 11:00 GMT+01:00"],
            ["2020-01-31T09:00:00", "2020-01-31T10:00:00"],
        ),
        (["01/31/2020 9:30 PM", "01/31/2020 10:30 PM"], ["2020-01-31T21:30:00", "2020-01-31T22:30:00"]),
        (["20200131 153000", "20200131 153100"], ["2020-01-31T15:30:00", "2020-01-31T15:31:00"]),
        (["202001311530", "202001311531"], ["2020-01-31T15:30:00", "2020-01-31T15:31:00"]),
        (["20200131153000", "20200131153001"], ["2020-01-31T15:30:00", "2020-01-31T15:30:01"]),
        (
            ["2020-01-31 15:30:00.5", "2020-01-31 15:30:01"],
            ["2020-01-31T15:30:00.500000", "2020-01-31T15:30:01"],
        ),
        (["Fri, 31 Jan 2020", "Mon, 03 Feb 2020"], ["2020-01-31T00:00:00", "2020-02-03T00:00:00"]),
        (["1580428800", "1580432400"], ["2020-01-31T00:00:00", "2020-01-31T01:00:00"]),
    ],
)
def test_times(texts: list[str], read_as: list[str]) -> None:
    assert times(*texts) == read_as


def test_local_midnights_keep_their_date() -> None:
    bars, warnings = read(
        table(
            "2020-03-27 00:00:00+09:00,10,12,9,11,5",
            "2020-03-30 00:00:00+09:00,10,12,9,11,5",
            "2020-03-31 00:00:00+09:00,10,12,9,11,5",
        )
    )
    assert [f"{moment:%a %d}" for moment in bars.index] == ["Fri 27", "Mon 30", "Tue 31"]
    assert len(warnings) == 1
    assert "its date is kept" in warnings[0]


@pytest.mark.parametrize("zone", ["Z", "+00:00", " UTC", "-05:00"])
def test_nothing_to_say_about_zones_that_are_given(zone: str) -> None:
    _, warnings = read(table(*(f"2020-01-31 1{hour}:00{zone},10,12,9,11,5" for hour in range(3))))
    assert warnings == []


def test_local_times_are_said_to_be_taken_as_utc() -> None:
    _, warnings = read(table("2020-01-31 10:00,10,12,9,11,5", "2020-01-31 11:00,10,12,9,11,5"))
    assert any("taken as UTC" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("texts", "says", "line"),
    [
        (["01/02/2020", "02/02/2020", "03/02/2020"], "order of day and month", 2),
        (["31/01/2020", "01/31/2020"], "day first and others only month first", 2),
        (["2020-01-31T10:00:00Z", "2020-01-31T11:00:00"], "some have none", 2),
        (["2020-01-31", "soon"], "not understood", 3),
        (["2020-01-31", ""], "missing", 3),
        (["2020-01-31", "2020-02-30"], "not understood", 3),
        (["now", "today"], "not understood", 2),
        (["0", "1"], "plain numbers", 2),
        (["1580428800", "1580432400000"], "different units", 3),
        (["31/01/20", "01/02/20"], "four digits", 2),
        (["2020-01-31 10:00 EST", "2020-01-31 11:00 EST"], "offset", 2),
        (["9" * 30, "9" * 30], "too large", 2),
        (["2020-01-31 25:00"], "not understood", 2),
    ],
)
def test_times_refused(texts: list[str], says: str, line: int) -> None:
    error = refused(table(*(f"{text},10,12,9,11,5" for text in texts)))
    assert says in str(error)
    assert error.line == line


# --- what is refused


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("", "empty", None),
        (" \n \n", "empty", None),
        (HEADER, "no bar", None),
        (HEADER + "\n", "no bar", None),
        ("\n".join(ROWS), "no header, only numbers", 1),
        ("hello world", "no header", 1),
        (PLAIN.replace("Close", "Klose"), "no column Close", 1),
        (table(*(r[11:] for r in ROWS), header=HEADER[5:]), "no column holds the time", 1),
        (PLAIN.replace("Volume", "Close"), "two columns mean Close", 1),
        (PLAIN.replace("102.25", "abc"), "Close is no number; found 'abc'", 3),
        (PLAIN.replace("102.25", "1.2.3"), "Close is no number", 3),
        (PLAIN.replace(",1300", ",many"), "Volume is no number", 5),
        (PLAIN.replace(",1300", ",-1"), "Volume can't be", 5),
        (PLAIN.replace(",1300", ",inf"), "Volume can't be", 5),
        (PLAIN.replace("102.25", "inf"), "infinite", 3),
        (PLAIN.replace("100.5", "0"), "zero or negative", 3),
        (PLAIN.replace("100.5", "-3"), "zero or negative", 3),
        (PLAIN.replace("102,104,101", "102,101,104"), "High is below Low", 4),
        (PLAIN.replace("104.5", "106"), "Close lies outside", 5),
        (PLAIN.replace(",103,105", ",106,105"), "Open lies outside", 5),
        (PLAIN.replace("102.25", "102,25"), "more fields", 3),
        (PLAIN.replace(",102.25,1100", ""), "fewer fields", 3),
        (table(*ROWS, "2020-01-08,1"), "fewer fields", 6),
        (PLAIN.replace('100,102', '"100,102'), "CSV", None),
        (table("A," + ROWS[0], "B," + ROWS[1], header="Ticker," + HEADER), "2 instruments", None),
        (table("2020-01-02;1,234;1,250;1,200;1,240;10", header=HEADER.replace(",", ";")), "decimals or for", 2),
        (PLAIN.replace(",", ";").replace("102.25", "102,25"), "mixed", 3),
        (table("2020-01-02,,,,,", "2020-01-03,,,,,"), "no row holds all four", None),
        ("<!DOCTYPE html><html><body>404</body></html>", "a web page", None),
        ('{"prices": []}', "JSON", None),
        (gzip.compress(PLAIN.encode()), "gzip", None),
        (b"PK\x03\x04" + bytes(100), "zip archive or Excel", None),
        (b"PAR1" + bytes(100), "Parquet", None),
        (bytes(range(256)) * 4, "binary", None),
        (PLAIN.encode("utf-16")[:-1], "breaks off", 5),
        (table("2020-01-02," + "1" * 200_000 + ",1,1,1,1"), "CSV", 2),
    ],
)  # fmt: skip
def test_refused(text: str | bytes, says: str, line: int | None) -> None:
    error = refused(text)
    assert says in str(error)
    if line is not None:
        assert error.line == line


def test_messages_are_bounded_and_printable() -> None:
    error = (
        refused(PLAIN.replace("102.25", "\x1b[31m" + "x" * 100_000))
        if False
        else refused(PLAIN.replace("102.25", "\u202ered" + "x" * 100_000))
    )
    assert len(str(error)) < 400
    assert str(error).isprintable()


def test_many_bad_lines_are_counted() -> None:
    rows = [f"2020-01-{day:02},1,1,1,x,1" for day in range(1, 29)]
    assert "lines 2, 3, 4, 5, 6 and 23 more" in str(refused(table(*rows)))


# --- what is mended


def test_no_volume() -> None:
    bars, warnings = read("\n".join(line.rsplit(",", 1)[0] for line in PLAIN.strip().split("\n")))
    assert bars["Volume"].tolist() == [0, 0, 0, 0]
    assert warnings == ["no column Volume; it is 0 throughout"]


def test_volume_missing_at_the_end_of_a_row() -> None:
    bars, warnings = read(PLAIN.replace("102.25,1100", "102.25"))
    assert bars["Volume"].tolist() == [1000, 0, 1200, 1300]
    assert warnings == ["Volume is missing in 1 of 4 rows and taken as 0 there"]


def test_adjusted_close_alone() -> None:
    bars, warnings = read(PLAIN.replace("Close", "Adj Close"))
    assert bars["Close"].tolist() == EXPECTED["Close"].tolist()
    assert warnings == ["no column Close; 'Adj Close' is read as Close"]


def test_price_as_close() -> None:
    bars, warnings = read(
        table(
            '"Jan 03, 2020",102.25,101.00,103.00,100.50,1.10K,1.2%',
            '"Jan 02, 2020",101.00,100.00,102.00,99.00,1.00K,0.5%',
            header='"Date","Price","Open","High","Low","Vol.","Change %"',
        )
    )
    assert bars["Close"].tolist() == [101, 102.25]
    assert bars["Volume"].tolist() == [1000, 1100]
    assert any("Price" in warning for warning in warnings)


def test_of_two_bars_at_one_time_the_last_is_kept() -> None:
    bars, warnings = read(table(*ROWS, "2020-01-03,101,103,100.5,102.5,1111"))
    assert bars["Close"].tolist() == [101, 102.5, 103, 104.5]
    assert any("other values, the last kept" in warning and "line 3" in warning for warning in warnings)


def test_rounding_of_adjusted_prices() -> None:
    bars, warnings = read(PLAIN.replace(",103,105,102,104.5,", ",103,105,102,105.00000001,"))
    assert bars["High"].iloc[-1] == 105.00000001
    assert any("widened in 1 row" in warning and "line 5" in warning for warning in warnings)


@pytest.mark.parametrize("cut", ["2020-01-08", "2020-01-08,104", "2020-01-08,104,106,1", "2020"])
def test_last_line_cut_off(cut: str) -> None:
    warnings = same(PLAIN + cut)
    assert warnings == ["line 6, the last, is cut off and was dropped"]


def test_metatrader() -> None:
    text = table(
        "2020.01.02\t00:00:00\t1.12120\t1.12200\t1.12100\t1.12150\t120\t0\t5",
        "2020.01.02\t01:00:00\t1.12150\t1.12250\t1.12110\t1.12200\t130\t0\t5",
        header="<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
    )
    bars, warnings = read(text)
    assert bars.index[1].isoformat() == "2020-01-02T01:00:00+00:00"
    assert bars["Close"].tolist() == [1.1215, 1.122]
    assert any("TICKVOL" in warning for warning in warnings)


def test_crypto_exchange() -> None:
    text = "https://www.example.org\n" + table(
        "1577923200000,2020-01-02 00:00:00,BTC/USD,7200.1,7212.2,6924.7,6965.5,67.2,480000",
        "1577836800000,2020-01-01 00:00:00,BTC/USD,7165.7,7238.1,7136.0,7174.3,7.8,56000",
        header="unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
    )
    bars, warnings = read(text)
    assert bars["Volume"].tolist() == [7.8, 67.2]
    assert any("columns ignored: date, Volume USD" in warning for warning in warnings)


# --- gaps and spacing


def gaps(index: pd.DatetimeIndex, *dropped: int) -> list[str]:
    return describe_gaps(index.delete(list(dropped)))


def test_daily_gaps_know_weekends() -> None:
    days = pd.bdate_range("2020-01-01", periods=60, tz="UTC")
    assert gaps(days) == []
    assert gaps(days, 10) == ["1 bar is missing: 1 after 2020-01-14"]
    assert "3 bars are missing" in gaps(days, 10, 11, 30)[0]


def test_weekends_count_where_they_are_traded() -> None:
    days = pd.date_range("2020-01-01", periods=60, tz="UTC")
    assert gaps(days) == []
    assert gaps(days, 3) == ["1 bar is missing: 1 after 2020-01-03"]


def test_intraday_closes_are_no_gaps() -> None:
    sessions = [
        pd.date_range(f"{day:%Y-%m-%d} 14:30", periods=78, freq="5min", tz="UTC")
        for day in pd.bdate_range("2020-01-01", periods=15)
    ]
    index = sessions[0].append(sessions[1:])
    assert gaps(index) == []
    assert gaps(index, 100) == ["1 bar is missing: 1 after 2020-01-02 16:15"]


def test_hourly_around_the_clock() -> None:
    hours = pd.date_range("2020-01-01", periods=500, freq="h", tz="UTC")
    assert gaps(hours) == []
    assert gaps(hours, 5, 6, 7)[0].startswith("3 bars are missing: 3 after 2020-01-01 04:00")


def test_missing_months() -> None:
    months = pd.date_range("2020-01-31", periods=24, freq="ME", tz="UTC")
    assert gaps(months) == []
    assert gaps(months, 4, 5) == ["2 bars are missing (holidays count among them): 2 after 2020-04-30"]


@pytest.mark.parametrize(
    ("freq", "interval"),
    [("1min", "1m"), ("5min", "5m"), ("h", "1h"), ("4h", "4h"), ("D", "1d"), ("B", "1d"), ("7D", "1wk"),
     ("MS", "1mo"), ("ME", "1mo"), ("90s", "90s"), ("3h", "10800s"), ("500ms", "0.5s")],
)  # fmt: skip
def test_interval(freq: str, interval: str) -> None:
    assert interval_of(pd.date_range("2020-01-01", periods=30, freq=freq, tz="UTC")) == interval


def test_one_bar() -> None:
    bars, warnings = read(table(ROWS[0]))
    assert len(bars) == 1
    assert interval_of(pd.DatetimeIndex(bars.index)) == "unknown"
    assert warnings == []


# --- clipping


@pytest.mark.parametrize(
    ("start", "end", "period", "first", "last", "count"),
    [
        (None, None, "max", "2004-08-19", "2013-03-01", 2148),
        (date(2010, 1, 4), date(2010, 1, 8), "max", "2010-01-04", "2010-01-08", 5),
        (None, None, "ytd", "2013-01-02", "2013-03-01", 41),
        (None, date(2010, 12, 31), "1y", "2010-01-04", "2010-12-31", 252),
        (None, None, "1mo", "2013-02-04", "2013-03-01", 19),
        (None, None, "1wk", "2013-02-25", "2013-03-01", 5),
        (None, None, "1d", "2013-03-01", "2013-03-01", 1),
        (date(1990, 1, 1), None, "99y", "2004-08-19", "2013-03-01", 2148),
        (date(1, 1, 1), date(9999, 12, 31), "9999y", "2004-08-19", "2013-03-01", 2148),
    ],
)
def test_clip(
    market: MarketData, start: date | None, end: date | None, period: str, first: str, last: str, count: int
) -> None:
    goog = market.load("GOOG")
    clipped = market.clip(goog, start, end, period)
    assert (clipped.start[:10], clipped.end[:10], clipped.bars) == (first, last, count)
    assert (clipped == goog) is (count == goog.bars)
    again = market.clip(clipped, start, end, period)
    assert again.digest == clipped.digest


def test_all_of_data_older_than_nanoseconds_reach(market: MarketData, tmp_path: Path) -> None:
    (tmp_path / "wheat.csv").write_text(table("1600-01-03,10,12,9,11,5", "1601-01-02,11,12,9,11,5"))
    wheat = market.load(str(tmp_path / "wheat.csv"))
    assert market.clip(wheat, None, None) == wheat
    assert market.clip(wheat, None, None, "5wk").bars == 1


def test_clip_says_so_and_drops_gaps_outside(market: MarketData) -> None:
    clipped = market.clip(market.load("GOOG"), date(2010, 1, 4), date(2010, 1, 8))
    assert clipped.warnings == ["clipped to 5 of 2,148 bars"]


def test_clip_to_the_end_of_a_day(market: MarketData) -> None:
    clipped = market.clip(market.load("EURUSD"), date(2017, 5, 2), date(2017, 5, 2))
    assert (clipped.start, clipped.end) == ("2017-05-02T00:00:00Z", "2017-05-02T23:00:00Z")


def test_clip_to_nothing(market: MarketData) -> None:
    with pytest.raises(DataError, match=r"no bars from 2030-01-01 to the end.*2004-08-19"):
        market.clip(market.load("GOOG"), date(2030, 1, 1), None)


def test_clip_bad_period(market: MarketData) -> None:
    with pytest.raises(ValueError, match="'soon' is not a period"):
        market.clip(market.load("GOOG"), None, None, "soon")


# --- properties

PRICE = st.floats(min_value=1e-6, max_value=1e9, allow_nan=False)


@st.composite
def some_bars(draw: st.DrawFn) -> pd.DataFrame:
    count = draw(st.integers(1, 8))
    start = draw(st.datetimes(min_value=pd.Timestamp("1950-01-01"), max_value=pd.Timestamp("2100-01-01")))
    step = draw(st.sampled_from(["1min", "h", "D"]))
    rows = [sorted(draw(st.tuples(PRICE, PRICE, PRICE, PRICE))) for _ in range(count)]
    volumes = [draw(st.floats(min_value=0, max_value=1e15)) for _ in range(count)]
    index = pd.date_range(start, periods=count, freq=step, tz="UTC", name="Date").as_unit("us")
    columns = {"Open": 1, "High": 3, "Low": 0, "Close": 2}
    frame = pd.DataFrame({name: [row[i] for row in rows] for name, i in columns.items()}, index=index)
    return frame.assign(Volume=np.array(volumes) + 0.0)


@settings(max_examples=60, deadline=None)
@given(some_bars())
def test_canonical_form_is_a_fixed_point(bars: pd.DataFrame) -> None:
    data = to_bytes(bars)
    back, _ = read(data)
    assert to_bytes(back) == data == to_bytes(from_bytes(data))
    pd.testing.assert_frame_equal(from_bytes(data), bars, check_freq=False)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_garbage_is_refused_in_words(raw: bytes) -> None:
    for data in (raw, HEADER.encode() + b"\n" + raw, PLAIN.encode() + raw):
        try:
            bars, _ = read(data)
        except DataError:
            continue
        assert len(bars)
        assert np.isfinite(bars.to_numpy()).all()
        assert pd.DatetimeIndex(bars.index).is_monotonic_increasing


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PLAIN) - 1), st.characters())
def test_one_wrong_character_never_passes_silently_as_nan(position: int, character: str) -> None:
    try:
        bars, _ = read((PLAIN[:position] + character + PLAIN[position + 1 :]).encode("utf-8", "replace"))
    except DataError:
        return
    assert not math.isnan(float(bars.to_numpy().sum()))


def test_many_rows() -> None:
    index = pd.date_range("2020-01-01", periods=30_000, freq="min")
    frame = pd.DataFrame({"Open": 10.0, "High": 12.0, "Low": 9.0, "Close": 11.5, "Volume": 1.0}, index=index)
    out = io.StringIO()
    frame.to_csv(out)
    bars, _ = read(out.getvalue())
    assert len(bars) == 30_000
    assert from_bytes(to_bytes(bars)).equals(bars)
