"""What a trial was given is taken out of what it gives back."""

import base64
import json

import pytest

from services.secrets.redaction import Redaction
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
    "json in json",
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


def test_nothing_to_take_out() -> None:
    for values in ({}, {"TINY": "abc"}):
        assert Redaction(values).data(b"abc") == b"abc"
        assert Redaction(values).text("abc") == "abc"
    assert Redaction({"KEY": "abcd"}).data(base64.b64encode(b"abcd")) == base64.b64encode(
        b"abcd"
    ), "too short to tell"
