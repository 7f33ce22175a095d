"""Time of RSI_Reversal from its start to its merge with a worker already up, and where it goes.

    make bench            # 20 experiments one after the other; writes docs/performance.md

The times are the Temporal server's own: an event's time in the history. *Work* is the time an activity's code ran;
what is left of a step is *orchestration*: queues, the server's writes, workflow tasks. Records are written beside the
story and hold nothing up.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.machine import described, replace_section
from domain.holdout import held_back
from schemas.experiment import ExperimentRequest, ExperimentStatus
from schemas.holdout import Holdout
from services.artifacts import Artifacts
from services.definitions import load_definition
from services.market_data import MarketData
from services.settings import Settings
from services.temporal.connect import is_served
from services.temporal.server import embedded_server
from workflows.experiment import StrategyExperiment

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
STORY = {
    "generate_code": "generate",
    "validate_code": "validate",
    "lease_sandbox": "try out: lease",
    "try_out": "try out: trials and gates",
    "open_holdout": "weigh: holdout",
    "weigh_result": "weigh: tries and windows",
    "merge_strategy": "merge",
}
WARM_UP = 2


@dataclass
class Timing:
    """Seconds of one experiment."""

    total: float
    work: dict[str, float]

    @property
    def orchestration(self) -> float:
        return self.total - sum(self.work.values())


async def timing_of(client: Client, experiment_id: str) -> Timing:
    """From the run's start to the end of its merge, by the history's own times."""
    events: list[HistoryEvent] = [
        event async for event in client.get_workflow_handle(experiment_id).fetch_history_events()
    ]
    names: dict[int, str] = {}
    begun: dict[int, float] = {}
    work: dict[str, float] = defaultdict(float)
    start, end = _seconds(events[0]), 0.0
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            begun[event.activity_task_started_event_attributes.scheduled_event_id] = _seconds(event)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            scheduled = event.activity_task_completed_event_attributes.scheduled_event_id
            name = names[scheduled]
            if name in STORY and not end:
                work[STORY[name]] += _seconds(event) - begun[scheduled]
            if name == "merge_strategy":
                end = _seconds(event)
    return Timing(total=end - start, work=dict(work))


def _seconds(event: HistoryEvent) -> float:
    return event.event_time.ToNanoseconds() / 1e9


async def measure(home: Path, count: int) -> list[Timing]:
    settings = Settings(home=home, task_queue="bench")
    definition = load_definition("RSI_Reversal", root=ROOT / "strategies").definition
    market = MarketData(Artifacts(home / "artifacts"))
    whole = market.load(definition.symbol)
    held = held_back(whole.bars, 0.2)
    data, holdout = market.hold_back(whole, held), Holdout(whole=whole, bars=held)
    async with embedded_server(home / "temporal" / "temporal.db", port=0) as server:
        client = await Client.connect(server.address, data_converter=pydantic_data_converter)
        env = os.environ | {
            "GENESIS_HOME": str(home),
            "GENESIS_TASK_QUEUE": "bench",
            "TEMPORAL_ADDRESS": server.address,
        }
        with (home / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "worker.py"], cwd=ROOT, env=env, stdout=log, stderr=log
            )
        try:
            while not await is_served(client, settings.queue):
                if worker.poll() is not None:
                    raise RuntimeError(f"the worker ended: {(home / 'worker.log').read_text()[-2000:]}")
                await asyncio.sleep(0.1)
            timings = []
            for number in range(WARM_UP + count):
                request = ExperimentRequest(
                    experiment_id=f"bench-{number}", definition=definition, data=data, holdout=holdout
                )
                handle = await client.start_workflow(
                    StrategyExperiment.run, request, id=request.experiment_id, task_queue=settings.queue
                )
                result = await handle.result()
                assert result.status is ExperimentStatus.MERGED, result.reason
                if number >= WARM_UP:
                    timings.append(await timing_of(client, request.experiment_id))
            return timings
        finally:
            worker.terminate()
            worker.wait(30)


def table(timings: list[Timing]) -> str:
    totals = sorted(timing.total for timing in timings)
    median = statistics.median(totals)
    rows = [
        (step, statistics.median(timing.work.get(step, 0.0) for timing in timings)) for step in STORY.values()
    ]
    rows.append(("orchestration", statistics.median(timing.orchestration for timing in timings)))
    lines = ["| step | median, s | share |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {seconds:.3f} | {seconds / median:.0%} |" for name, seconds in rows]
    lines += [f"| **start to merge** | **{median:.3f}** | |"]
    p95 = totals[min(len(totals) - 1, round(0.95 * len(totals)))]
    return "\n".join(
        [*lines, "", f"Fastest {totals[0]:.3f} s, 95th percentile {p95:.3f} s of {len(totals)} runs."]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", "--count", type=int, default=20)
    parser.add_argument("--print-only", action="store_true", help="leave docs/performance.md as it is")
    options = parser.parse_args()
    machine = described("temporalio", "backtesting", "pandas")
    with tempfile.TemporaryDirectory() as scratch:
        timings = asyncio.run(measure(Path(scratch), options.count))
    text = f"{table(timings)}\n\nMeasured by `make bench` on {machine}."
    print(text)
    if not options.print_only:
        replace_section(DOCUMENT, "experiment", text)


if __name__ == "__main__":
    main()
