"""The audit: what is in it, and whether it is as it was written."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.app import Json, app, refuse_misplaced_options
from cli.experiments import LOOKING, Limit
from cli.output import CommandError, Exit, complain, out, print_json, table

if TYPE_CHECKING:
    from domain.chain import ChainReport, Head

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")

audits = typer.Typer(rich_markup_mode="markdown", add_completion=False)
app.add_typer(audits, name="audit", rich_help_panel=LOOKING)


@audits.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    experiment: Annotated[str | None, typer.Option(help="Only this experiment.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy.")] = None,
    event: Annotated[str | None, typer.Option(help="Only this event, for example decision_taken.")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """The append-only record of every change of state, with who caused it."""
    if context.invoked_subcommand is not None:
        refuse_misplaced_options(context, f"audit {context.invoked_subcommand}")
        return
    from cli.records import open_records, resolve

    rows = open_records().audit(
        experiment=resolve(experiment) if experiment is not None else None,
        strategy=strategy,
        event=event,
        limit=limit,
    )
    if as_json:
        print_json({"events": rows})
        return
    if not rows:
        out.print("no such event" if experiment or strategy or event else "nothing has happened yet")
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


@audits.command()
def verify(
    records: Annotated[
        list[str] | None,
        typer.Option(
            "--records", metavar="COUNT:HASH", help="A head of the records that you kept elsewhere."
        ),
    ] = None,
    tools: Annotated[
        list[str] | None,
        typer.Option(
            "--tools", metavar="COUNT:HASH", help="A head of the tools' log that you kept elsewhere."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find what was changed, removed, put in, moved or cut in the records' audit and in the log of the typed tools.

    Exit code 0 where both are whole, 1 where they aren't. It prints the head of each: keep it where nobody who can
    write here can, and give it back with the options; then even an audit that was written anew is found.
    """
    from cli.records import open_records
    from services.settings import Settings
    from services.tools import AuditLog, log_folder

    settings = Settings()
    kept_records, kept_tools = _heads("--records", records), _heads("--tools", tools)
    reports = [("--records", open_records(settings).verify_audit(kept_records))]
    log = AuditLog(log_folder(settings.home)).verify(kept_tools)
    if log is not None:
        reports.append(("--tools", log))
    elif kept_tools:
        raise CommandError(
            f"there is no log of the tools in {log_folder(settings.home)}, though --tools knows one"
        )
    whole = all(report.ok for _, report in reports)
    if as_json:
        print_json({"ok": whole, "chains": [_as_json(option, report) for option, report in reports]})
    else:
        for option, report in reports:
            _show(option, report)
    raise typer.Exit(Exit.DONE if whole else Exit.FAILED)


def _heads(option: str, given: Sequence[str] | None) -> "list[Head]":
    from domain.chain import Head

    heads = []
    for text in given or ():
        found = _HEAD.fullmatch(text)
        if not found:
            raise CommandError(f"{option} {text!r:.100}: write COUNT:HASH as `audit verify` prints it")
        heads.append(Head(int(found[1]), found[2]))
    return heads


def _as_json(option: str, report: "ChainReport") -> dict[str, object]:
    return {
        "name": report.name,
        "ok": report.ok,
        "entries": report.head.count,
        "head": f"{option} {report.head.count}:{report.head.hash}",
        "findings": report.findings,
        "more_findings": report.more,
        "notes": report.notes,
    }


def _show(option: str, report: "ChainReport") -> None:
    what = "whole" if report.ok else f"{len(report.findings) + report.more} breaks"
    out.print(f"{report.name}: {report.head.count} entries, {what}", markup=False)
    for finding in report.findings:
        complain(f"{finding.where}: {finding.message}", label=finding.kind)
    if report.more:
        complain(f"and {report.more} more", label="…")
    for note in report.notes:
        out.print(f"  note: {note}", markup=False)
    if report.ok:
        out.print(f"  head: {option} {report.head.count}:{report.head.hash}", markup=False)
