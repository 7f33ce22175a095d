"""`budget`: what calls of models have used and may use; changes it for an experiment that runs."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.app import Json, app
from cli.output import CommandError, complain, out, print_json, table
from schemas.budget import Balance, Budget

if TYPE_CHECKING:
    from services.settings import Settings

_NUMBER = "N|none"


@app.command(rich_help_panel="Decide")
def budget(
    experiment: Annotated[
        str | None,
        typer.Argument(help="The experiment, by its id or the beginning of it; all of today without."),
    ] = None,
    usd: Annotated[
        str | None, typer.Option(metavar=_NUMBER, help="New limit in US dollars; none for no limit.")
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(metavar=_NUMBER, help="New limit in tokens, read and written together.")
    ] = None,
    calls: Annotated[str | None, typer.Option(metavar=_NUMBER, help="New limit in calls of models.")] = None,
    as_json: Json = False,
) -> None:
    """What calls of models have used and may still use, of an experiment or of today (UTC).

    With a limit, changes that of an experiment that runs, from its next call on; what isn't given stays. The day's
    limits are settings of the workers: GENESIS_BUDGET_DAY_USD, GENESIS_BUDGET_DAY_TOKENS, GENESIS_BUDGET_DAY_CALLS.
    """
    wish = _wish({"usd": usd, "tokens": tokens, "calls": calls})
    if experiment is not None:
        _of_experiment(experiment, wish, as_json)
    elif wish.model_fields_set:
        raise CommandError(
            "name the experiment whose budget changes; the day's limits are settings of the workers: "
            "GENESIS_BUDGET_DAY_USD, GENESIS_BUDGET_DAY_TOKENS, GENESIS_BUDGET_DAY_CALLS"
        )
    else:
        _of_day(as_json)


def _wish(typed: dict[str, str | None]) -> Budget:
    """The limits that were typed, and no others."""
    from pydantic import ValidationError

    given = {name: text.strip() for name, text in typed.items() if text is not None}
    try:
        return Budget.model_validate(
            {name: None if text.lower() == "none" else text for name, text in given.items()}
        )
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise CommandError(
            f"--{name}: {error.errors()[0]['msg']} (found {given[name]!r:.80}); write a number, or none for no limit"
        ) from None


def _of_day(as_json: bool) -> None:
    from cli.records import open_records
    from services.budget import Budgets
    from services.settings import Settings

    settings = Settings()
    open_records(settings).close()
    budgets = Budgets(settings.records_url, settings.budget_day)
    today = budgets.today()
    _show("day", today.isoformat(), budgets.day(today), limit_known=True, as_json=as_json)


def _of_experiment(experiment: str, wish: Budget, as_json: bool) -> None:
    from cli.records import open_records, row_of
    from services.budget import Budgets, budget_on_record
    from services.settings import Settings

    settings, row = Settings(), row_of(experiment)
    if not wish.model_fields_set:
        limit = budget_on_record(open_records(settings), row.experiment_id)
    elif row.closed is not None:
        raise CommandError(f"refused: {row.experiment_id} has ended ({row.status}); nothing was changed")
    else:
        limit = asyncio.run(_changed(row.experiment_id, wish))
    balance = Budgets(settings.records_url).balance(row.experiment_id, limit or Budget())
    _show("experiment_id", row.experiment_id, balance, limit_known=limit is not None, as_json=as_json)


def spent_by(settings: "Settings", experiment_id: str) -> "Balance | None":
    """The experiment's balance; None where no model was asked for it and nothing limits that."""
    from cli.records import open_records
    from services.budget import Budgets, budget_on_record

    limit = budget_on_record(open_records(settings), experiment_id) or Budget()
    balance = Budgets(settings.records_url).balance(experiment_id, limit)
    asked = balance.spent.calls or balance.reserved.calls
    return balance if asked or limit.is_limited else None


async def _changed(experiment_id: str, wish: Budget) -> Budget:
    """Ask the run; its whole budget as it is then."""
    from temporalio.client import WorkflowUpdateFailedError
    from temporalio.service import RPCError, RPCStatusCode

    from cli.session import SHORT_PATIENCE, session
    from services.settings import Settings
    from workflows.experiment import StrategyExperiment

    async with session(Settings(), may_embed=False) as link:
        handle = link.handle(experiment_id)
        try:
            if await link.progress(handle, SHORT_PATIENCE) is None:
                raise CommandError(
                    f"nobody serves {experiment_id} now, so its budget can't be changed; start a worker "
                    f"(python worker.py), or take it up: python starter.py status {experiment_id} --watch"
                )
            return await handle.execute_update(StrategyExperiment.change_budget, wish)
        except WorkflowUpdateFailedError as error:
            raise CommandError(f"refused: {error.cause}") from error
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise CommandError(f"refused: {experiment_id} has ended, or this server never knew it") from error


def _show(what: str, name: str, balance: Balance, *, limit_known: bool, as_json: bool) -> None:
    from domain.budget import KINDS, amount_in, figure, limit_of, shown

    if as_json:
        unknown = {} if limit_known else {"limit": None, "left": None}
        print_json({what: name} | balance.model_dump(mode="json") | unknown)
        return
    missing = "none" if limit_known else "unknown"
    rows = []
    for kind in KINDS:
        limit, left = limit_of(balance.limit, kind), limit_of(balance.left, kind)
        rows.append(
            (
                "US dollars" if kind == "usd" else kind,
                missing if limit is None else figure(kind, limit),
                figure(kind, amount_in(balance.spent, kind)),
                figure(kind, amount_in(balance.reserved, kind)),
                None if left is None else figure(kind, left),
            )
        )
    out.print(f"{'experiment' if what == 'experiment_id' else 'day (UTC)'} {name}", markup=False)
    table(["", "limit", "spent", "reserved", "left"], rows)
    if balance.unknown_usd_calls:
        calls = shown("calls", balance.unknown_usd_calls)
        complain(f"the price of {calls} is unknown, and not among the dollars", "note", "yellow")
