"""Frames on a byte stream: a small JSON head, then raw bytes.

One frame is `>IQ` (length of the head, length of the body), the head as a UTF-8 JSON object, the body. The other
end is services.sandboxes.wire; both state the format because neither side may import the other.
"""

import json
import os
import struct
from typing import Any

FRAME = struct.Struct(">IQ")
MAX_HEAD = 4 << 20
MAX_BODY = 64 << 20


class HostGone(Exception):
    """The other end closed the stream or broke the format: there is nobody left to serve."""


def read_frame(source: int) -> tuple[dict[str, Any], bytes]:
    head_length, body_length = FRAME.unpack(_read_exactly(source, FRAME.size))
    if head_length > MAX_HEAD or body_length > MAX_BODY:
        raise HostGone(f"a frame of {head_length} and {body_length} bytes")
    head = json.loads(_read_exactly(source, head_length))
    return head, _read_exactly(source, body_length)


def write_frame(sink: int, head: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps(head).encode()
    for part in (FRAME.pack(len(text), len(body)) + text, body):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(sink, rest) :]


def _read_exactly(source: int, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = os.read(source, min(length - len(parts), 1 << 20))
        if not part:
            raise HostGone("the stream ended")
        parts += part
    return bytes(parts)
