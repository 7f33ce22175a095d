"""Taking up an experiment that was started: deciding on it, asking where it is, following it to its end."""

from temporalio.service import RPCError, RPCStatusCode

from cli.budget import spent_by
from cli.experiments import show_row
from cli.output import CommandError, Exit, complain, out, print_json
from cli.records import matching, open_records, unknown
from cli.running import GOOD, decide, see_through
from cli.session import SHORT_PATIENCE, session
from domain.budget import in_words
from schemas.experiment import Decision, DecisionAction, ExperimentStatus
from schemas.records import ExperimentRow
from services.settings import Settings
from services.temporal.connect import TemporalUnreachable

_WANTED = {
    DecisionAction.APPROVE: GOOD,
    DecisionAction.REJECT: (ExperimentStatus.ROLLED_BACK,),
    DecisionAction.CANCEL: (ExperimentStatus.CANCELLED,),
}
"""A person who rejects or cancels gets what was asked for: exit code 0."""


def _named(experiment: str) -> tuple[str, ExperimentRow | None]:
    """The experiment's id and row; no row for one that no worker has taken up yet."""
    found = matching(experiment)
    return (found[0], open_records().experiment(found[0])) if found else (experiment, None)


def _has_slept(settings: Settings) -> bool:
    """Whether the embedded server may know runs of which nothing was recorded, because they were interrupted early."""
    return (settings.home / "temporal" / "temporal.db").is_file()


async def decided(experiment: str, decision: Decision, as_json: bool) -> Exit:
    """Send the decision, and see the experiment through to what it came to."""
    experiment_id, row = _named(experiment)
    if row is not None and row.closed is not None:
        raise CommandError(f"refused: {experiment_id} has ended ({row.status}); nothing was changed")
    try:
        settings = Settings()
        async with session(settings, may_embed=row is not None or _has_slept(settings)) as link:
            handle = link.handle(experiment_id)
            try:
                await handle.describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                if row is None:
                    raise unknown(experiment) from error
                raise CommandError(f"refused: this server doesn't know {experiment_id}") from error
            await link.serve_if_nobody_does(handle)
            receipt = await decide(handle, decision)
            if not as_json:
                out.print(receipt.message, markup=False)
            return await see_through(link, handle, as_json=as_json, ask=False, good=_WANTED[decision.action])
    except TemporalUnreachable:
        if row is None:
            raise unknown(experiment) from None
        raise


async def told_status(experiment: str, watch: bool, as_json: bool) -> Exit:
    """Say where the experiment is; with `watch`, follow it."""
    experiment_id, row = _named(experiment)
    if row is not None and row.closed is not None:
        show_row(row, as_json)
        return Exit.DONE
    progress, settings = None, Settings()
    try:
        async with session(settings, may_embed=watch if row else _has_slept(settings)) as link:
            handle = link.handle(experiment_id)
            if watch:
                await handle.describe()
                await link.serve_if_nobody_does(handle)
                return await see_through(link, handle, as_json=as_json, ask=not as_json)
            progress = await link.progress(handle, SHORT_PATIENCE)
    except TemporalUnreachable:
        if row is None:
            raise unknown(experiment) from None
        if watch:
            raise
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        if row is None:
            raise unknown(experiment) from error
        if watch:
            raise CommandError(
                f"{experiment_id} can't be followed: this server doesn't know it; is TEMPORAL_ADDRESS the one it was "
                "started with?"
            ) from error
    if progress is None:
        return _untold(experiment_id, row, as_json)
    balance = spent_by(settings, experiment_id)
    if as_json:
        print_json(progress.model_dump(mode="json") | {"budget": balance})
    else:
        out.print(f"{progress.experiment_id}: {progress.status}, step {progress.step}", markup=False)
        for gate in progress.gates:
            out.print(f"  {gate.gate:<20} {gate.outcome:<8} {gate.summary}", markup=False)
        if balance:
            out.print(f"  models: {in_words(balance)}", markup=False)
        for notice in progress.notices:
            out.print(f"  ! {notice}", markup=False)
    return Exit.WAITING if progress.status is ExperimentStatus.WAITING else Exit.DONE


def _untold(experiment_id: str, row: ExperimentRow | None, as_json: bool) -> Exit:
    """Nobody answers for it: what is on record."""
    if row is not None:
        show_row(row, as_json)
    elif as_json:
        print_json({"experiment_id": experiment_id, "status": "not taken up"})
    complain(
        f"nobody serves it now; it goes on with: python starter.py status {experiment_id} --watch",
        "note",
        "yellow",
    )
    return Exit.WAITING if row and row.status is ExperimentStatus.WAITING else Exit.DONE
