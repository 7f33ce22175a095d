"""The same backtest, its result returned and everything made for it gone, in every way side by side.

    make bench-sandbox                     # 100 sequential, 16 parallel each; about half an hour on two cores
    python -m bench.sandbox --quick        # fewer of the slow ways; the table says how many

Writes the section `sandbox` of docs/performance.md.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import docker

from bench.machine import described, replace_section
from bench.ways import (
    BARS,
    STRATEGY,
    DockerPy,
    DockerRun,
    InProcess,
    LlmPool,
    LlmSandbox,
    Ours,
    Subprocess,
    SweRex,
    Trades,
    Way,
    build_image,
    left_over,
)
from schemas.sandbox import TrialOrder
from services.sandboxes import SandboxUnavailable

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
PARALLEL = 16
WARM_UP = 2
PATIENCE = 180.0
"""Seconds for one batch of parallel trials."""
_PACKAGES = {LlmSandbox: "llm-sandbox", LlmPool: "llm-sandbox", SweRex: "swe-rex"}


@dataclass
class Measured:
    name: str
    sequential: list[float] = field(default_factory=list)
    results: list[float] = field(default_factory=list)
    """Until the trades were there, of the sequential ones."""
    bare: list[float] = field(default_factory=list)
    """Of the same backtest in this process, once between two of them: what they are compared with."""
    gone: list[float] = field(default_factory=list)
    """Until nothing was left."""
    parallel: list[float] = field(default_factory=list)
    asked: int = 0
    left: int = 0
    note: str = ""


def measure(way: Way, count: int, expected: Trades | None) -> Measured:
    measured, beside = Measured(way.name), InProcess()
    for number in range(WARM_UP + count):
        way.prepare(way.ready)  # at rest: what refilling costs is measured by itself
        bare, *_ = timed(beside)
        began = time.perf_counter()
        total, result, trades = timed(way)
        way.settle()
        gone = time.perf_counter() - began
        assert expected is None or trades == expected, f"{way.name} came to other trades"
        if number >= WARM_UP:
            measured.sequential.append(total)
            measured.results.append(result)
            measured.bare.append(bare)
            measured.gone.append(gone)
    if not way.single:
        measured.asked = PARALLEL
        way.prepare(PARALLEL)
        measured.parallel = side_by_side(way)
        way.settle()
    return measured


def timed(way: Way) -> tuple[float, float, Trades]:
    there: list[float] = []
    began = time.perf_counter()
    trades = way.trial(lambda: there.append(time.perf_counter()))
    return time.perf_counter() - began, there[0] - began, trades


def side_by_side(way: Way) -> list[float]:
    """Seconds of those that came to a result in time."""
    gate = threading.Barrier(PARALLEL)
    done: list[float] = []

    def one() -> None:
        gate.wait()
        try:
            done.append(timed(way)[0])
        except Exception as error:  # noqa: BLE001 - of others' libraries; counted and said
            print(f"  {way.name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)

    # daemons: one that hangs must not hold up the rest
    threads = [threading.Thread(target=one, daemon=True) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [*done]


def percentile(values: Sequence[float], share: float) -> float:
    """By linear interpolation, as `statistics.quantiles` does with its inclusive method."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


def table(rows: Sequence[Measured]) -> list[str]:
    lines = [
        "| way | n | p50 | p95 | p99 | until the result, p50 | × bare | until nothing is left, p50 | "
        "16 at once: p50 | p95 | p99 | left over |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if not row.sequential:
            lines.append(f"| {row.name} | 0 | {row.note} | | | | | | | | | |")
            continue
        shares = (0.5, 0.95, 0.99)
        alone = " | ".join(milliseconds(percentile(row.sequential, share)) for share in shares)
        until = statistics.median(row.results)
        if row.parallel:
            crowd = " | ".join(milliseconds(percentile(row.parallel, share)) for share in shares)
            if len(row.parallel) < row.asked:
                crowd += f" ({row.asked - len(row.parallel)} of {row.asked} failed)"
        else:
            crowd = " | | " if not row.asked else f"all {row.asked} failed | | "
        ratio = f"{until / statistics.median(row.bare):.1f}"
        lines.append(
            f"| {row.name} | {len(row.sequential)} | {alone} | {milliseconds(until)} | {ratio} | "
            f"{milliseconds(statistics.median(row.gone))} | {crowd} | {row.left} |"
        )
    return lines


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def ways(scratch: Path) -> Sequence[Callable[[], Way]]:
    made: list[Callable[[], Way]] = [InProcess, lambda: Subprocess(scratch), DockerRun, DockerPy]
    made += [LlmSandbox, LlmPool, SweRex]

    def ours(provider: str, warm: bool, runtime: str) -> Callable[[], Way]:
        place = scratch / f"{provider}-{runtime}-{warm}"
        return lambda: Ours(provider, place, warm=warm, runtime=runtime)

    for provider, runtime in (("bubblewrap", ""), ("docker", ""), ("docker", "runsc")):
        made += [ours(provider, False, runtime), ours(provider, True, runtime)]
    return made


@dataclass
class Stocked:
    """What one provider's stock does."""

    name: str
    refill: float
    """Sandboxes a second, one made after the other."""
    sustained: float
    """Trials a minute, a fresh sandbox each."""
    idle: float | None
    used: float | None
    """MB of one sandbox: started; after a trial."""
    left: int
    """Sandboxes a few seconds after kill -9 of their worker, of which there were `held`."""
    held: int


def stocked(provider: str, scratch: Path, seconds: float) -> Stocked:
    way = Ours(provider, scratch / "stock", warm=True)
    began = time.perf_counter()
    way.prepare(way.ready)
    refill = way.ready / (time.perf_counter() - began)
    sandbox = way.manager.lease("bench-memory")
    sandbox.run(["true"], timeout=20)  # Docker's counters come with an answer
    idle = sandbox.peak_memory_mb()
    sandbox.put({"strategy.py": STRATEGY.encode(), "bars.csv": BARS})
    sandbox.trial(TrialOrder(code="strategy.py", entrypoint="Reversal", data="bars.csv"), timeout=60)
    used = sandbox.peak_memory_mb()
    way.manager.release("bench-memory")
    way.close()
    way = Ours(provider, scratch / "sustained", warm=True)
    way.ready = 2
    way.manager._stock.ready = 2  # the stock of a small host
    way.prepare(2)
    end = time.monotonic() + seconds

    def work(_: int) -> int:
        count = 0
        while time.monotonic() < end:
            way.trial(lambda: None)
            count += 1
        return count

    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        count = sum(pool.map(work, range(2)))
    sustained = 60 * count / (time.monotonic() - began)
    way.close()
    held, left = killed(provider, scratch / "killed")
    return Stocked(way.provider.name, refill, sustained, idle, used, left, held)


OWNER = """
import sys
from pathlib import Path
from bench.ways import Ours
way = Ours(sys.argv[1], Path(sys.argv[2]), warm=True)
way.manager._stock.ready = 2
leases = [way.manager.lease(f"killed-{number}") for number in range(3)]
way.prepare(2)
print("up", flush=True)
leases[0].run(["sleep", "600"], timeout=900)
"""


def killed(provider: str, place: Path) -> tuple[int, int]:
    """How many sandboxes a worker held when it was killed, and how many were there five seconds later."""
    argv = [sys.executable, "-c", OWNER, provider, str(place)]
    owner = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    watching = Ours(provider, place, warm=False)
    held = len(watching.provider.list())
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    time.sleep(5)
    left = len(watching.provider.list())
    watching.close()
    return held, left


def stock_table(found: Sequence[Stocked]) -> list[str]:
    lines = [
        "| stock of | refill, one after the other | sustained, 2 at a time | memory, started | after a trial | "
        "left after kill -9 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found:
        idle, used = (f"{value:.0f} MB" if value else "not counted" for value in (row.idle, row.used))
        lines.append(
            f"| {row.name} | {row.refill:.1f} a second | {row.sustained:.0f} trials a minute | {idle} | {used} | "
            f"{row.left} of {row.held} |"
        )
    return lines


def verdict(rows: Sequence[Measured]) -> list[str]:
    """The aims, each with what was measured."""
    until = {row.name: statistics.median(row.results) for row in rows if row.results}
    whole = {row.name: statistics.median(row.sequential) for row in rows if row.sequential}
    gone = {row.name: statistics.median(row.gone) for row in rows if row.gone}
    bare = {row.name: statistics.median(row.bare) for row in rows if row.bare}
    alone, run = whole[InProcess.name], whole.get(DockerRun.name)
    lines = []
    for provider in ("bubblewrap", "docker"):
        warm, cold = f"Genesis, {provider}, warm", f"Genesis, {provider}, cold"
        if warm not in until or run is None:
            continue
        lines.append(
            f"- {provider}: warm, the result is there after {until[warm] / bare[warm]:.1f} times the bare in-process "
            f"backtest beside it (aim: 2), {until[warm] / alone:.1f} times that of the first row. "
            f"`docker run --rm` takes {run / whole[warm]:.0f} times as long as the whole up to the "
            f"release, in which everything that ran has ended (aim: 20), and {run / gone[warm]:.0f} times as long as "
            f"until nothing is left. Cold takes {whole[cold] / run:.2f} of `docker run --rm` (aim: 1)."
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="sequential trials of each way (100)")
    parser.add_argument(
        "--slow-count", type=int, help="of those that take about a second or more (as --count)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="as --slow-count 15, and a shorter sustained run"
    )
    parser.add_argument("--print-only", action="store_true", help="leave docs/performance.md as it is")
    parser.add_argument(
        "--only", default="", help="only ways whose name holds this text, beside the bare one"
    )
    options = parser.parse_args()
    slow_count = options.slow_count or (15 if options.quick else options.count)
    machine = described("pandas", "backtesting", "TA-Lib", "docker")
    engine = docker.from_env().version()["Version"]
    build_image()
    left_over()
    rows: list[Measured] = []
    expected: Trades | None = None
    with tempfile.TemporaryDirectory(prefix="genesis-bench-", ignore_cleanup_errors=True) as place:
        scratch = Path(place)
        for make in ways(scratch):
            row = one_way(make, options.count, slow_count, expected, options.only)
            if row is None:
                continue
            row.left = leavings()
            rows.append(row)
            if expected is None:
                expected = InProcess().trial(lambda: None)
            print(f"{row.name}: n={len(row.sequential)} {row.note}", file=sys.stderr, flush=True)
        found = [
            stocked(name, scratch / name, 10 if options.quick else 30) for name in ("bubblewrap", "docker")
        ]
    text = "\n".join(
        [
            "p50, p95 and p99: from asking until the caller goes on, with everything that ran for it ended; *until the "
            "result* and *× bare* leave the end out; the bare one is run between "
            "every two of each way. *Until nothing is left* waits for what goes on after that: "
            "Docker's daemon removes our empty container in the background. The job: backtesting.py's GOOG, 2,148 "
            "daily bars, RSI(14). Everybody's trades are compared with the bare ones. Warm leases come from the stock, "
            "which is full and at rest before each; no sandbox of Genesis serves twice. The others find code and "
            "data in their image; Genesis is sent both each time.",
            "",
            *table(rows),
            "",
            *stock_table(found),
            "",
            *verdict(rows),
            "",
            f"Measured by `python -m bench.sandbox{' --quick' if options.quick else ''}` (`make bench-sandbox` takes "
            f"100 of each) on {machine}; Docker {engine}; load after: {os.getloadavg()[0]:.1f}.",
        ]
    )
    print(text)
    if not options.print_only:
        replace_section(DOCUMENT, "sandbox", text)
    # threads of others' libraries may hang; what is ours is closed
    sys.stdout.flush()
    os._exit(0)


def one_way(
    make: Callable[[], Way], count: int, slow_count: int, expected: Trades | None, only: str
) -> Measured | None:
    """None where it wasn't asked for; a row that says why where it can't be measured here."""
    kind = make if isinstance(make, type) else None
    try:
        way = make()
    except (SandboxUnavailable, ImportError) as error:
        name = (
            getattr(kind, "name", "Genesis, docker under runsc").replace("{version}", "").replace("  ", " ")
        )
        return None if only and only not in name else Measured(name, note=f"not measured: {error}")
    try:
        if only and only not in way.name and not isinstance(way, InProcess):
            return None
        row = measure(way, slow_count if way.slow else count, expected)
        if (package := _PACKAGES.get(type(way))) is not None:
            row.name = row.name.format(version=_version(package))
        return row
    except Exception as error:
        if isinstance(way, Ours | InProcess | Subprocess):
            raise  # another's failure is a row, ours is the end of the run
        return Measured(
            way.name.format(version=_version(_PACKAGES.get(type(way), ""))),
            note=f"failed: {type(error).__name__}: {str(error)[:120]}",
        )
    finally:
        way.close()


def leavings() -> int:
    time.sleep(2)  # a removal that is under way is none that was forgotten
    return left_over()


def _version(package: str) -> str:
    try:
        return version(package) if package else ""
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
