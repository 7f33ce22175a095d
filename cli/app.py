"""The command line: `starter.py --strategy NAME` runs an experiment, the subcommands look after it."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.output import CommandError, Exit
from schemas.experiment import MOST_CANDIDATES, ApprovalPolicy, ForkStep

app = typer.Typer(
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def finite(value: float | None) -> float | None:
    """For options whose value nothing else checks: bounds let nan through."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number to go by")
    return value


Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


class Provider(StrEnum):
    """The sandbox providers, as `--help` lists them."""

    BUBBLEWRAP = "bubblewrap"
    DOCKER = "docker"


_EXPERIMENT = "The experiment"
_JUDGING = "What the result must reach"
_TRYING = "Where it is tried"
_SPENDING = "What models may use"

HELP = """
Try, judge and merge machine-written trading strategies, without losing sleep.

**Run an experiment:** `starter.py --strategy RSI_Reversal`

A strategy definition becomes code, the code is tried in a sandbox, judged, approved and merged into the library. Each
experiment is a durable Temporal workflow: it survives a kill at any point and leaves nothing behind.

Exit codes: 0 done, 1 failed or rolled back, 2 usage or invalid input, 3 waiting for a decision; 130 after Ctrl-C.
"""


@app.callback(invoke_without_command=True, help=HELP)
def run(
    context: typer.Context,
    strategy: Annotated[
        str | None, typer.Option(help="A definition that ships, by name.", rich_help_panel=_EXPERIMENT)
    ] = None,
    definition: Annotated[
        Path | None, typer.Option(help="A definition in a JSON or YAML file.", rich_help_panel=_EXPERIMENT)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="GOOG, EURUSD, BTCUSD, or an OHLCV CSV file; the definition's symbol where left out.",
            rich_help_panel=_EXPERIMENT,
        ),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Who writes the code: `offline` compiles the rules; `google:…`, `anthropic:…` and `openai:…` name "
            "models. Given several times, they write side by side. [env: GENESIS_ENGINE]",
            rich_help_panel=_EXPERIMENT,
        ),
    ] = None,
    candidates: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST_CANDIDATES,
            help="Versions that each engine writes side by side; the best verified one goes on.",
            rich_help_panel=_EXPERIMENT,
        ),
    ] = 1,
    fork: Annotated[
        str | None,
        typer.Option(
            metavar="EXPERIMENT",
            help="Begin with code that is on record of an experiment, with its definition and data unless others are "
            "given; no engine is asked for it.",
            rich_help_panel=_EXPERIMENT,
        ),
    ] = None,
    fork_step: Annotated[
        ForkStep | None,
        typer.Option(
            "--from",
            help="What to fork: the first code that was generated, or what was judged last. [default: generated]",
            rich_help_panel=_EXPERIMENT,
        ),
    ] = None,
    approval: Annotated[
        ApprovalPolicy,
        typer.Option(
            help="auto merges what is recommended as it is, and asks where thresholds are missed; manual asks for "
            "both; dry-run never merges. What fails a gate is rolled back without asking.",
            rich_help_panel=_EXPERIMENT,
        ),
    ] = ApprovalPolicy.AUTO,
    max_fixes: Annotated[
        int, typer.Option(min=0, max=20, help="Most repairs.", rich_help_panel=_EXPERIMENT)
    ] = 3,
    timeout: Annotated[
        str | None,
        typer.Option(
            help="Deadline of the whole experiment, waiting included: 90s, 15m, 1h, 1h30m; a bare number is seconds. "
            "[env: GENESIS_EXPERIMENT_TIMEOUT_MS] [default: 1h]",
            rich_help_panel=_EXPERIMENT,
        ),
    ] = None,
    experiment_id: Annotated[
        str | None,
        typer.Option("--id", help="A name of your own for the experiment.", rich_help_panel=_EXPERIMENT),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", help="Start it and return; needs a running worker.", rich_help_panel=_EXPERIMENT
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object on stdout, nothing else.", rich_help_panel=_EXPERIMENT),
    ] = False,
    min_trades: Annotated[
        int | None, typer.Option(min=1, help="Least trades.", rich_help_panel=_JUDGING)
    ] = None,
    max_drawdown: Annotated[
        float | None,
        typer.Option(min=0.0, max=100.0, help="Worst drawdown, in %: more than 0.", rich_help_panel=_JUDGING),
    ] = None,
    min_sharpe: Annotated[
        float | None, typer.Option(help="Least Sharpe ratio.", rich_help_panel=_JUDGING)
    ] = None,
    min_deflated_sharpe: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Least probability that the true Sharpe ratio is above 0, given all tries.",
            rich_help_panel=_JUDGING,
        ),
    ] = None,
    holdout: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.5,
            callback=finite,
            help="Share of the bars, the last ones, that stays sealed until the decision; 0 for none.",
            rich_help_panel=_JUDGING,
        ),
    ] = 0.2,
    cash: Annotated[
        float, typer.Option(min=1.0, max=1e15, help="Starting cash.", rich_help_panel=_JUDGING)
    ] = 1_000_000.0,
    commission: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.0999, help="Of each side's value: 0.002 is 0.2 %.", rich_help_panel=_JUDGING
        ),
    ] = 0.0,
    spread: Annotated[
        float,
        typer.Option(min=0.0, max=0.0999, help="Between bid and ask, as a share.", rich_help_panel=_JUDGING),
    ] = 0.0,
    slippage: Annotated[
        float,
        typer.Option(min=0.0, max=0.0999, help="Lost at each fill, as a share.", rich_help_panel=_JUDGING),
    ] = 0.0,
    tokens: Annotated[
        int | None,
        typer.Option(min=0, help="Most tokens, read and written together.", rich_help_panel=_SPENDING),
    ] = None,
    usd: Annotated[
        float | None, typer.Option(min=0.0, max=1e6, help="Most US dollars.", rich_help_panel=_SPENDING)
    ] = None,
    calls: Annotated[int | None, typer.Option(min=0, help="Most calls.", rich_help_panel=_SPENDING)] = None,
    sandbox: Annotated[
        Provider | None,
        typer.Option(help="The first that works where left out.", rich_help_panel=_TRYING),
    ] = None,
    memory: Annotated[
        int, typer.Option(min=64, max=65536, help="Memory of the sandbox, in MB.", rich_help_panel=_TRYING)
    ] = 1024,
) -> None:
    if context.invoked_subcommand is not None:
        refuse_misplaced_options(context, context.invoked_subcommand)
        return
    if strategy is None and definition is None and fork is None:
        given = _given(context)
        if given:
            raise CommandError(
                f"{', '.join(given)} without a strategy; name what to try: --strategy NAME, --definition FILE or "
                "--fork EXPERIMENT"
            )
        typer.echo(context.get_help())
        raise typer.Exit(Exit.USAGE)
    import asyncio

    from cli.running import Wish
    from cli.running import run as run_experiment
    from schemas.budget import Budget
    from schemas.definition import Thresholds
    from schemas.sandbox import Limits
    from schemas.trading import Costs

    wish = Wish(
        strategy=strategy,
        definition=definition,
        data=data,
        engines=engine or [],
        candidates=candidates,
        fork=fork,
        fork_step=fork_step,
        budget=Budget(tokens=tokens, usd=usd, calls=calls),
        approval=approval,
        max_fixes=max_fixes,
        timeout=timeout,
        thresholds=Thresholds(
            min_trades=min_trades,
            max_drawdown=max_drawdown,
            min_sharpe=min_sharpe,
            min_deflated_sharpe=min_deflated_sharpe,
        ),
        costs=Costs(cash=cash, commission=commission, spread=spread, slippage=slippage),
        sandbox=sandbox.value if sandbox else None,
        limits=Limits(memory_mb=memory),
        holdout=holdout,
        experiment_id=experiment_id,
        detach=detach,
        as_json=as_json,
    )
    raise typer.Exit(asyncio.run(run_experiment(wish)))


def group(name: str, summary: str, panel: str) -> typer.Typer:
    """A command of commands; alone, it shows them and exits 2."""
    commands = typer.Typer(rich_markup_mode="markdown", add_completion=False)

    @commands.callback(invoke_without_command=True, help=summary)
    def ask(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit(Exit.USAGE)

    app.add_typer(commands, name=name, rich_help_panel=panel)
    return commands


def _given(context: typer.Context) -> list[str]:
    """The options that were typed before the subcommand."""
    typed = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            typed.append(parameter.opts[0])
    return typed


def refuse_misplaced_options(context: typer.Context, command: str) -> None:
    """`--json list` and `--strategy X list` would else be taken for `list`."""
    if given := _given(context):
        raise CommandError(f"{', '.join(given)} stands before the command; write: {command} … {given[0]}")
