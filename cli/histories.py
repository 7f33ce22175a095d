"""Finding the history of a run, and replaying it."""

import logging
import re
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseError
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.worker import Replayer

from cli.output import CommandError
from cli.reading import read_bytes
from cli.records import matching
from services.artifacts import Artifacts
from services.settings import Settings
from services.temporal.connect import TemporalUnreachable, connection
from services.temporal.histories import Histories
from workflows.experiment import StrategyExperiment

MOST_BYTES = 256 << 20
_EVENT = re.compile(r"HistoryEvent\(id: (\d+), (\w+)\)")


async def find_history(experiment: str) -> tuple[WorkflowHistory, str]:
    """The run's history and where it comes from: the server while it has it, else the exported file.

    The embedded server is started only where no other way is left.
    """
    settings = Settings()
    experiment_id = (matching(experiment) or [experiment])[0]
    exported = settings.home / "histories" / f"{experiment_id}.json"
    has_file = "/" not in experiment_id and exported.is_file()
    try:
        found = await _from_server(settings, experiment_id, may_embed=not has_file and _has_database(settings))
    except TemporalUnreachable:
        found = None
    if found is None and has_file:
        found = history_in(exported, experiment_id), str(exported)
    if found is None:
        raise CommandError(
            f"there is no history of '{experiment_id}': no server has it, and {exported} isn't there; see: python "
            "starter.py list"
        )
    return found


async def _from_server(
    settings: Settings, experiment_id: str, may_embed: bool
) -> tuple[WorkflowHistory, str] | None:
    async with connection(settings, may_embed=may_embed) as link:
        histories = Histories(link.client, Artifacts(settings.home / "artifacts"), settings.home / "histories")
        return await histories.read(experiment_id)


def _has_database(settings: Settings) -> bool:
    return (settings.home / "temporal" / "temporal.db").is_file()


def history_in(path: Path, workflow_id: str) -> WorkflowHistory:
    """The history in a JSON file, as Genesis, the Web UI or `temporal workflow show -o json` write it."""
    try:
        history = WorkflowHistory.from_json(workflow_id, read_bytes(path, most=MOST_BYTES).decode("utf-8-sig"))
    except (ValueError, ParseError, TypeError, AttributeError, KeyError, RecursionError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CommandError(f"{path}: this is not a workflow's history ({said})") from error
    if not history.events:
        raise CommandError(f"{path}: this history has no events")
    return history


async def replayed(history: WorkflowHistory) -> dict[str, Any]:
    """Whether the history holds; if not, what differs and at which event."""
    # What the replay finds is told once, by us.
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off"))), error_if_already_set=False
    )
    logging.getLogger("temporalio").setLevel(logging.CRITICAL + 1)
    replayer = Replayer(workflows=[StrategyExperiment], data_converter=pydantic_data_converter)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = result.replay_failure
    return {
        "holds": failure is None,
        "events": len(history.events),
        "event": _event(history, str(failure)) if failure else None,
        "problem": str(failure) if failure else None,
    }


def _event(history: WorkflowHistory, said: str) -> dict[str, Any] | None:
    """The recorded event that the failure names."""
    named = _EVENT.search(said)
    for event in history.events:
        if named and event.event_id == int(named[1]):
            kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()
            return {"id": event.event_id, "type": kind, "time": event.event_time.ToDatetime().isoformat() + "Z"}
    return None
