"""Replaying a recorded history against today's workflow code."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.app import Json, app
from cli.output import CommandError, Exit, complain, out, plain, print_json


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
    from cli.records import matching
    from services.settings import Settings
    from services.temporal.replaying import find_history, read_history
    from services.temporal.replaying import replay as replayed
    from workflows.candidate import Candidate
    from workflows.experiment import StrategyExperiment
    from workflows.sweep import Sweep

    if file is not None:
        history, source = read_history(file, file.stem), str(file)
    else:
        named = str(experiment)
        found = matching(named)
        history, source = asyncio.run(find_history(Settings(), found[0] if found else named))
    result = asyncio.run(replayed(history, [StrategyExperiment, Candidate, Sweep]))
    if as_json:
        print_json({"experiment_id": history.workflow_id, "source": source} | plain(result))
    elif result.holds:
        out.print(
            f"holds: {result.events} events of {history.workflow_id} replay as they were recorded (from {source})",
            markup=False,
        )
    else:
        complain(f"{history.workflow_id} (from {source})", "differs")
        if event := result.event:
            out.print(f"at event {event.id}, {event.type}, {event.time}", markup=False)
        out.print(result.problem, markup=False)
    raise typer.Exit(Exit.DONE if result.holds else Exit.FAILED)
