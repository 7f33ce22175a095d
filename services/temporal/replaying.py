"""Recorded histories, replayed against today's workflow code."""

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.json_format import ParseError
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from services.settings import Settings
from services.temporal.build import build_id
from services.temporal.connect import TemporalUnreachable, connection

MOST_BYTES = 256 << 20
"""Of a history in a file; servers end runs long before."""

_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)+)"')
_TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


class HistoryError(ValueError):
    """There is no history, or the file holds something else; says where it was looked for."""


@dataclass(frozen=True)
class DifferingEvent:
    """The recorded event that today's code doesn't lead to. `time` is ISO 8601 in UTC."""

    id: int
    type: str
    time: str


@dataclass(frozen=True)
class Replayed:
    """What a replay came to."""

    holds: bool
    events: int
    problem: str = ""
    event: DifferingEvent | None = None


def exported_file(settings: Settings, experiment_id: str) -> Path | None:
    """Where the history was exported to when the experiment closed; None where it wasn't, or not on this machine."""
    folder = settings.home / "histories"
    path = folder / f"{experiment_id}.json"
    return path if path.parent == folder and path.is_file() else None


async def find_history(settings: Settings, experiment_id: str) -> tuple[WorkflowHistory, str]:
    """The run's history and where it comes from: the server while it has it, else the exported file.

    The embedded server is started only where no other way is left. Raises HistoryError, and TemporalUnreachable where
    a server is named that doesn't answer and there is no file.
    """
    exported = exported_file(settings, experiment_id)
    asleep = exported is None and (settings.home / "temporal" / "temporal.db").is_file()
    try:
        async with connection(settings, may_embed=asleep) as link:
            return await link.client.get_workflow_handle(experiment_id).fetch_history(), "the server"
    except TemporalUnreachable:
        if exported is None:
            raise
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    if exported is None:
        raise HistoryError(
            f"there is no history of '{experiment_id}': the server doesn't have it, and {settings.home / 'histories'} "
            "holds no file of that name; see: python starter.py list"
        )
    return read_history(exported, experiment_id), str(exported)


def read_history(path: Path, workflow_id: str) -> WorkflowHistory:
    """The history in a JSON file, as Genesis, the Web UI or `temporal workflow show -o json` write it."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise HistoryError(f"{path}: can't be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise HistoryError(f"{path}: has more than {MOST_BYTES >> 20} MiB, too much for a history")
    try:
        history = WorkflowHistory.from_json(workflow_id, data.decode("utf-8-sig"))
    except (ValueError, ParseError, TypeError, AttributeError, LookupError, RecursionError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise HistoryError(f"{path}: this is not a workflow's history ({said})") from error
    if not history.events:
        raise HistoryError(f"{path}: this history has no events")
    return history


async def replay(history: WorkflowHistory, workflows: Sequence[type]) -> Replayed:
    """Execute the workflow code on the history. A difference is a value.

    Finds changed kinds, order and ids of commands, not changed inputs of steps. Raises HistoryError where the run had
    not begun.
    """
    begun = [event.event_id for event in history.events if event.event_type == _TASK_COMPLETED]
    if not begun:
        raise HistoryError(
            f"the history of {history.workflow_id} ends before the workflow's first task; nothing ran"
        )
    with _silence():
        replayer = Replayer(workflows=workflows, data_converter=pydantic_data_converter, build_id=build_id())

        async def failure(events: int) -> Exception | None:
            beginning = WorkflowHistory(history.workflow_id, history.events[:events])
            return (await replayer.replay_workflow(beginning, raise_on_replay_failure=False)).replay_failure

        problem = await failure(len(history.events))
        if problem is None:
            return Replayed(True, len(history.events))
        # The messages don't always name the event: it is the last of the shortest beginning that fails too.
        holds, fails = begun[0] - 1, len(history.events)
        while fails - holds > 1:
            middle = (holds + fails) // 2
            if await failure(middle):
                fails = middle
            else:
                holds = middle
    return Replayed(False, len(history.events), _in_words(problem), _described(history.events[fails - 1]))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What a replay finds is told once, by its caller, and not by the SDK's loggers too."""
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off"))), error_if_already_set=False
    )
    logger = logging.getLogger("temporalio")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _described(event: HistoryEvent) -> DifferingEvent:
    kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()
    return DifferingEvent(event.event_id, kind, f"{event.event_time.ToDatetime().isoformat()}Z")


def _in_words(problem: Exception) -> str:
    """The sentence in what the SDK's core says, which is a dump of its structures."""
    found = _MESSAGE.search(str(problem))
    return found[1].replace('\\"', '"') if found else str(problem)
