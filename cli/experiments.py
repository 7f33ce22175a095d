"""Commands on experiments that exist: deciding, and looking."""

import asyncio
import json
from typing import Annotated, Any

import typer
from temporalio.service import RPCError, RPCStatusCode

from cli.app import app
from cli.output import CommandError, Exit, err, out, print_json, table
from cli.results import METRIC_NAMES, diff_of, print_diff, report_path
from cli.running import decide, see_through, whoami
from cli.session import session
from schemas.experiment import Decision, DecisionAction, ExperimentStatus
from schemas.records import ExperimentRow
from services.artifacts import Artifacts
from services.records import Records
from services.settings import Settings
from services.temporal.connect import TemporalUnreachable

Experiment = Annotated[str, typer.Argument(help="The experiment, by its id or the beginning of it.")]
Commit = Annotated[str | None, typer.Option(help="The commit that was judged; refused if it is another.")]
By = Annotated[str | None, typer.Option(help="Who decides; your user name where left away.")]
Comment = Annotated[str, typer.Option(help="Why.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Most lines.")]

_DECIDING = "Decide"
_LOOKING = "Look"
_OPEN = (ExperimentStatus.RUNNING, ExperimentStatus.WAITING, ExperimentStatus.MERGING)


def _records() -> Records:
    return Records(Settings().records_url)


def resolve(experiment: str) -> str:
    """The one id that begins so."""
    found = _records().find(experiment)
    if experiment in found:
        return experiment
    if not found:
        raise CommandError(f"there is no experiment {experiment} on record; see: python starter.py list")
    if len(found) > 1:
        raise CommandError(f"{experiment} could be {', '.join(found[:5])}; write more of it")
    return found[0]


def row_of(experiment: str) -> ExperimentRow:
    row = _records().experiment(resolve(experiment))
    if row is None:
        raise CommandError(f"there is no experiment {experiment} on record; see: python starter.py list")
    return row


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
    decision = Decision(action=action, commit=commit, by=by or whoami(), comment=comment)
    raise typer.Exit(asyncio.run(_decided(resolve(experiment), decision, as_json)))


async def _decided(experiment_id: str, decision: Decision, as_json: bool) -> Exit:
    row = _records().experiment(experiment_id)
    if row is not None and row.closed is not None:
        raise CommandError(f"refused: {experiment_id} has ended ({row.status}); nothing was changed")
    async with session(Settings()) as link:
        await link.serve_if_nobody_does()
        handle = link.handle(experiment_id)
        try:
            receipt = await decide(handle, decision)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise CommandError(f"refused: {experiment_id} has ended, or this server never knew it") from error
        if not as_json:
            out.print(receipt.message, markup=False)
        code = await see_through(link, handle, as_json=as_json, ask=False)
        # A person who rejects or cancels gets what was asked for.
        return code if decision.action is DecisionAction.APPROVE else Exit.DONE


@app.command(rich_help_panel=_LOOKING)
def status(
    experiment: Experiment,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it to its end; takes an interrupted one up.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Where an experiment is."""
    raise typer.Exit(asyncio.run(_status(resolve(experiment), watch, as_json)))


async def _status(experiment_id: str, watch: bool, as_json: bool) -> Exit:
    row = row_of(experiment_id)
    if row.closed is not None:
        _show_row(row, as_json)
        return Exit.DONE
    try:
        async with session(Settings(), may_embed=watch) as link:
            handle = link.handle(experiment_id)
            if watch:
                await link.serve_if_nobody_does()
                return await see_through(link, handle, as_json=as_json, ask=not as_json)
            progress = await link.progress(handle)
    except TemporalUnreachable:
        progress = None
    if progress is None:
        _show_row(row, as_json)
        err.print(f"nobody serves it now; it goes on with: python starter.py status {experiment_id} --watch")
        return Exit.WAITING if row.status is ExperimentStatus.WAITING else Exit.DONE
    if as_json:
        print_json(progress)
    else:
        out.print(f"{progress.experiment_id}: {progress.status}, step {progress.step}", markup=False)
        for gate in progress.gates:
            out.print(f"  {gate.gate:<14} {gate.outcome:<8} {gate.summary}", markup=False)
        for notice in progress.notices:
            out.print(f"  ! {notice}", markup=False)
    return Exit.WAITING if progress.status is ExperimentStatus.WAITING else Exit.DONE


@app.command("list", rich_help_panel=_LOOKING)
def list_experiments(
    status: Annotated[ExperimentStatus | None, typer.Option(help="Only those in this state.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only those of this strategy.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Experiments, newest first."""
    _show_rows(
        _records().experiments(status=status, strategy=strategy, limit=limit), as_json, "no experiment yet"
    )


@app.command(rich_help_panel=_LOOKING)
def jobs(as_json: Json = False) -> None:
    """Experiments that run, wait or merge."""
    _show_rows(_records().jobs(), as_json, "no experiment is open")


def _show_rows(rows: list[ExperimentRow], as_json: bool, nothing: str) -> None:
    if as_json:
        print_json({"experiments": rows})
        return
    if not rows:
        out.print(nothing)
        return
    table(
        ["experiment", "status", "opened", "return %", "trades", "by"],
        [
            (
                row.experiment_id,
                row.status,
                f"{row.opened:%Y-%m-%d %H:%M:%S}",
                row.metrics.get("return_pct"),
                row.metrics.get("trades"),
                row.requested_by,
            )
            for row in rows
        ],
    )


@app.command(rich_help_panel=_LOOKING)
def show(experiment: Experiment, as_json: Json = False) -> None:
    """Everything on record of one experiment."""
    _show_row(row_of(experiment), as_json)


def _show_row(row: ExperimentRow, as_json: bool) -> None:
    settings, records = Settings(), _records()
    report = report_path(settings, row.experiment_id)
    sandboxes = records.sandboxes(row.experiment_id)
    events = records.audit(experiment=row.experiment_id, limit=10_000)
    gates: dict[str, str] = next(
        (e.data.get("gates", {}) for e in reversed(events) if e.event == "gates_judged"), {}
    )
    if as_json:
        print_json(
            row.model_dump(mode="json")
            | {"gates": gates, "sandboxes": sandboxes, "report_path": str(report) if report else None}
        )
        return
    facts: list[tuple[str, Any]] = [
        ("experiment", row.experiment_id),
        ("strategy", row.strategy),
        ("status", row.status.replace("_", " ")),
        ("verdict", row.verdict),
        ("reason", row.reason),
        ("engine", row.engine),
        ("data", row.data_name),
        ("approval", row.approval),
        ("requested by", row.requested_by),
        ("attempts", row.attempts),
        ("opened", f"{row.opened:%Y-%m-%d %H:%M:%S} UTC"),
        ("closed", f"{row.closed:%Y-%m-%d %H:%M:%S} UTC" if row.closed else None),
        ("judged commit", row.judged_commit),
        ("merged commit", row.merged_commit),
        ("tag", row.tag),
        ("report", report),
    ]
    for name, value in facts:
        if value is not None:
            out.print(f"{name:<15} {value}", markup=False)
    for gate, outcome in gates.items():
        out.print(f"{'gate ' + gate:<22} {outcome}", markup=False)
    if row.metrics:
        out.print()
        table(
            ["metric", ""],
            [(name, row.metrics.get(key)) for key, name in METRIC_NAMES.items()],
        )
    for sandbox in sandboxes:
        out.print(
            f"sandbox {sandbox.sandbox_id} {sandbox.provider} {sandbox.event} {sandbox.at:%H:%M:%S}",
            markup=False,
        )


@app.command(rich_help_panel=_LOOKING)
def diff(experiment: Experiment, as_json: Json = False) -> None:
    """What an experiment changes in the library."""
    experiment_id = resolve(experiment)
    text = diff_of(Settings(), experiment_id)
    if as_json:
        print_json({"experiment_id": experiment_id, "diff": text})
    else:
        print_diff(text)


@app.command(rich_help_panel=_LOOKING)
def trades(experiment: Experiment, as_json: Json = False) -> None:
    """Every trade: when, where, why, and what it brought."""
    row = row_of(experiment)
    digest = row.artifacts.get("trades")
    if digest is None:
        raise CommandError(f"{row.experiment_id} has no trades on record: no try-out of it ran to its end")
    rows = json.loads(Artifacts(Settings().home / "artifacts").get(digest))
    if as_json:
        print_json({"experiment_id": row.experiment_id, "trades": rows})
        return
    table(
        ["#", "side", "size", "entry", "bar", "price", "rule", "exit", "bar", "price", "rule", "profit", "%"],
        [
            (
                trade["number"],
                trade["side"],
                f"{trade['size']:g}",
                trade["entry_time"][:16],
                trade["entry_bar"],
                f"{trade['entry_price']:g}",
                trade["entry_rule"],
                trade["exit_time"][:16],
                trade["exit_bar"],
                f"{trade['exit_price']:g}",
                trade["exit_rule"],
                trade["profit"],
                trade["return_pct"],
            )
            for trade in rows
        ],
    )


@app.command(rich_help_panel=_LOOKING)
def audit(
    experiment: Annotated[str | None, typer.Option(help="Only this experiment.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy.")] = None,
    event: Annotated[str | None, typer.Option(help="Only this event, for example decision_taken.")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """The append-only record of every change of state, with who caused it."""
    rows = _records().audit(
        experiment=resolve(experiment) if experiment else None, strategy=strategy, event=event, limit=limit
    )
    if as_json:
        print_json({"events": rows})
        return
    table(
        ["at", "experiment", "event", "actor", "from", "to"],
        [
            (
                f"{row.at:%Y-%m-%d %H:%M:%S}",
                row.experiment_id,
                row.event,
                row.actor,
                row.status_before,
                row.status_after,
            )
            for row in rows
        ],
    )
