"""Commands that look at what is on record."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.app import Json, app
from cli.deciding import Experiment
from cli.output import CommandError, out, print_json, table
from schemas.experiment import ExperimentStatus, Fork
from schemas.gates import Gate

if TYPE_CHECKING:
    from schemas.records import AuditRow, ExperimentRow

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Most lines.")]

LOOKING = "Look"
"""The panel of `--help`."""


@app.command("list", rich_help_panel=LOOKING)
def list_experiments(
    status: Annotated[ExperimentStatus | None, typer.Option(help="Only those in this state.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only those of this strategy.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Experiments, newest first."""
    from cli.records import open_records

    rows = open_records().experiments(status=status, strategy=strategy, limit=limit)
    _show_rows(rows, as_json, "no such experiment" if status or strategy else "no experiment yet")


@app.command(rich_help_panel=LOOKING)
def jobs(as_json: Json = False) -> None:
    """Experiments that run, wait or merge."""
    from cli.records import open_records

    _show_rows(open_records().jobs(), as_json, "no experiment is open")


def _show_rows(rows: "list[ExperimentRow]", as_json: bool, nothing: str) -> None:
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


@app.command(rich_help_panel=LOOKING)
def show(experiment: Experiment, as_json: Json = False) -> None:
    """Everything on record of one experiment."""
    from cli.records import row_of

    show_row(row_of(experiment), as_json)


def show_row(row: "ExperimentRow", as_json: bool) -> None:
    """The experiment with its gates, metrics and sandboxes."""
    from cli.budget import spent_by
    from cli.records import open_records
    from cli.results import METRIC_NAMES, report_path, show_worth
    from domain.budget import in_words
    from schemas.holdout import Evidence
    from services.settings import Settings

    settings, records = Settings(), open_records()
    report = report_path(settings, row.experiment_id)
    sandboxes = records.sandboxes(row.experiment_id)
    events = records.audit(experiment=row.experiment_id, limit=10_000)
    judged = _judged(events)
    gates = {gate.value: str(judged[gate.value]) for gate in Gate if gate.value in judged}
    weighed: dict[str, Any] = next((e.data for e in reversed(events) if e.event == "result_weighed"), {})
    opened = weighed.get("holdout_gates", {})
    holdout: dict[str, str] = {gate.value: str(opened[gate.value]) for gate in Gate if gate.value in opened}
    forked = next((e.data.get("forked_from") for e in events if e.event == "experiment_opened"), None)
    balance = spent_by(settings, row.experiment_id)
    if as_json:
        print_json(
            row.model_dump(mode="json")
            | {
                "forked_from": forked,
                "budget": balance,
                "gates": gates,
                "holdout_gates": holdout,
                "evidence": weighed.get("evidence"),
            }
            | {"sandboxes": sandboxes, "report_path": str(report) if report else None}
        )
        return
    facts: list[tuple[str, Any]] = [
        ("experiment", row.experiment_id),
        ("strategy", row.strategy),
        ("status", row.status.replace("_", " ")),
        ("verdict", row.verdict),
        ("reason", row.reason),
        ("engine", row.engine),
        ("forked from", str(Fork.model_validate(forked)) if forked else None),
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
        ("models", in_words(balance) if balance else None),
    ]
    for name, value in facts:
        if value is not None:
            out.print(f"{name:<15} {value}", markup=False)
    for where, asked in (("gate", gates), ("holdout", holdout)):
        for name, outcome in asked.items():
            out.print(f"{where:<7} {name:<20} {outcome.replace('_', ' ')}", markup=False)
    if row.metrics:
        out.print()
        table(
            ["metric", ""],
            [(name, row.metrics.get(key)) for key, name in METRIC_NAMES.items()],
        )
    if evidence := weighed.get("evidence"):
        out.print()
        show_worth(Evidence.model_validate(evidence))
    for sandbox in sandboxes:
        size = f", {sandbox.size_bytes:,} bytes" if sandbox.size_bytes is not None else ""
        lived = f", lived {sandbox.seconds:.1f} s" if sandbox.seconds is not None else ""
        reason = f": {sandbox.reason}" if sandbox.reason else ""
        what = f"{sandbox.event.replace('_', ' ')}{reason}{size}{lived}"
        out.print(
            f"sandbox {sandbox.sandbox_id} {sandbox.provider} {sandbox.at:%H:%M:%S} {what}", markup=False
        )


def _judged(events: "list[AuditRow]") -> dict[str, Any]:
    """Gates and outcomes of the attempt that was judged last, or, of several candidates, of the chosen one's."""
    attempt = next((e.data.get("attempt") for e in reversed(events) if e.event == "candidate_chosen"), None)
    for event in reversed(events):
        if event.event == "gates_judged" and attempt in (None, event.data.get("attempt")):
            return dict(event.data.get("gates", {}))
    return {}


@app.command(rich_help_panel=LOOKING)
def diff(experiment: Experiment, as_json: Json = False) -> None:
    """What an experiment changes in the library."""
    from cli.records import resolve
    from cli.results import diff_of, print_diff
    from services.settings import Settings

    experiment_id = resolve(experiment)
    text = diff_of(Settings(), experiment_id)
    if as_json:
        print_json({"experiment_id": experiment_id, "diff": text})
    else:
        print_diff(text)


@app.command(rich_help_panel=LOOKING)
def trades(experiment: Experiment, as_json: Json = False) -> None:
    """Every trade: when, where, why, and what it brought."""
    from cli.records import row_of
    from services.artifacts import Artifacts
    from services.settings import Settings

    row = row_of(experiment)
    digest = row.artifacts.get("trades")
    if digest is None:
        raise CommandError(f"{row.experiment_id} has no trades on record: no try-out of it ran to its end")
    rows = Artifacts(Settings().home / "artifacts").get_json(digest)
    if as_json:
        print_json({"experiment_id": row.experiment_id, "trades": rows})
        return
    if not rows:
        out.print("it made no trade")
        return
    table(
        ["#", "side", "size", "entry", "bar", "price", "rule", "exit", "bar", "price", "rule", "profit", "%"],
        [
            (
                trade["number"],
                trade["side"],
                f"{trade['size']:.10g}",
                trade["entry_time"][:16],
                trade["entry_bar"],
                f"{trade['entry_price']:.10g}",
                trade["entry_rule"],
                trade["exit_time"][:16],
                trade["exit_bar"],
                f"{trade['exit_price']:.10g}",
                trade["exit_rule"],
                trade["profit"],
                trade["return_pct"],
            )
            for trade in rows
        ],
    )
