"""Bytes to text: encodings told apart, files that are no text refused by what they are."""

import codecs

from services.market_data.errors import DataError

_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS = (
    (b"\x1f\x8b", "gzip-compressed data", "unpack it first"),
    (b"PK\x03\x04", "a zip archive or Excel workbook", "unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"PAR1", "a Parquet file", "write it as CSV"),
    (b"%PDF", "a PDF", "give the table as CSV"),
    (b"SQLite format 3", "a SQLite database", "export the table as CSV"),
    (b"{\\rtf", "a rich text document", "save it as plain text"),
)
_PROSE = (
    ("<!doctype", "a web page"),
    ("<html", "a web page"),
    ("<?xml", "XML"),
    ("{", "JSON"),
    ("[", "JSON"),
)
_CONTROL = frozenset(map(chr, range(32))) - set("\t\n\r\f\v\x1a")  # \x1a ends files of old DOS programs


def decode(raw: bytes, source: str) -> tuple[str, list[str]]:
    """The text with `\\n` line ends, and warnings."""
    csv = "comma-separated text with a header line"
    if not raw.strip():
        raise DataError(source, "the file is empty", expected=csv)
    for magic, kind, remedy in _KINDS:
        if raw.startswith(magic):
            raise DataError(source, "the file is not text", found=kind, expected=f"{csv}; {remedy}")
    text, warnings = _to_text(raw, source)
    if _CONTROL & set(text[:65536]) or "\0" in text:
        raise DataError(source, "the file is not text", found="binary data", expected=csv)
    start = text.lstrip()[:16].lower()
    for sign, kind in _PROSE:
        if start.startswith(sign):
            raise DataError(source, "the file is not CSV", found=kind, expected=csv)
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a"), warnings


def _to_text(raw: bytes, source: str) -> tuple[str, list[str]]:
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), None) or _without_mark(raw)
    try:
        return raw.decode(encoding), []
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            line = raw[: error.start].count(b"\n") + 1
            raise DataError(
                source,
                f"the text breaks off or is damaged (its mark says {encoding})",
                expected="the whole file; save it again as UTF-8",
                lines=[line],
            ) from error
    try:
        return raw.decode("cp1252"), ["not UTF-8; read as Windows-1252"]
    except UnicodeDecodeError:
        return raw.decode("latin-1"), ["not UTF-8; read as Latin-1"]


def _without_mark(raw: bytes) -> str:
    """UTF-16 of mostly Latin text holds a zero in every second byte."""
    head = raw[:2000]
    if len(head) >= 8:
        if head[1::2].count(0) > len(head) * 0.4:
            return "utf-16-le"
        if head[0::2].count(0) > len(head) * 0.4:
            return "utf-16-be"
    return "utf-8"
