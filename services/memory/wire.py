"""How keeper and clients speak: requests and their answers, each a line of JSON, over a Unix socket."""

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from services.memory.errors import KINDS, MemoryFault, MemoryUnavailable

SOCKET: Final = "keeper.sock"
MOST_BYTES: Final = 64 << 20
_POLL = 0.5


class Late(Exception):
    """The deadline is over."""


class Garbled(Exception):
    """What came is no message."""


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message, ensure_ascii=True, allow_nan=False).encode() + b"\n")


def receive(
    connection: socket.socket, deadline: float, on_wait: Callable[[], None] | None = None
) -> dict[str, Any] | None:
    """One message; None where the other side is gone before it sent a whole one.

    Raises Late at `deadline` (monotonic seconds), and Garbled. `on_wait` is called about twice a second while nothing
    comes; what it raises goes through.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Late
        connection.settimeout(min(left, _POLL))
        try:
            part: bytes | None = connection.recv(1 << 16)
        except TimeoutError:
            part = None
        except OSError:
            return None
        if part is None:
            if on_wait is not None:
                on_wait()
            continue
        if not part:
            return None
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise Garbled(f"a message of more than {MOST_BYTES >> 20} MiB")
        if part.endswith(b"\n"):
            try:
                message = json.loads(b"".join(parts))
            except (ValueError, RecursionError) as error:
                raise Garbled("a message that is no JSON") from error
            if not isinstance(message, dict):
                raise Garbled("a message that is no object")
            return message


def connect(folder: Path, seconds: float) -> socket.socket:
    """Raises FileNotFoundError or ConnectionRefusedError where no keeper listens.

    By way of the folder's descriptor: a socket's path may have no more than 107 bytes.
    """
    there = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(f"/proc/self/fd/{there}/{SOCKET}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(there)
    return connection


def fault_message(error: MemoryFault) -> dict[str, Any]:
    return {"fault": type(error).__name__, "message": str(error)}


def answer_of(message: dict[str, Any]) -> Any:
    """What was asked for, or the fault that is told instead, raised."""
    if "fault" in message:
        raise KINDS.get(str(message["fault"]), MemoryUnavailable)(str(message.get("message")))
    return message["answer"]
