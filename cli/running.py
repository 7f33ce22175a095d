"""Starting an experiment and seeing it through."""

import asyncio
import getpass
import re
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from cli.forking import origin_of, refuse_other_strategy, refuse_other_writers
from cli.output import CommandError, Exit, complain, err, out, print_json
from cli.records import open_records
from cli.results import show_diff, show_result, show_waiting
from cli.session import Handle, Session, session
from cli.watching import Seen, watch
from domain.holdout import held_back
from schemas.budget import Budget
from schemas.definition import StrategyDefinition, Thresholds
from schemas.experiment import (
    ApprovalPolicy,
    Decision,
    DecisionAction,
    DecisionReceipt,
    ExperimentRequest,
    ExperimentStatus,
    ForkStep,
    Progress,
)
from schemas.holdout import Holdout
from schemas.market import DataSet
from schemas.sandbox import Limits, ProviderName
from schemas.trading import Costs
from services.artifacts import Artifacts
from services.definitions import load_definition
from services.forks import Origin
from services.market_data import BUNDLED, MarketData
from services.settings import Settings
from services.temporal.connect import TemporalUnreachable
from workflows.experiment import StrategyExperiment

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
LEAST_TIMEOUT, MOST_TIMEOUT = 1.0, 30 * 86400.0
"""Seconds; as ExperimentRequest bounds it."""
DIFF_SECONDS = 3.0
"""How long the records are asked for the diff of what waits for a decision."""
GOOD = (ExperimentStatus.MERGED, ExperimentStatus.DRY_RUN)
"""What a run that was asked for should come to."""


@dataclass(frozen=True)
class Wish:
    """What the person asked for, as typed."""

    strategy: str | None
    definition: Path | None
    data: str | None
    engines: Sequence[str]
    candidates: int
    fork: str | None
    """The experiment whose code is taken up, by the beginning of its id."""
    fork_step: ForkStep | None
    budget: Budget
    approval: ApprovalPolicy
    max_fixes: int
    timeout: str | None
    thresholds: Thresholds
    costs: Costs
    sandbox: ProviderName | None
    limits: Limits
    holdout: float
    """The share of the bars that stays sealed until the decision; 0 for none."""
    experiment_id: str | None
    detach: bool
    as_json: bool


def duration(text: str) -> timedelta:
    """'90s', '15m', '1h', '2d', '1h30m' as a time span; a number alone is seconds."""
    parts = list(_DURATION.finditer(text.strip()))
    whole = "".join(part[0] for part in parts) == text.strip()
    units = [part[2] for part in parts]
    if not parts or not whole or (None in units and len(units) > 1) or len(set(units)) < len(units):
        raise CommandError(f"--timeout {text!r} is not a duration; write for example 90s, 15m, 1h or 1h30m")
    span = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    if not LEAST_TIMEOUT < span <= MOST_TIMEOUT:
        raise CommandError(
            f"--timeout {text!r} is out of bounds; allowed is more than 1 s and at most 30 days"
        )
    return timedelta(seconds=span)


def whoami() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def request_from(wish: Wish, settings: Settings) -> ExperimentRequest:
    """Read the definition, freeze the data, and make the request that a replay can be made from."""
    origin = origin_of(wish.fork, settings) if wish.fork is not None else None
    if origin is None and wish.fork_step:
        raise CommandError("--from says what of an experiment to fork; name that: --fork EXPERIMENT")
    if origin:
        refuse_other_writers(wish.engines, wish.candidates)
    fork = origin.code(wish.fork_step or ForkStep.GENERATED) if origin else None
    definition = definition_of(wish, settings, origin)
    market = MarketData(Artifacts(settings.home / "artifacts"))
    data = market.clip(
        origin.data(market) if origin and wish.data is None else market.load(source_of(wish, definition)),
        start=definition.start_date,
        end=definition.end_date,
        period=definition.period,
    )
    data = in_step(data, definition)
    data, holdout = sealed(market, data, wish.holdout)
    engines = wish.engines or (settings.engine,)
    if wish.candidates > 1 and "offline" in engines:
        err.print("note: offline writes the same code each time; one candidate of it is enough", style="dim")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return ExperimentRequest(
        experiment_id=wish.experiment_id or f"{definition.name}-{stamp}-{secrets.token_hex(2)}",
        definition=definition,
        data=data,
        holdout=holdout,
        engine=fork.engine if fork else wish.engines[0] if wish.engines else settings.engine,
        engines=[*wish.engines] if len(wish.engines) > 1 else [],
        candidates=wish.candidates,
        fork=fork,
        budget=wish.budget,
        approval=wish.approval,
        max_fixes=wish.max_fixes,
        timeout=duration(wish.timeout) if wish.timeout else settings.experiment_timeout,
        thresholds=wish.thresholds,
        costs=wish.costs,
        sandbox=wish.sandbox,
        limits=wish.limits,
        requested_by=whoami(),
    )


def definition_of(wish: Wish, settings: Settings, origin: Origin | None) -> StrategyDefinition:
    """The definition that is named; a fork's own where none is."""
    named = [each for each in (wish.strategy, wish.definition) if each is not None]
    if len(named) > 1 or (not named and origin is None):
        raise CommandError("name what to try: either --strategy NAME or --definition FILE")
    if origin and not named:
        return origin.definition().definition
    checked = load_definition(named[0], root=settings.strategies)
    for note in checked.notes:
        err.print(f"note: {note}", style="dim", markup=False)
    if origin:
        refuse_other_strategy(origin, checked.definition)
    return checked.definition


def source_of(wish: Wish, definition: StrategyDefinition) -> str:
    source = wish.data or (definition.symbol if definition.symbol.upper() in BUNDLED else None)
    if source is None:
        raise CommandError(
            f"{definition.name} trades {definition.symbol}, for which no data ships; give --data FILE.csv or one of "
            f"{', '.join(BUNDLED)}"
        )
    return source


def in_step(data: DataSet, definition: StrategyDefinition) -> DataSet:
    """The data, with a warning where its bars aren't as long as those that the definition is written for."""
    if data.interval == definition.interval:
        return data
    warning = (
        f"its bars are {data.interval}, {definition.name} is written for {definition.interval}: what it calls "
        "20 bars or 20 days are 20 of these"
    )
    return data.model_copy(update={"warnings": [*data.warnings, warning]})


def sealed(market: MarketData, whole: DataSet, share: float) -> tuple[DataSet, Holdout | None]:
    """The bars that are known until the decision, and the holdout after them; says so where there are too few."""
    held = held_back(whole.bars, share)
    if held:
        return market.hold_back(whole, held), Holdout(whole=whole, bars=held)
    if share:
        err.print(f"note: no holdout: {whole.bars:,} bars are too few to hold any back", style="dim")
    return whole, None


def _refuse_known(experiment_id: str, settings: Settings) -> None:
    """The server forgets a run after some time, and would take its id again; records and library never do."""
    if open_records(settings).experiment(experiment_id) is not None:
        raise _taken(experiment_id)


def _taken(experiment_id: str) -> CommandError:
    return CommandError(f"an experiment {experiment_id} exists already; choose another --id, or leave it out")


async def start(link: Session, request: ExperimentRequest) -> Handle:
    try:
        return await link.link.client.start_workflow(
            StrategyExperiment.run,
            request,
            id=request.experiment_id,
            task_queue=link.settings.queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary=(
                f"{request.definition.name} on {request.data.name}, {', '.join(dict.fromkeys(request.writers))}"
                f"{f', fork of {request.fork.experiment_id}' if request.fork else ''}"
            ),
            static_details=request.definition.description,
        )
    except WorkflowAlreadyStartedError as error:
        raise _taken(request.experiment_id) from error


async def run(wish: Wish) -> Exit:
    settings = Settings()
    if wish.experiment_id is not None:
        _refuse_known(wish.experiment_id, settings)
    request = request_from(wish, settings)  # first: a typing error needs no server
    started = False
    try:
        async with session(settings, may_embed=not wish.detach) as link:
            if link.link.embedded:
                await link.serve()  # before the start: what is started is on record at once
            handle = await start(link, request)
            started = True
            err.print(f"{request.experiment_id}: {link.link.run_url(request.experiment_id)}", markup=False)
            if request.fork:
                err.print(f"fork: {request.fork}; no engine is asked for it", style="dim", markup=False)
            for warning in (request.holdout.whole if request.holdout else request.data).warnings:
                err.print(f"data: {warning}", style="dim", markup=False)
            if request.holdout:
                err.print(
                    f"holdout: {request.holdout} stay sealed until the decision", style="dim", markup=False
                )
            if wish.detach:
                said = {
                    "experiment_id": request.experiment_id,
                    "url": link.link.run_url(request.experiment_id),
                }
                if wish.as_json:
                    print_json(said)
                else:
                    out.print(
                        f"started; watch it with: python starter.py status {request.experiment_id} --watch"
                    )
                return Exit.DONE
            await link.serve_if_nobody_does(handle)
            return await see_through(link, handle, as_json=wish.as_json, ask=not wish.as_json)
    except (RPCError, TemporalUnreachable):
        if started:
            goes_on = f"python starter.py status {request.experiment_id} --watch"
            complain(f"{request.experiment_id} was started, and goes on with: {goes_on}", "note", "yellow")
        raise


async def see_through(
    link: Session,
    handle: Handle,
    *,
    as_json: bool,
    ask: bool,
    good: Sequence[ExperimentStatus] = GOOD,
) -> Exit:
    """Watch; ask for the decision where a person sits at the terminal; show what it came to.

    An end in `good` is exit code 0, any other 1.
    """
    while True:
        seen = await watch(link, handle, quiet=as_json)
        if seen.waiting and ask and sys.stdin.isatty() and out.is_terminal:
            decided = await _asked(link, handle, seen.waiting)
            if decided:
                continue
        return _told(link, handle, seen, good, as_json=as_json)


def _told(
    link: Session, handle: Handle, seen: Seen, good: Sequence[ExperimentStatus], *, as_json: bool
) -> Exit:
    if seen.waiting:
        show_waiting(link.settings, seen.waiting, as_json=as_json)
        return Exit.WAITING
    if seen.result is None:
        if as_json:
            print_json({"experiment_id": handle.id, "status": "failed", "error": seen.failure})
        else:
            complain(seen.failure, "failed")
            out.print(f"look at it: {link.link.run_url(handle.id)}", markup=False)
        return Exit.FAILED
    show_result(link.settings, seen.result, as_json=as_json)
    return Exit.DONE if seen.result.status in good else Exit.FAILED


async def _asked(link: Session, handle: Handle, waiting: Progress) -> bool:
    """Show what is to be decided, the diff first, and take the answer; False where it is put off."""
    await _show_diff(link.settings, waiting.experiment_id)
    show_waiting(link.settings, waiting, as_json=False)
    while True:
        answer = await answered("merge it? [approve/reject/diff/later] (later): ")
        if answer == "diff":
            await _show_diff(link.settings, waiting.experiment_id)
            continue
        if answer in ("", "later"):
            return False
        if answer not in (DecisionAction.APPROVE, DecisionAction.REJECT):
            out.print(f"'{answer}' is no answer; write approve, reject, diff or later", markup=False)
            continue
        decision = Decision(
            action=DecisionAction(answer),
            commit=waiting.commit,
            by=whoami(),
            comment=(await answered("comment (none): "))[:2000],
        )
        try:
            receipt = await decide(handle, decision)
        except CommandError as refused:
            # It ended while the question stood; what came of it is shown next.
            err.print(str(refused), markup=False)
        else:
            out.print(receipt.message, markup=False)
        return True


async def _show_diff(settings: Settings, experiment_id: str) -> None:
    """The records hear of it a moment after the run waits. Without one, since no report could be written, it is asked
    all the same."""
    until = time.monotonic() + DIFF_SECONDS
    while True:
        try:
            show_diff(settings, experiment_id)
        except CommandError as missing:
            if time.monotonic() > until:
                err.print(str(missing), markup=False)
                return
            await asyncio.sleep(0.1)
        else:
            return


async def answered(question: str) -> str:
    """The line that a person types, without spaces around it; '' at the end of the input.

    Waits without a thread: one that reads the terminal would keep the process from ending at Ctrl-C.
    """
    out.print(question, markup=False, end="")
    out.file.flush()
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline().strip()


async def decide(handle: Handle, decision: Decision) -> DecisionReceipt:
    """Send a decision; CommandError with the reason where it is refused, or comes after the run's end."""
    try:
        return await handle.execute_update(StrategyExperiment.decide, decision)
    except WorkflowUpdateFailedError as error:
        raise CommandError(f"refused: {error.cause}") from error
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise CommandError(f"refused: {handle.id} has ended, or this server never knew it") from error
