"""The child's side: one order a line on stdin, one answer a line on stdout, until stdin ends."""

import importlib
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from services.collector import relax

READY = b"ready\n"


def serve(limits: dict[str, Any], functions: Sequence[str]) -> None:
    """After READY, answers are {"value": …}, {"raised": text} or {"memory": true}; after the last, the process ends."""
    relax()
    table = {name: _load(name) for name in functions}
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)  # a library that prints must not break the protocol
    _confine(limits["memory_mb"] << 20)
    answers.write(READY)
    answers.flush()
    for line in sys.stdin.buffer:
        _allow_cpu(limits["cpu_seconds"])
        try:
            name, arguments = json.loads(line)
            answer = json.dumps({"value": table[name](*arguments)})
        except MemoryError:
            answer = '{"memory": true}'
        except Exception:  # noqa: BLE001 - told to the parent, who raises
            answer = json.dumps({"raised": traceback.format_exc(limit=-20)[-4000:]})
        answers.write(answer.encode() + b"\n")
        answers.flush()


def _load(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return loaded


def _confine(memory: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def _allow_cpu(seconds: int) -> None:
    """Each call has its own: the soft limit moves on with what was used; beyond it comes SIGXCPU, which kills."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]), sys.argv[2:])
