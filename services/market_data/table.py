"""Text to columns: the separator, the header, the rows, each with its line."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.market_data.columns import PRICES, Columns, HeaderError, find_columns, missing_prices
from services.market_data.errors import DataError, quote
from services.market_data.numbers import MISSING, Floats, parse, plain, style_of

MAX_ROWS = 5_000_000
_SEPARATORS = ",;\t|"
_HEADER_WITHIN = 15
"""Lines in which the header must come; above it stand names of providers and the like."""
_EXPECTED = "a header such as Date,Open,High,Low,Close,Volume"


@dataclass(frozen=True)
class Table:
    """Rows as they stand in the file, with the line of each; prices and volume are NaN where missing."""

    times: list[str]
    prices: dict[str, Floats]
    volume: Floats | None
    lines: npt.NDArray[np.int64]
    warnings: list[str]


def read_table(text: str, source: str) -> Table:
    separator, header_line, columns = _header(text, source)
    rows = _Rows(text, source, separator, header_line, columns)
    times, cells = rows.read()
    if not times:
        raise DataError(source, "there is a header but no bar", expected="at least one row below the header")
    lines = np.array(rows.lines, dtype=np.int64)
    roles = [*PRICES] + (["Volume"] if columns.volume is not None else [])
    numbers = _numbers(dict(zip(roles, cells, strict=True)), lines, source)
    volume = numbers.pop("Volume", None)
    return Table(times, numbers, volume, lines, [*columns.warnings, *rows.warnings])


def _header(text: str, source: str) -> tuple[str, int, Columns]:
    """Separator, line and columns of the first line that names the four prices."""
    head = [(number, line) for number, line in enumerate(text.split("\n", 200)[:200], 1) if line.strip()]
    if not head:
        raise DataError(source, "the file is empty", expected=_EXPECTED)
    for number, line in head[:_HEADER_WITHIN]:
        for separator in _SEPARATORS:
            try:
                columns = find_columns(_split(line, separator))
            except HeaderError as error:
                raise DataError(
                    source, str(error), expected="one of each; rename or remove one", lines=[number]
                ) from error
            if columns:
                return separator, number, columns
    number, line = head[0]
    cells = max((_split(line, separator) for separator in _SEPARATORS), key=len)
    lacking = missing_prices(cells)
    if len(lacking) == len(PRICES) and sum(_is_number(cell) for cell in cells) >= 3:
        problem, found = "there is no header, only numbers", quote(line)
    elif not lacking:
        problem, found = "no column holds the time", quote(line)
    elif len(lacking) < len(PRICES):
        problem, found = f"no column {', '.join(lacking)}", quote(line)
    else:
        problem, found = "no header was found", quote(line)
    raise DataError(source, problem, found=found, expected=_EXPECTED, lines=[number])


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _holds_anything(row: list[str]) -> bool:
    return bool(row) and (row[0].strip() != "" or any(not cell.isspace() for cell in row if cell))


def _is_number(cell: str) -> bool:
    value = parse(cell, "point")
    return value is not None and value == value


class _Rows:
    """The rows below the header."""

    def __init__(self, text: str, source: str, separator: str, header_line: int, columns: Columns) -> None:
        self._text, self._source, self._separator = text, source, separator
        self._header_line, self._columns = header_line, columns
        self.lines: list[int] = []
        self.warnings: list[str] = []

    def read(self) -> tuple[list[str], list[list[str]]]:
        columns = self._columns
        wanted = [columns.prices[role] for role in PRICES] + (
            [columns.volume] if columns.volume is not None else []
        )
        cells: list[list[str]] = [[] for _ in wanted]
        places = list(zip(cells, wanted, strict=True))
        times: list[str] = []
        symbols: set[str] = set()
        ends_whole = self._text.endswith("\n")
        last_line = self._text.count("\n") + (not ends_whole)
        short: tuple[int, int] | None = None
        for line, row in self._rows():
            if short:
                self._refuse_short(*short)
            if len(row) > columns.width and any(cell.strip() for cell in row[columns.width :]):
                raise DataError(
                    self._source,
                    "more fields than the header has",
                    found=f"{len(row)} fields",
                    expected=f"{columns.width}; a decimal comma in comma-separated text needs quotes",
                    lines=[line],
                )
            if len(row) <= max(columns.time, columns.clock or 0, *wanted[:4]):
                short = line, len(row)
                continue
            if not times and row[columns.time].strip().lower() in ("ticker", "date", "datetime"):
                continue  # yfinance writes a header of three lines
            if len(self.lines) >= MAX_ROWS:
                raise DataError(
                    self._source,
                    "too many rows",
                    expected=f"at most {MAX_ROWS:,}; use longer bars or fewer years",
                )
            self.lines.append(line)
            time = row[columns.time]
            times.append(
                f"{time.strip()} {row[columns.clock].strip()}" if columns.clock is not None else time
            )
            for values, position in places:
                values.append(row[position] if position < len(row) else "")
            if columns.symbol is not None and columns.symbol < len(row):
                symbols.add(row[columns.symbol].strip())
        if short:
            if ends_whole or short[0] != last_line:
                self._refuse_short(*short)
            self.warnings.append(f"line {short[0]}, the last, is cut off and was dropped")
        self._refuse_many(symbols - {""})
        return times, cells

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows that hold anything, with their lines."""
        reader = csv.reader(io.StringIO(self._text, newline="\n"), delimiter=self._separator, strict=True)
        try:
            for row in reader:
                if reader.line_num > self._header_line and _holds_anything(row):
                    yield reader.line_num, row
        except csv.Error as error:
            raise DataError(
                self._source,
                f"the text can't be read as CSV ({error})",
                expected="quotes that are closed, fields of sane length",
                lines=[max(reader.line_num, 1)],
            ) from error

    def _refuse_short(self, line: int, fields: int) -> None:
        raise DataError(
            self._source,
            "fewer fields than are needed",
            found=f"{fields} fields",
            expected=f"{self._columns.width}, as in the header",
            lines=[line],
        )

    def _refuse_many(self, symbols: set[str]) -> None:
        if len(symbols) > 1:
            names = ", ".join(quote(name, 20) for name in sorted(symbols)[:5])
            raise DataError(
                self._source,
                f"{len(symbols)} instruments in one file",
                found=names,
                expected="one instrument a file",
            )


def _numbers(columns: dict[str, list[str]], lines: npt.NDArray[np.int64], source: str) -> dict[str, Floats]:
    done = {role: numbers for role, texts in columns.items() if (numbers := plain(texts)) is not None}
    rest = {role: texts for role, texts in columns.items() if role not in done}
    if not rest:
        return done
    every = (text for texts in columns.values() for text in texts)
    style, point, comma = style_of(every)
    if style is None:
        found = f"{quote(point)} and {quote(comma)}" if point and comma else ""
        raise DataError(
            source,
            (
                "decimal points and decimal commas are mixed"
                if found
                else "',' may stand for decimals or for thousands"
            ),
            found=found or next(quote(text) for texts in rest.values() for text in texts if "," in text),
            expected="one decimal sign throughout, best a point, and no thousands separators",
            lines=_lines_with(columns, lines, {point, comma} if found else None),
        )
    for role, texts in (rest if style == "point" else columns).items():
        done[role] = np.empty(len(texts))
        wrong = []
        for row, text in enumerate(texts):
            value = parse(text, style)
            if value is None:
                wrong.append(row)
            else:
                done[role][row] = value
        if wrong:
            first = texts[wrong[0]]
            raise DataError(
                source,
                f"{role} is no number",
                found=quote(first),
                expected=(
                    "a number; leave the cell empty where a value is missing"
                    if first.strip()
                    else f"one of {sorted(MISSING)} or a number"
                ),
                lines=[int(lines[row]) for row in wrong],
            )
    return done


def _lines_with(
    columns: dict[str, list[str]], lines: npt.NDArray[np.int64], texts: set[str | None] | None
) -> list[int]:
    rows = {
        row
        for cells in columns.values()
        for row, cell in enumerate(cells)
        if (cell in texts if texts is not None else "," in cell)
    }
    return [int(lines[row]) for row in sorted(rows)]
