"""The host's end of the harness's protocol: framed orders and answers over a pipe or a container's socket.

A frame is `>IQ` (length of the head, length of the body), the head as a JSON object, the body (see harness/wire.py).
"""

import json
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any

_FRAME = struct.Struct(">IQ")
_DOCKER = struct.Struct(">BxxxI")
_STDOUT = 1
_MAX_HEAD = 4 << 20
_MAX_BODY = 256 << 20
_CHUNK = 1 << 18


class WireClosed(Exception):
    """The other end is gone, or speaks something else. Holds what it said last, where it said something."""


class WireTimeout(Exception):
    """No answer in time."""


class Wire:
    """One connection. `multiplexed` is Docker's stream format, in which stdout and stderr come as records."""

    def __init__(self, source: int, sink: int, *, multiplexed: bool = False) -> None:
        self._source = source
        self._sink = sink
        self._multiplexed = multiplexed
        self._buffer = bytearray()
        self._raw = bytearray()
        self.errors = bytearray()
        """The last bytes that came as stderr, where the stream is multiplexed."""
        for end in (source, sink):
            os.set_blocking(end, False)

    def hung_up(self) -> bool:
        """Whether the other end has closed a connection that is a socket."""
        poll = select.poll()
        poll.register(self._source, select.POLLRDHUP)
        return bool(poll.poll(0))

    def exchange(
        self, order: dict[str, Any], body: bytes, timeout: float, on_wait: Callable[[], None] | None
    ) -> tuple[dict[str, Any], bytes]:
        """Send one order and wait for its answer. Raises WireClosed, WireTimeout, and whatever `on_wait` raises."""
        deadline = time.monotonic() + timeout
        head = json.dumps(order).encode()
        self._send(_FRAME.pack(len(head), len(body)) + head, deadline, on_wait)
        if body:
            self._send(body, deadline, on_wait)
        return self.receive(deadline - time.monotonic(), on_wait)

    def receive(self, timeout: float, on_wait: Callable[[], None] | None) -> tuple[dict[str, Any], bytes]:
        """Wait for one frame."""
        deadline = time.monotonic() + timeout
        head_length, body_length = _FRAME.unpack(self._take(_FRAME.size, deadline, on_wait))
        if head_length > _MAX_HEAD or body_length > _MAX_BODY:
            raise WireClosed("the sandbox's answer is not a frame")
        try:
            head = json.loads(self._take(head_length, deadline, on_wait))
        except ValueError as error:
            raise WireClosed("the sandbox's answer is not JSON") from error
        if not isinstance(head, dict):
            raise WireClosed("the sandbox's answer is not an object")
        return head, self._take(body_length, deadline, on_wait)

    def _send(self, content: bytes, deadline: float, on_wait: Callable[[], None] | None) -> None:
        rest = memoryview(content)
        while rest:
            self._wait([], [self._sink], deadline, on_wait)
            try:
                rest = rest[os.write(self._sink, rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise WireClosed(f"the sandbox takes no more orders: {error.strerror}") from error

    def _take(self, length: int, deadline: float, on_wait: Callable[[], None] | None) -> bytes:
        while len(self._buffer) < length:
            self._wait([self._source], [], deadline, on_wait)
            try:
                part = os.read(self._source, _CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise WireClosed(f"the sandbox's stream broke: {error.strerror}") from error
            if not part:
                raise WireClosed("the sandbox's stream ended")
            self._accept(part)
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    def _accept(self, part: bytes) -> None:
        if not self._multiplexed:
            self._buffer += part
            return
        self._raw += part
        while len(self._raw) >= _DOCKER.size:
            kind, length = _DOCKER.unpack_from(self._raw)
            end = _DOCKER.size + length
            if len(self._raw) < end:
                return
            content = self._raw[_DOCKER.size : end]
            if kind == _STDOUT:
                self._buffer += content
            else:
                self.errors = (self.errors + content)[-4000:]
            del self._raw[:end]

    @staticmethod
    def _wait(
        sources: list[int], sinks: list[int], deadline: float, on_wait: Callable[[], None] | None
    ) -> None:
        """Until a descriptor is ready; `on_wait` is called after every second of waiting."""
        poll = select.poll()
        for source in sources:
            poll.register(source, select.POLLIN)
        for sink in sinks:
            poll.register(sink, select.POLLOUT)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise WireTimeout
            if poll.poll(max(1.0, min(left, 1.0) * 1000)):
                return
            if on_wait:
                on_wait()
