"""What `--fork` takes up, and what it can't be given together with."""

from collections.abc import Sequence

from cli.output import CommandError
from cli.records import open_records, resolve
from schemas.definition import StrategyDefinition
from services.artifacts import Artifacts
from services.forks import Origin
from services.library import Library
from services.settings import Settings


def origin_of(experiment: str, settings: Settings) -> Origin:
    """The one experiment on record whose id begins so."""
    return Origin(
        resolve(experiment),
        open_records(settings),
        Artifacts(settings.home / "artifacts"),
        Library(settings.library_location, mirror=settings.home / "library-mirror.git"),
    )


def refuse_other_writers(engines: Sequence[str], candidates: int) -> None:
    if candidates > 1:
        raise CommandError(
            f"--fork begins with one code, so --candidates {candidates} has nothing to write; leave it out"
        )
    if engines:
        raise CommandError(
            f"--fork begins with code that is written, and its own engine repairs it; leave --engine {engines[0]} away"
        )


def refuse_other_strategy(origin: Origin, definition: StrategyDefinition) -> None:
    if definition.name != origin.strategy:
        raise CommandError(
            f"{origin.experiment_id} is of {origin.strategy}, and its code can't be forked as {definition.name}; "
            "give a definition of that name, or leave it out"
        )
