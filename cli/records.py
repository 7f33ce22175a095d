"""The records as commands read them: experiments by the beginning of their ids."""

from cli.output import CommandError
from schemas.records import ExperimentRow
from services.records import Records
from services.settings import Settings


def open_records(settings: Settings | None = None) -> Records:
    """The records; their tables are made where this is the first command in a fresh home."""
    records = Records((settings or Settings()).records_url)
    records.migrate()
    return records


def resolve(experiment: str) -> str:
    """The one id on record that begins so."""
    found = matching(experiment)
    if not found:
        raise unknown(experiment)
    return found[0]


def matching(experiment: str) -> list[str]:
    """The one id on record that begins so, or nothing. CommandError where there are several, or nothing was named."""
    if not experiment.strip():
        raise CommandError("the experiment's id is empty; see: python starter.py list")
    found = open_records().find(experiment)
    if experiment in found:
        return [experiment]
    if len(found) > 1:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise CommandError(f"'{experiment}' could be {', '.join(found[:5])}{more}; write more of it")
    return found


def row_of(experiment: str) -> ExperimentRow:
    row = open_records().experiment(resolve(experiment))
    if row is None:
        raise unknown(experiment)
    return row


def unknown(experiment: str) -> CommandError:
    return CommandError(f"there is no experiment '{experiment}' on record; see: python starter.py list")
