"""What test_bounded calls in a child."""

import os
import signal
import time
from pathlib import Path


def echo(value: object) -> object:
    return value


def who() -> int:
    return os.getpid()


def spin(seconds: float = 60.0) -> None:
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


def sleep() -> None:
    time.sleep(60)


def eat() -> int:
    return len(bytearray(1 << 30))


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    os._exit(3)


def fail() -> float:
    return 1 / 0


def print_and_echo(value: str) -> str:
    print("a library's own words")
    os.write(1, b"and more\n")
    return value


def write(path: str) -> str:
    try:
        Path(path).write_text("text")
    except OSError as error:
        return str(error.strerror)
    return "written"
