"""Replaying a recorded history against today's workflow code."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.app import Json, app
from cli.output import CommandError, Exit, complain, out, print_json


@app.command(rich_help_panel="Look")
def replay(
    experiment: Annotated[
        str | None, typer.Argument(help="The experiment, by its id or the beginning of it.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="HISTORY.json", help="A history that was exported, instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Re-execute the recorded history of an experiment against today's workflow code.

    Says whether it still holds, or which event differs (exit code 1). Needs no server where the history was exported,
    which is done when an experiment closes. It finds changed steps and timers, not changed inputs of steps.
    """
    if (experiment is None) == (file is None):
        raise CommandError("name what to replay: either EXPERIMENT or --file HISTORY.json")
    from cli.histories import find_history, history_in, replayed

    if file is not None:
        history, source = history_in(file, file.stem), str(file)
    else:
        history, source = asyncio.run(find_history(experiment or ""))
    found = asyncio.run(replayed(history))
    if as_json:
        print_json({"experiment_id": history.workflow_id, "source": source, **found})
    elif found["holds"]:
        out.print(
            f"holds: {found['events']} events of {history.workflow_id} replay as they were recorded (from {source})",
            markup=False,
        )
    else:
        complain(f"{history.workflow_id} (from {source})", "differs")
        if event := found["event"]:
            out.print(f"at event {event['id']}, {event['type']}, {event['time']}", markup=False)
        out.print(found["problem"], markup=False)
    raise typer.Exit(Exit.DONE if found["holds"] else Exit.FAILED)
