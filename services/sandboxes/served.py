"""A sandbox served by the harness: the contract's calls turned into orders, its answers into results.

Providers add how it is started and how it is killed. What comes back is bounded and checked for form here; trades
remain a claim.
"""

import json
import math
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from schemas.sandbox import Entry, Limits, RunResult, SandboxInfo, TrialError, TrialOrder, TrialResult
from services.sandboxes.contract import OnWait, SandboxLost, SandboxRefusal
from services.sandboxes.wire import Wire, WireClosed, WireTimeout

GRACE = 5.0
"""Seconds that the harness gets to end a command by itself, before the whole sandbox is killed."""
FILES = 120.0
"""Seconds for moving one piece of a file."""
PIECE = 8 << 20
MOST_BYTES = 64 << 20
MOST_ARGV = 512 << 10
"""In a frame's head, where a character may take six; Linux itself takes 2 MB."""
MOST_TRADES = 200_000
MOST_PARTS = 2_000_000
"""Lists and objects in a report: each takes some thirty times its bytes to read. The longest honest one has fewer."""
LEVELS = 4
"""Of lists in lists, in what a trial reports: pages, a page, its orders, an order."""
_MEMORY = re.compile(r"^((numpy\..*|[\w.]*)MemoryError\b|OSError: \[Errno 12\])", re.MULTILINE)
_ENTRIES = TypeAdapter(list[Entry])


@dataclass(frozen=True)
class Counters:
    """What a cgroup has counted so far; zeros where there is none."""

    oom_kills: int = 0
    refused_forks: int = 0


SERVER_MEMORY = 256 << 20
"""Bytes for the preloaded interpreter, beside what a trial may use."""
LIFE = 4 * 3600.0
"""Seconds after which a sandbox ends by itself. Longer than any step in it; what still waits is done anew elsewhere."""
SCRATCH = ("/tmp", "/dev/shm")  # noqa: S108 - places of the sandbox
SMALL = 16 << 20
"""Bytes of each of them."""


def whole_memory(limits: Limits) -> int:
    """Bytes for the sandbox as a whole: processes, files (they live in memory), captured output, the harness."""
    return ((limits.memory_mb + limits.disk_mb) << 20) + (limits.output_kb << 11) + 2 * SMALL + SERVER_MEMORY


def harness_config(
    limits: Limits,
    life: float,
    *,
    workspace: str,
    libraries: Sequence[str],
    user: int | None,
    own_user: bool,
    bounded: bool,
) -> str:
    """The harness's one argument (harness.confine.Config)."""
    return json.dumps(
        {
            "libraries": [*libraries],
            "workspace": workspace,
            "memory": limits.memory_mb << 20,
            "processes": limits.processes,
            "disk": limits.disk_mb << 20,
            "output": limits.output_kb << 10,
            "user": user,
            "own_user": own_user,
            "scratch": SCRATCH,
            "bounded": bounded,
            "life": life,
        }
    )


class ServedSandbox(ABC):
    """The contract's Sandbox, on a Wire."""

    def __init__(self, info: SandboxInfo, limits: Limits, wire: Wire) -> None:
        self._info = info
        self._limits = limits
        self._wire = wire
        self._call = threading.RLock()
        self._end = threading.Lock()
        self._ended = False
        self._lost = False
        self._largest_kb = 0

    @property
    def info(self) -> SandboxInfo:
        return self._info

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def alive(self) -> bool:
        return not self._ended and self._is_alive()

    def put(self, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            pieces = [content[start : start + PIECE] for start in range(0, len(content), PIECE)] or [b""]
            for number, piece in enumerate(pieces):
                self._order({"do": "put", "path": path, "append": number > 0}, piece, FILES)

    def read(self, path: str, *, max_bytes: int) -> bytes:
        if not 0 <= max_bytes <= MOST_BYTES:
            raise ValueError(f"max_bytes is {max_bytes}; allowed are 0 to {MOST_BYTES}")
        return self._order({"do": "read", "path": path, "limit": max_bytes}, b"", FILES)[1]

    def list(self, *, limit: int = 1000) -> Sequence[Entry]:
        if not 1 <= limit <= 10_000:
            raise ValueError(f"limit is {limit}; allowed are 1 to 10000")
        answer, _ = self._order({"do": "list", "limit": limit}, b"", FILES)
        return _ENTRIES.validate_python(answer.get("entries"))

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        on_wait: OnWait | None = None,
    ) -> RunResult:
        if isinstance(argv, str) or not argv or any("\0" in part for part in argv):
            raise ValueError(
                "argv is empty, a single text, or holds a NUL; give the command as a list of arguments"
            )
        if (size := sum(len(part.encode(errors="surrogatepass")) for part in argv)) > MOST_ARGV:
            raise ValueError(f"argv holds {size} bytes, at most {MOST_ARGV} are allowed; put a file instead")
        if len(stdin) > MOST_BYTES:
            raise ValueError(
                f"stdin holds {len(stdin)} bytes, at most {MOST_BYTES} are allowed; put a file instead"
            )
        order = {"do": "run", "argv": [*argv], "timeout": timeout, "environment": dict(env or {})}
        return self._execute(order, stdin, timeout, on_wait)[0]

    def trial(
        self,
        order: TrialOrder,
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        on_wait: OnWait | None = None,
    ) -> TrialResult:
        asked = {"do": "trial", "timeout": timeout, "environment": dict(env or {})} | order.model_dump()
        run, report, whole = self._execute(asked, b"", timeout, on_wait)
        return _trial_result(run, report, whole)

    def prepare(self) -> None:
        self._order({"do": "prepare"}, b"", FILES)

    def peak_memory_mb(self) -> float | None:
        return self._peak_memory_mb() or (self._largest_kb / 1024 or None)

    def destroy(self) -> None:
        with self._end:
            if not self._ended:
                self._ended = True
                if not self._leave():
                    self._kill()
                with self._call:  # a call under way in another thread sees the stream end first
                    self._remove()

    def _execute(
        self, order: dict[str, Any], stdin: bytes, timeout: float, on_wait: OnWait | None
    ) -> tuple[RunResult, bytes, bool]:
        """The result, the report, and whether the report is whole."""
        if not 0 < timeout <= 86_400:
            raise ValueError(f"timeout is {timeout:g} s; allowed is more than 0 and at most 86400")
        before, gone, began = self._counters(), self._lost, time.time()
        try:
            answer, body = self._order(order, stdin, timeout + GRACE, on_wait)
        except WireTimeout:
            return RunResult(exit_code=None, timed_out=True, seconds=timeout + GRACE), b"", False
        except SandboxLost:
            if self._ended or gone or not self._died_of_memory(before, began):
                raise
            return RunResult(exit_code=None, signal=9, out_of_memory=True), b"", False
        after = self._counters()
        out, err, report = _cut(body, answer["lengths"])
        self._largest_kb = max(self._largest_kb, answer["peak_kb"], answer["sandbox_peak_kb"])
        stderr = err.decode(errors="replace")
        failed = answer["exit_code"] != 0
        run = RunResult(
            exit_code=answer["exit_code"],
            signal=answer["signal"],
            stdout=out.decode(errors="replace"),
            stderr=stderr,
            seconds=answer["seconds"],
            peak_memory_mb=round(answer["peak_kb"] / 1024, 1) or None,
            timed_out=answer["timed_out"],
            out_of_memory=answer["out_of_memory"]
            or after.oom_kills > before.oom_kills
            or (failed and bool(_MEMORY.search(stderr[-4000:]))),
            output_truncated=answer["output_truncated"],
            too_many_processes=answer["too_many_processes"] or after.refused_forks > before.refused_forks,
            disk_full=answer["disk_full"],
        )
        return run, report, not answer["report_truncated"]

    def _order(
        self, order: dict[str, Any], body: bytes, timeout: float, on_wait: OnWait | None = None
    ) -> tuple[dict[str, Any], bytes]:
        with self._call:
            if self._ended:
                raise SandboxLost(f"sandbox {self._info.sandbox_id} was destroyed; lease a new one")
            try:
                answer, content = self._wire.exchange(order, body, timeout, on_wait)
            except WireClosed as error:
                self._lost = True
                self._kill()
                raise SandboxLost(
                    f"sandbox {self._info.sandbox_id} died while it carried out '{order['do']}' ({error}); "
                    "lease a new one and redo the step"
                ) from error
            except WireTimeout:
                self._kill()
                if "timeout" in order:
                    raise
                raise SandboxLost(
                    f"sandbox {self._info.sandbox_id} didn't answer '{order['do']}' within {timeout:g} s and was "
                    "ended; lease a new one and redo the step"
                ) from None
            except BaseException:
                # on_wait asked to stop: the answer would come when nobody expects it
                self._kill()
                raise
        if not answer.get("ok"):
            raise SandboxRefusal(str(answer.get("kind")), str(answer.get("message")))
        return answer, content

    def _died_of_memory(self, before: Counters, began: float) -> bool:
        """Whether a call that began then, with these counters, took the sandbox with it."""
        return self._counters().oom_kills > before.oom_kills

    def _leave(self) -> bool:
        """Whether everything in it has ended without `_kill`."""
        return False

    @abstractmethod
    def _kill(self) -> None:
        """End every process of the sandbox and wait for that. Idempotent, from any thread."""

    @abstractmethod
    def _remove(self) -> None:
        """Remove what outlives its processes. Called once, after `_kill`."""

    @abstractmethod
    def _is_alive(self) -> bool: ...

    def _counters(self) -> Counters:
        return Counters()

    def _peak_memory_mb(self) -> float | None:
        return None


def _cut(body: bytes, lengths: list[int]) -> list[bytes]:
    parts, start = [], 0
    for length in lengths:
        parts.append(body[start : start + length])
        start += length
    return parts


def _trial_result(run: RunResult, report: bytes, whole: bool) -> TrialResult:
    """What the child reported, read with suspicion: it shares its process with untrusted code."""
    # the harness writes one line or two; what stands between the first and the last isn't its own
    lines = report.strip(b"\n")
    head = lines.partition(b"\n")[0][:100]
    stage: Literal["load", "run"] = "run" if _record(head).get("stage") == "run" else "load"
    line = lines.rpartition(b"\n")[2]
    parts = line.count(b"[") + line.count(b"{")
    last = _record(line) if whole and parts <= MOST_PARTS else {}
    if run.timed_out:
        return _failed(run, stage, "Timeout", f"the trial was ended after {run.seconds:.1f} s")
    if isinstance(last.get("error"), dict):
        try:
            error = TrialError.model_validate(last["error"])
        except ValidationError:
            return _failed(run, stage, "BadReport", "the trial reported an error that can't be read")
        error = error.model_copy(
            update={"type": _text(error.type, 200), "message": _text(error.message, 2000)}
        )
        if _MEMORY.match(f"{error.type}: {error.message}"):
            run = run.model_copy(update={"out_of_memory": True})
        return TrialResult(run=run, error=error)
    if run.out_of_memory:
        return _failed(run, stage, "OutOfMemory", "the trial used more memory than its sandbox has")
    if not whole:
        return _failed(run, stage, "TooManyTrades", "the trial reported more than 32 MiB")
    formless = "the trial's report isn't of the form that the harness gives it"
    if parts > MOST_PARTS:
        return _failed(run, stage, "BadReport", formless)
    trades = last.get("trades")
    if trades is None:
        how = f"signal {run.signal}" if run.signal else f"exit code {run.exit_code}"
        return _failed(
            run, stage, "NoReport", f"the trial's process ended ({how}) before it reported any trades"
        )
    if not isinstance(trades, list) or not all(isinstance(trade, dict) for trade in trades):
        return _failed(run, stage, "BadReport", "the trial reported something that is no list of trades")
    if len(trades) > MOST_TRADES:
        return _failed(run, stage, "TooManyTrades", f"{len(trades)} trades; at most {MOST_TRADES} are read")
    claims = {name: last[name] for name in ("open", "book", "stats", "indicators") if name in last}
    if _is_nested(list(claims.values()), 1 + LEVELS):
        return _failed(run, stage, "BadReport", formless)
    try:
        return TrialResult(run=run, trades=[_plain(trade) for trade in trades], **claims)
    except ValidationError:
        return _failed(run, stage, "BadReport", formless)
    except ValueError as error:
        return _failed(run, stage, "BadReport", f"the trial reported a trade that is none: {error}")


def _record(line: bytes) -> dict[str, Any]:
    """One line of the report; empty where it is none."""
    with suppress(ValueError, RecursionError):
        # NaN and the infinities become null: the judge's models refuse them by field
        record = json.loads(line, parse_constant=lambda _: None)
        if isinstance(record, dict):
            return record
    return {}


def _is_nested(value: object, levels: int) -> bool:
    """Whether lists and objects lie in each other on more than so many levels."""
    if not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_nested(item, levels - 1) for item in inner)


def _text(text: str, most: int) -> str:
    """Of bounded length, and such that it can be written: half a character (a surrogate) can't."""
    return text[:most].encode(errors="replace").decode()


def _plain(trade: dict[str, Any]) -> dict[str, Any]:
    """A trade's fields as numbers and short texts. Raises ValueError."""
    if len(trade) > 20:
        raise ValueError(f"it has {len(trade)} fields")
    for key, value in trade.items():
        if isinstance(value, float) and not math.isfinite(value):
            trade[key] = None
        elif not (
            value is None
            or isinstance(value, bool | float)
            or (isinstance(value, int) and abs(value) < 1 << 63)
            or (isinstance(value, str) and len(value) <= 100 and value.isprintable())
        ):
            raise ValueError(f"its field {key[:40]!a} is neither a number nor a short text")
    return trade


def _failed(run: RunResult, stage: Literal["load", "run"], kind: str, message: str) -> TrialResult:
    return TrialResult(run=run, error=TrialError(stage=stage, type=kind, message=message))
