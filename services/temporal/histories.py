"""Histories of runs: exported when an experiment closes, so that they outlive the server's retention."""

from pathlib import Path

from temporalio.client import Client

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
