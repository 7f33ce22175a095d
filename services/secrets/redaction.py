"""Takes secrets out of what a sandbox gave back: a trial that was given one may print it or write it to a file.

It finds a value as it stands and in the encodings that libraries write by themselves. Code that means to hide a value
from this can: who allows a definition a secret trusts its code with it.
"""

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from schemas.sandbox import TrialResult

SHORTEST = 4
"""Bytes; a shorter value would blacken half of every text, and can be guessed anyway."""
LONG = 8
"""Bytes from which encoded forms are looked for: those of shorter values stand in other data by chance."""


class Redaction:
    """Replaces each of `values`, by name, by `[secret NAME]`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._names: dict[bytes, bytes] = {}
        for name, value in values.items():
            if len(value.encode()) >= SHORTEST:
                self._names |= dict.fromkeys(_forms(value), f"[secret {name}]".encode())
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None

    def data(self, content: bytes) -> bytes:
        if self._pattern is None:
            return content
        return self._pattern.sub(lambda found: self._names[found[0]], content)

    def text(self, content: str) -> str:
        if self._pattern is None:
            return content
        return self.data(content.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def cut_text(self, content: str) -> str:
        """As `text`, where a limit may have cut the content off within a value: its beginning goes too, from LONG bytes
        on."""
        redacted = self.text(content)
        raw = redacted.rstrip("\ufffd").encode(
            "utf-8", "surrogatepass"
        )  # left of a character that was cut through
        cuts = [(at, name) for form, name in self._names.items() if (at := _begun(raw, form)) >= 0]
        if not cuts:
            return redacted
        at, name = min(cuts)
        return (raw[:at] + name).decode("utf-8", "surrogatepass")


def _begun(raw: bytes, form: bytes) -> int:
    """Where `raw` ends in a beginning of the form, of LONG bytes or more; -1 where it doesn't."""
    at = raw.find(form[:LONG], max(0, len(raw) - len(form) + 1))
    while at >= 0 and not form.startswith(raw[at:]):
        at = raw.find(form[:LONG], at + 1)
    return at


def _forms(value: str) -> set[bytes]:
    raw = value.encode()
    texts = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(json.dumps(value)[1:-1])[1:-1],  # in a text of JSON that holds JSON
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        ascii(value)[1:-1],
        repr(raw)[2:-1],
        html.escape(value),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote(value),
        urllib.parse.quote_plus(value),
        raw.hex(),
        raw.hex().upper(),
    }
    if len(raw) < LONG:
        return {raw}
    forms = {form.encode() for form in texts} | {value.encode("utf-16-le"), value.encode("utf-16-be")}
    in_json = {json.dumps(value, ensure_ascii=ascii_alone)[1:-1].encode() for ascii_alone in (True, False)}
    for text in {raw, *in_json}:
        forms |= _base64_cores(text)
    return forms


def _base64_cores(text: bytes) -> set[bytes]:
    """In base64, whatever stands before and after."""
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + text)
        core = encoded[-(-shift * 8 // 6) : (shift + len(text)) * 8 // 6]
        found |= {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def redact_trial(result: TrialResult, secrets: Mapping[str, str]) -> TrialResult:
    """A trial's outcome without the values that it was given. Numbers stay, those of indicators in base64 too."""
    redaction = Redaction(secrets)
    run, error = result.run, result.error  # with texts that the harness keeps the beginning of
    run = run.model_copy(
        update={"stdout": redaction.cut_text(run.stdout), "stderr": redaction.cut_text(run.stderr)}
    )
    if error:
        error = error.model_copy(
            update={"type": redaction.cut_text(error.type), "message": redaction.cut_text(error.message)}
        )
    cut = result.model_copy(update={"run": run, "error": error})
    return TrialResult.model_validate(_through(cut.model_dump(), redaction))


def _through(value: Any, redaction: Redaction) -> Any:
    match value:
        case str():
            return redaction.text(value)
        case dict():
            return {_through(key, redaction): _through(item, redaction) for key, item in value.items()}
        case list() | tuple():
            return [_through(item, redaction) for item in value]
    return value
