"""Runs the command line; turns every expected error into one clear line and its exit code."""

import sys

import click

import cli.experiments  # noqa: F401 - registers its commands
from cli.app import app
from cli.output import CommandError, Exit, stop
from services.temporal.connect import TemporalUnreachable
from services.temporal.server import ServerError


def main() -> None:
    as_json = "--json" in sys.argv[1:]
    try:
        app()
    except EXPECTED as error:
        stop(str(error), as_json=as_json)
    except KeyboardInterrupt:
        stop(
            "interrupted; an experiment that was started goes on with the next worker",
            Exit.FAILED,
            as_json=as_json,
        )


EXPECTED = (CommandError, TemporalUnreachable, ServerError, click.ClickException)
