"""Functions called in a child process that has limits: of time, of memory, and of what a crash can take along.

For work on text that somebody else wrote. Our parsers and formatters are quick on honest text, but nobody can promise
that for every text, and a thread can't be ended from outside; a process can. Children are started once and used again,
so a call costs a pipe and not an import.
"""

import atexit
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal, cast

from pydantic import BaseModel

from services.bounded.child import READY

ROOT = Path(__file__).parents[2]
"""Where the packages lie: the child finds them there."""


class CallLimits(BaseModel):
    """What one call may use. Seconds of processor time are counted by the kernel: a busy machine changes nothing.
    Seconds of the clock are for the call that sleeps or waits for a processor."""

    cpu_seconds: int = 4
    seconds: float = 60.0
    memory_mb: int = 768
    """Address space of the whole child, interpreter and libraries included."""


class CallRefused(Exception):
    """A call used more than it may, or took its process down. The next call gets a new process.

    `kind` is 'time', 'memory' or 'crash' (the process ended by itself, for example by a stack overflow).
    """

    def __init__(self, kind: Literal["time", "memory", "crash"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


class BoundedCalls:
    """Calls of the given functions, named 'module:function', from any thread; at most `most` at once, others wait.

    The functions take and give what JSON can hold. What they raise is a fault of ours, and becomes a RuntimeError;
    what may go wrong with the text should be part of what they return.
    """

    def __init__(self, functions: Sequence[str], *, limits: CallLimits | None = None, most: int = 2) -> None:
        self._functions = list(functions)
        self._limits = limits or CallLimits()
        self._turns = threading.BoundedSemaphore(most)
        self._idle: list[_Child] = []
        self._lock = threading.Lock()
        atexit.register(self.close)

    def call(self, function: str, *arguments: object) -> Any:
        """What the function returns. Raises CallRefused."""
        order = json.dumps([function, arguments]).encode() + b"\n"
        with self._turns:
            answer = self._ask(order)
        if "raised" in answer:
            raise RuntimeError(f"{function} failed in its child process:\n{answer['raised']}")
        return answer["value"]

    def _ask(self, order: bytes) -> dict[str, Any]:
        while True:
            child, used = self._take()
            try:
                answer = child.answer(order)
            except CallRefused as refused:
                child.end()
                if refused.kind == "crash" and used:
                    continue  # it may have died while it was idle; a new one tells
                raise
            except BaseException:
                child.end()
                raise
            with self._lock:
                self._idle.append(child)
            return answer

    def close(self) -> None:
        """End the children that have nothing to do. Idempotent; a later call starts one again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def _take(self) -> tuple["_Child", bool]:
        """A child, and whether it has been used."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                child = self._idle.pop()
            if child.alive:
                return child, True
            child.end()
        return _Child(self._functions, self._limits), False


class _Child:
    def __init__(self, functions: list[str], limits: CallLimits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "services.bounded.child",
                limits.model_dump_json(),
                *functions,
            ],
            cwd=ROOT,
            env={
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
            },  # it needs no other, least of all a secret
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        if self._output.readline() != READY:
            self.end()
            raise RuntimeError(
                f"the child process for {', '.join(functions)} didn't start (exit code {self._process.returncode}); "
                "what it said stands in this process's error output"
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def answer(self, order: bytes) -> dict[str, Any]:
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._limits.seconds, end)
        timer.daemon = True
        timer.start()
        try:
            self._input.write(order)
            self._input.flush()
            line = self._output.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            answer = cast(dict[str, Any], json.loads(line))
            if "memory" not in answer:
                return answer
            raise CallRefused("memory", f"it needs more than {self._limits.memory_mb} MB of memory")
        code = self._process.wait()
        if late.is_set():
            raise CallRefused("time", f"it takes more than {self._limits.seconds:g} s")
        if code == -signal.SIGXCPU:
            raise CallRefused("time", f"it takes more than {self._limits.cpu_seconds} s of processor time")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise CallRefused("crash", f"it took its process down ({how})")

    def end(self) -> None:
        """Kill it and wait for that. Idempotent."""
        self._process.kill()
        for pipe in (self._input, self._output):
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was left to write needs no reader any more
        self._process.wait()
