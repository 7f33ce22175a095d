"""What a trial was given is taken out of what it gives back."""

import base64
import json
import random
import time
import urllib.parse
from collections.abc import Callable

import pytest

from schemas.sandbox import RunResult, TrialError, TrialResult
from services.secrets.contract import MOST_BYTES
from services.secrets.redaction import LONG, Redaction, redact_trial
from tests.services.secrets.test_canary import WAYS
from tests.support.canary import Canary, new_marker

FOLDED_OR_PACKED = {
    "upper",
    "reversed",
    "base64 folded",
    "gzip",
    "gzip inside",
    "zlib",
    "tar",
    "zip",
    "packed twice",
}
"""What only code that means it does to a value."""


@pytest.mark.parametrize("way", sorted(set(WAYS) - FOLDED_OR_PACKED))
def test_no_form_that_libraries_write_is_left(way: str) -> None:
    canary = Canary(new_marker())
    written = b"before " + WAYS[way](canary.marker) + b" after"
    redacted = Redaction({"OTHER": "something", "KEY": canary.marker}).data(written)
    assert canary.in_bytes("here", written)
    assert canary.in_bytes("here", redacted) == []
    assert b"[secret KEY]" in redacted
    assert redacted.startswith(b"before ")
    assert redacted.endswith(b" after")


def test_texts_and_the_longest_first() -> None:
    redaction = Redaction({"SHORT": "abcd", "LONG": "abcdefgh"})
    assert redaction.text("x abcdefgh y abcd z") == "x [secret LONG] y [secret SHORT] z"
    assert redaction.text("nothing \ud800 here") == "nothing \ud800 here"
    assert json.loads(redaction.text(json.dumps({"a": "abcd"}))) == {"a": "[secret SHORT]"}


@pytest.mark.parametrize(
    "form",
    [
        str,
        lambda text: json.dumps(text)[1:-1],
        lambda text: urllib.parse.quote(text, safe=""),
        lambda text: text.encode().hex(),
        lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    ],
    ids=["raw", "json", "url", "hex", "base64"],
)
def test_a_value_that_was_cut_off(form: Callable[[str], str]) -> None:
    """Of each form fewer than LONG bytes may be left at the end of a text that a limit cut."""
    marker = new_marker()
    redaction = Redaction({"KEY": marker})
    whole = form(marker)
    for size in range(LONG, len(whole) + 1):
        cut = redaction.cut_text("before " + whole[:size])
        assert cut.startswith("before [secret KEY]")
        assert whole[:LONG] not in cut
    assert redaction.cut_text("nothing is cut\ufffd") == "nothing is cut\ufffd"
    assert redaction.cut_text("Kanari") == "Kanari"


def test_of_two_values_that_were_cut_off_nothing_is_left_of_the_longer_piece() -> None:
    redaction = Redaction({"SHORTER": "efghijklmnopqrst", "LONGER": "abcdefghijklmnop"})
    assert redaction.cut_text("x abcdefghijklmno") == "x [secret LONGER]"


def test_the_longest_value_that_a_store_takes_costs_no_time() -> None:
    value = random.Random(1).randbytes(MOST_BYTES // 2).hex()
    redaction = Redaction({"KEY": value})
    began = time.process_time()
    for text in ("", "nothing is cut\n" * 1000, "before " + value[:-1]):
        redaction.cut_text(text)
    assert time.process_time() - began < 1.0
    assert redaction.cut_text("before " + value[:-1]) == "before [secret KEY]"


def test_a_trial_that_was_cut_off() -> None:
    marker = new_marker()
    stdout = ("x" * 50 + marker).encode()[:-3].decode(errors="replace")
    error = TrialError(stage="run", type="E" + marker.encode().hex()[:20], message="y" + marker[:15])
    result = TrialResult(run=RunResult(exit_code=1, stdout=stdout, output_truncated=True), error=error)
    redacted = redact_trial(result, {"KEY": marker})
    assert redacted.run.stdout == "x" * 50 + "[secret KEY]"
    assert redacted.error is not None
    assert (redacted.error.type, redacted.error.message) == ("E[secret KEY]", "y[secret KEY]")


def test_nothing_to_take_out() -> None:
    for values in ({}, {"TINY": "abc"}):
        assert Redaction(values).data(b"abc") == b"abc"
        assert Redaction(values).text("abc") == "abc"
    assert Redaction({"KEY": "abcd"}).data(base64.b64encode(b"abcd")) == base64.b64encode(
        b"abcd"
    ), "too short to tell"
