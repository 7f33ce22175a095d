"""Runs the command line; turns every expected error into one clear line and its exit code."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from cli.app import app
from cli.errors import exit_of, in_words
from cli.output import Exit, stop

# isort: off - each registers its commands, in the order of `--help`; what is heavy they import when a command runs
import cli.deciding  # noqa: F401
import cli.experiments  # noqa: F401
import cli.definitions  # noqa: F401
import cli.code  # noqa: F401
import cli.sandbox  # noqa: F401
import cli.library  # noqa: F401
import cli.replaying  # noqa: F401
import cli.doctor  # noqa: F401

# isort: on

INTERRUPTED = "interrupted; an experiment that was started goes on with the next worker, see: python starter.py jobs"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line (the process's own where none is given) and exit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a character that the terminal hasn't is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(given, prog_name="python starter.py", standalone_mode=False)
    except BrokenPipeError:
        _leave_quietly()
    except KeyboardInterrupt:
        stop(INTERRUPTED, Exit.INTERRUPTED, as_json=as_json)
    except Exception as error:
        expected = exit_of(error)
        if expected is None:
            raise
        stop(in_words(error), expected, as_json=as_json)
    if code == Exit.INTERRUPTED:  # typer's answer to Ctrl-C
        stop(INTERRUPTED, Exit.INTERRUPTED, as_json=as_json)
    raise SystemExit(int(code or 0))


def _leave_quietly() -> NoReturn:
    """Whoever read our output has gone: `| head`. The interpreter mustn't complain when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(int(Exit.FAILED))
