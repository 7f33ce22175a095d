"""The sweep, now: what experiments left behind is removed, and told."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.app import Json, app, finite
from cli.output import Exit, complain, err, out, print_json, table, told

if TYPE_CHECKING:
    from schemas.sweep import SweepReport, Swept

PATIENCE = 600.0
"""Seconds for a sweep as a whole."""


class SweepError(Exception):
    """Why there is no result."""


@app.command(rich_help_panel="Code and sandboxes")
def sweep(
    grace: Annotated[
        float,
        typer.Option(min=0.0, max=1e9, callback=finite, help="Seconds; what is younger is left alone."),
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Remove what experiments left behind that are no longer open: branches, sandboxes, leases, open records.

    Workers do this every ten minutes. Open is an experiment whose run is open in Temporal; nothing of it is touched.
    Exits 1 where something couldn't be looked at.
    """
    try:
        report = asyncio.run(_sweep(grace))
    except SweepError as error:
        raise typer.Exit(told(f"the sweep: {error}", Exit.FAILED, as_json=as_json)) from error
    if as_json:
        print_json(report)
    else:
        _show(report)
    raise typer.Exit(Exit.FAILED if report.problems else Exit.DONE)


async def _sweep(grace: float) -> "SweepReport":
    from temporalio.client import WorkflowFailureError
    from temporalio.common import WorkflowIDConflictPolicy

    from cli.session import session
    from cli.watching import UNSERVED_SECONDS
    from schemas.sweep import SweepRequest
    from services.settings import Settings
    from services.temporal.connect import is_served
    from workflows.sweep import Sweep

    settings = Settings()
    async with session(settings) as here:
        client = here.link.client
        if here.link.embedded or not await is_served(client, settings.queue):
            await here.serve()
        handle = await client.start_workflow(
            Sweep.run,
            SweepRequest(grace=grace),
            id=f"{settings.queue}-sweep-now",
            task_queue=settings.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary="asked for by starter.py sweep",
        )
        result = asyncio.ensure_future(handle.result())
        done, _ = await asyncio.wait([result], timeout=UNSERVED_SECONDS)
        if not done:
            # the server remembers workers for minutes after their end; one too many does no harm
            await here.serve()
            done, _ = await asyncio.wait([result], timeout=PATIENCE)
        if not done:
            result.cancel()
            raise SweepError(
                f"it has not ended within {PATIENCE:g} s and goes on: {here.link.run_url(handle.id)}"
            )
        try:
            return await result
        except WorkflowFailureError as error:
            cause = error.cause.__cause__ or error.cause
            raise SweepError(f"{cause}; see {here.link.run_url(handle.id)}") from error


def _show(report: "SweepReport") -> None:
    if report.removed:
        out.print(f"removed {len(report.removed)}:")
        _list(report.removed)
    else:
        out.print("nothing to remove")
    if report.kept:
        out.print(f"kept {len(report.kept)}:")
        _list(report.kept)
    several = f"{report.open_experiments} experiments that hold something are open and were left alone"
    one = "1 experiment that holds something is open and was left alone"
    err.print(one if report.open_experiments == 1 else several, style="dim")
    if report.silent_hosts:
        complain(
            f"no answer from {', '.join(report.silent_hosts)}; a worker there cleans up when it starts",
            "note",
        )
    if report.more:
        complain(f"{report.more} more are left for the next sweep; run it again", "note")
    for problem in report.problems:
        complain(problem, "note", "yellow")


def _list(found: "list[Swept]") -> None:
    table(
        ["kind", "name", "experiment", "why"],
        [(one.kind, one.name, one.experiment_id, one.reason) for one in found],
    )
