"""Undo: what was made goes, whatever happens to the run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

Action = Callable[[], Awaitable[None]]


async def uninterrupted(task: "asyncio.Task[Any]") -> None:
    """Wait until the task has ended, however often the waiting is cancelled.

    The task's own result or failure stays in it; what is no failure of a step, but a mistake in this code, is raised.
    """
    while not task.done():
        try:
            await asyncio.shield(task)
        except (asyncio.CancelledError, FailureError):
            continue


class Undo:
    """A stack of undos, registered *before* the act, run newest first.

    An undo is idempotent and tolerates that nothing was made. Its activity retries without an attempt cap; where one
    fails for good all the same, the others still run, and `problems` says so.
    """

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}
        self.problems: list[str] = []

    def register(self, name: str, action: Action) -> None:
        self._actions[name] = action

    async def run(self, only: str = "") -> None:
        """Run all undos, or those whose name begins with `only`; a cancel that arrives meanwhile changes nothing."""
        names = [name for name in reversed(self._actions) if name.startswith(only)]
        await uninterrupted(asyncio.create_task(self._run(names)))

    async def _run(self, names: list[str]) -> None:
        for name in names:
            action = self._actions.pop(name, None)
            if action is None:
                continue
            try:
                await action()
            except FailureError as error:
                workflow.logger.error("undo failed: %s: %s", name, error.cause or error)
                self.problems.append(f"{name}: {error.cause or error}")
