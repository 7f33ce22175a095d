"""Looks for a marker in what a run has left and shown: as it is, encoded, escaped, compressed or packed.

    canary = Canary(new_marker())
    sightings = canary.in_folder(home) + canary.in_processes(pids) + canary.in_bytes("stderr", stderr)
    assert not sightings

What is encrypted can't be looked into, and what was cut into pieces isn't put together.
"""

import base64
import bz2
import io
import json
import lzma
import re
import secrets
import tarfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DEEPEST = 5
"""Packings inside one another."""
MOST = 512 << 20
"""Bytes that one packed thing may come to."""
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ZIP = b"PK\x03\x04"
_WHITE = re.compile(rb"(\\[nrt]|\s)+")


def new_marker() -> str:
    """Found nowhere else, and with signs that every encoding writes in its own way."""
    return f'Kanari/{secrets.token_hex(8)}+"ö?'


@dataclass(frozen=True)
class Sighting:
    where: str
    form: str

    def __str__(self) -> str:
        return f"{self.where} ({self.form})"


class Canary:
    def __init__(self, marker: str) -> None:
        if len(marker.encode()) < 12:
            raise ValueError("a marker that short is found by chance")
        self.marker = marker
        self._forms = _forms(marker)

    def in_bytes(self, where: str, data: bytes | str, depth: int = 0) -> list[Sighting]:
        """Where in `data`, or in what is packed in it, the marker stands."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        found = [Sighting(where, form) for form in self._seen(raw)]
        if depth < DEEPEST:
            for name, content in _unpacked(raw):
                found += self.in_bytes(f"{where} > {name}", content, depth + 1)
        return found

    def in_folder(self, folder: Path) -> list[Sighting]:
        """Every file below, databases and their logs too, and the names of files, folders and links."""
        found: list[Sighting] = []
        for path in sorted(folder.rglob("*")):
            found += self.in_bytes(f"the name of {path}", str(path.relative_to(folder)))
            if path.is_symlink():
                found += self.in_bytes(f"the link {path}", str(path.readlink()))
            elif path.is_file():
                with suppress(FileNotFoundError):  # removed just now
                    found += self.in_bytes(str(path), path.read_bytes())
        return found

    def in_processes(self, pids: Iterable[int]) -> list[Sighting]:
        """Their arguments and environments, as /proc shows them now; ended processes have neither."""
        found: list[Sighting] = []
        for pid in pids:
            for part in ("cmdline", "environ"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    found += self.in_bytes(f"/proc/{pid}/{part}", Path(f"/proc/{pid}/{part}").read_bytes())
        return found

    def _seen(self, data: bytes) -> Iterator[str]:
        squeezed = _WHITE.sub(b"", data)  # encoded text is often folded
        folded, folded_squeezed = data.lower(), squeezed.lower()
        for form, (pattern, any_case) in self._forms.items():
            places = (folded, folded_squeezed) if any_case else (data, squeezed)
            if any(pattern in place for place in places):
                yield form


def children(pid: int) -> list[int]:
    """The process and all below it, as far as they live."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += [int(child) for child in task.read_text().split()]
    return found


def _forms(marker: str) -> Mapping[str, tuple[bytes, bool]]:
    """Pattern by name, and whether its case doesn't matter (then it is in lower case)."""
    raw = marker.encode()
    escaped = json.dumps(marker)[1:-1]
    wide = "".join(f"\\u{ord(sign):04x}" for sign in marker)
    forms: dict[str, tuple[bytes, bool]] = {
        "as it is": (raw, False),
        "in lower case": (marker.lower().encode(), False),
        "in upper case": (marker.upper().encode(), False),
        "Latin-1": (marker.encode("latin-1", "replace"), False),
        "JSON": (escaped.encode(), False),
        "JSON in JSON": (json.dumps(escaped)[1:-1].encode(), False),
        "JSON, but for ASCII": (json.dumps(marker, ensure_ascii=False)[1:-1].encode(), False),
        "\\u escapes": (wide.encode(), True),
        "repr": (ascii(marker)[1:-1].encode(), False),
        "repr of bytes": (repr(raw)[2:-1].encode(), False),
        "\\x escapes": ("".join(f"\\x{byte:02x}" for byte in raw).encode(), True),
        "hex": (raw.hex().encode(), True),
        "hex, spaced": (raw.hex(":").encode(), True),
        "URL": (urllib.parse.quote(marker, safe="").lower().encode(), True),
        "URL, path": (urllib.parse.quote(marker).lower().encode(), True),
        "URL, form": (urllib.parse.quote_plus(marker).lower().encode(), True),
        "URL, every sign": ("".join(f"%{byte:02x}" for byte in raw).encode(), True),
        "HTML": (marker.replace("&", "&amp;").replace('"', "&quot;").encode(), False),
        "HTML, numbered": (marker.replace("&", "&amp;").replace('"', "&#34;").encode(), False),
        "UTF-16 LE": (marker.encode("utf-16-le"), False),
        "UTF-16 BE": (marker.encode("utf-16-be"), False),
        "UTF-32 LE": (marker.encode("utf-32-le"), False),
        "reversed": (marker[::-1].encode(), False),
        "base32": (base64.b32encode(raw)[: len(raw) * 8 // 5].lower(), True),
        "base85": (base64.b85encode(raw), False),
    }
    inner = {
        "base64": raw,
        "base64 of JSON": escaped.encode(),
        "base64 of JSON, but for ASCII": json.dumps(marker, ensure_ascii=False)[1:-1].encode(),
        "base64 of UTF-16": marker.encode("utf-16-le"),
    }
    for form, text in inner.items():
        for shift in range(3):
            core = _base64_core(text, shift)
            forms[f"{form}, shifted by {shift}"] = (core, False)
            forms[f"{form} for URLs, shifted by {shift}"] = (
                core.translate(bytes.maketrans(b"+/", b"-_")),
                False,
            )
    return forms


def _base64_core(text: bytes, shift: int) -> bytes:
    """The letters that are the same whatever stands before and after, where `shift` bytes of a group stand before."""
    encoded = base64.b64encode(bytes(shift) + text)
    return encoded[-(-shift * 8 // 6) : (shift + len(text)) * 8 // 6]


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What is packed in there: archives, whole compressed files, and compressed pieces (of git, of databases)."""
    for name, pattern, bits in (("gzip", _GZIP, 31), ("zlib", _ZLIB, 15)):
        for found in pattern.finditer(data):
            content = _inflated(data, found.start(), bits)
            if len(content) > 8:
                yield f"{name} at {found.start()}", content
    if data.startswith(_ZIP):
        with (
            suppress(zipfile.BadZipFile, RuntimeError, NotImplementedError),
            zipfile.ZipFile(io.BytesIO(data)) as packed,
        ):
            for info in packed.infolist():
                yield f"zip {info.filename}", info.filename.encode() + packed.read(info)
    if data[257:262] == b"ustar":
        with suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(data)) as packed:
            for member in packed:
                file = packed.extractfile(member) if member.isfile() else None
                yield f"tar {member.name}", member.name.encode() + (file.read() if file else b"")
    if data.startswith(b"BZh"):
        with suppress(OSError, EOFError):
            yield "bzip2", bz2.BZ2Decompressor().decompress(data, MOST)
    if data.startswith(b"\xfd7zXZ"):
        with suppress(lzma.LZMAError, EOFError):
            yield "xz", lzma.LZMADecompressor().decompress(data, MOST)


def _inflated(data: bytes, start: int, bits: int) -> bytes:
    """What begins there, up to its end or to where it is cut; nothing where that isn't compressed."""
    inflater, found = zlib.decompressobj(bits), bytearray()
    with suppress(zlib.error):
        for at in range(start, len(data), 1 << 16):
            found += inflater.decompress(data[at : at + (1 << 16)], MOST)
            if inflater.eof or len(found) > MOST:
                break
    return bytes(found)
