"""Commands on the library of merged strategies."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.app import Json, finite, group
from cli.output import out, print_json, table

if TYPE_CHECKING:
    from services.library import Library

library = group("library", "Look at the library of merged strategies, and tidy it.", "Library")

Name = Annotated[str, typer.Argument(help="A strategy of the library.")]


def _library() -> "Library":
    from services.library import Library
    from services.settings import Settings

    settings = Settings()
    return Library(settings.library_location, mirror=settings.home / "library-mirror.git")


@library.command("list")
def list_strategies(as_json: Json = False) -> None:
    """Every merged strategy with its latest version."""
    found = _library().strategies()
    if as_json:
        print_json({"strategies": found})
        return
    if not found:
        out.print("nothing is merged yet; begin with: python starter.py --strategy RSI_Reversal")
        return
    table(
        ["strategy", "versions", "latest", "merged", "return %", "trades", "engine", "experiment"],
        [
            (
                one.name,
                one.versions,
                f"v{one.latest.version}",
                f"{one.latest.merged_at:%Y-%m-%d %H:%M:%S}",
                one.latest.metrics.get("return_pct"),
                one.latest.metrics.get("trades"),
                one.latest.engine,
                one.latest.experiment_id,
            )
            for one in found
        ],
    )


@library.command()
def versions(name: Name, as_json: Json = False) -> None:
    """The merged versions of a strategy, first to last."""
    found = _library().versions(name)
    if as_json:
        print_json({"strategy": name, "versions": found})
        return
    table(
        ["version", "commit", "merged", "return %", "trades", "engine", "experiment"],
        [
            (
                f"v{one.version}",
                one.commit[:12],
                f"{one.merged_at:%Y-%m-%d %H:%M:%S}",
                one.metrics.get("return_pct"),
                one.metrics.get("trades"),
                one.engine,
                one.experiment_id,
            )
            for one in found
        ],
    )


def _number(text: str) -> int:
    """'2' or 'v2'."""
    digits = text[1:] if text[:1] in ("v", "V") else text
    if not (digits.isascii() and digits.isdigit() and 1 <= len(digits) <= 9 and int(digits)):
        raise typer.BadParameter(f"'{text}' is not a version; write a number such as 2 or v2")
    return int(digits)


Version = Annotated[int, typer.Argument(parser=_number, metavar="VERSION", help="1, 2 … or v1, v2 …")]


@library.command()
def compare(name: Name, left: Version, right: Version, as_json: Json = False) -> None:
    """Two versions of a strategy: metrics side by side, and the diff of their files."""
    from cli.results import METRIC_NAMES, print_diff

    found = _library().compare(name, left, right)
    if as_json:
        print_json(found)
        return
    rows = []
    for key, (before, after) in found.metrics.items():
        change = after - before if _is_number(before) and _is_number(after) else None  # type: ignore[operator]
        rows.append((METRIC_NAMES.get(key) or _OTHER_NAMES.get(key, key), _day(before), _day(after), change))
    table(["metric", f"v{left}", f"v{right}", "change"], rows)
    out.print()
    if found.diff:
        print_diff(found.diff)
    else:
        out.print("their files are the same")


_OTHER_NAMES = {
    "equity_final": "final equity",
    "best_trade_pct": "best trade %",
    "worst_trade_pct": "worst trade %",
    "max_trade_bars": "longest trade, bars",
    "max_wins_in_row": "wins in a row",
    "max_losses_in_row": "losses in a row",
}


def _day(value: object) -> object:
    """A bar's time in short."""
    return value.removesuffix("+00:00").removesuffix("T00:00:00") if isinstance(value, str) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@library.command()
def cleanup(
    days: Annotated[
        float, typer.Option(min=0.0, max=36_500.0, callback=finite, help="Branches written to since stay.")
    ] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; say what would be.")] = False,
    as_json: Json = False,
) -> None:
    """Delete branches of experiments that have ended and that nobody has written to for some days."""
    from cli.records import open_records

    held, age = _library(), timedelta(days=days)
    keep = {row.experiment_id for row in open_records().jobs()}
    if dry_run:
        limit = datetime.now(UTC) - age
        names = [
            one.name for one in held.branches() if one.committed_at < limit and one.experiment_id not in keep
        ]
    else:
        names = held.cleanup(age, keep)
    if as_json:
        print_json({"would_delete" if dry_run else "deleted": names})
        return
    verb = "would delete" if dry_run else "deleted"
    for name in names:
        out.print(f"{verb} {name}", markup=False)
    if not names:
        out.print(f"no branch is older than {days:g} days, or their experiments are open")
