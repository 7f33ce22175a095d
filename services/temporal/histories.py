"""Histories of runs: exported when an experiment closes, so that they outlive the server's retention."""

from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from schemas.steps import HistoryExport
from services.artifacts import Artifacts


class Histories:
    def __init__(self, client: Client, artifacts: Artifacts, root: Path) -> None:
        self._client = client
        self._artifacts = artifacts
        self._root = root

    async def export(self, experiment_id: str) -> HistoryExport:
        """Write the run's history so far to `<root>/<experiment_id>.json`; repeated, it is written anew."""
        history = await self._client.get_workflow_handle(experiment_id).fetch_history()
        data = history.to_json().encode()
        self._root.mkdir(parents=True, exist_ok=True)
        target = self._root / f"{experiment_id}.json"
        scratch = target.with_suffix(".tmp")
        scratch.write_bytes(data)
        scratch.replace(target)
        return HistoryExport(history=self._artifacts.put(data))

    async def read(self, experiment_id: str) -> tuple[WorkflowHistory, str] | None:
        """The history and where it came from: the server while it has it, else the exported file; None for neither."""
        try:
            return await self._client.get_workflow_handle(experiment_id).fetch_history(), "the server"
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        target = self._root / f"{experiment_id}.json"
        if not target.is_file():
            return None
        return WorkflowHistory.from_json(experiment_id, target.read_text()), str(target)
