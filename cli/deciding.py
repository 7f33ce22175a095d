"""Commands that decide on an experiment, or follow it."""

import asyncio
from typing import Annotated

import typer

from cli.app import Json, app
from schemas.experiment import Decision, DecisionAction

Experiment = Annotated[str, typer.Argument(help="The experiment, by its id or the beginning of it.")]
Commit = Annotated[
    str | None, typer.Option(help="The commit that was judged, or its beginning; refused if it is another.")
]
By = Annotated[str | None, typer.Option(help="Who decides; your user name where left out.")]
Comment = Annotated[str, typer.Option(help="Why.")]

_DECIDING = "Decide"


@app.command(rich_help_panel=_DECIDING)
def approve(
    experiment: Experiment, commit: Commit = None, by: By = None, comment: Comment = "", as_json: Json = False
) -> None:
    """Merge what waits for a decision."""
    _send(DecisionAction.APPROVE, experiment, commit, by, comment, as_json)


@app.command(rich_help_panel=_DECIDING)
def reject(
    experiment: Experiment, commit: Commit = None, by: By = None, comment: Comment = "", as_json: Json = False
) -> None:
    """Roll back what waits for a decision."""
    _send(DecisionAction.REJECT, experiment, commit, by, comment, as_json)


@app.command(rich_help_panel=_DECIDING)
def cancel(
    experiment: Experiment, commit: Commit = None, by: By = None, comment: Comment = "", as_json: Json = False
) -> None:
    """Stop an experiment, wherever it is before its merge, and remove what it made."""
    _send(DecisionAction.CANCEL, experiment, commit, by, comment, as_json)


def _send(
    action: DecisionAction, experiment: str, commit: str | None, by: str | None, comment: str, as_json: bool
) -> None:
    from cli.attending import decided
    from cli.running import whoami

    decision = Decision(
        action=action,
        commit=commit.lower() if commit else None,
        by=whoami() if by is None else by,
        comment=comment,
    )
    raise typer.Exit(asyncio.run(decided(experiment, decision, as_json)))


@app.command(rich_help_panel=_DECIDING)
def status(
    experiment: Experiment,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it to its end; takes an interrupted one up.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Where an experiment is. Exits 3 while it waits for a decision."""
    from cli.attending import told_status

    raise typer.Exit(asyncio.run(told_status(experiment, watch, as_json)))
