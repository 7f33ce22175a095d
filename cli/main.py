"""Runs the command line; turns every expected error into one clear line and its exit code."""

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from cli.app import app
from cli.errors import exit_of, in_words
from cli.output import Exit, told
from services.collector import relax

# Each registers its commands, in the order of `--help`; what is heavy they import when a command runs.
# isort: off
import cli.deciding
import cli.budget
import cli.experiments
import cli.auditing
import cli.definitions
import cli.code
import cli.sandbox
import cli.library
import cli.memory
import cli.replaying
import cli.sweeping
import cli.secrets
import cli.doctor  # noqa: F401

# isort: on

INTERRUPTED = (
    "interrupted; an experiment that was started goes on with the next worker, see: python starter.py jobs"
)


def main() -> NoReturn:
    """Run the process's command line and end the process.

    Without the interpreter's own teardown: the Temporal SDK's threads may still be on their way back into it after a
    call, and the process would then end by SIGABRT instead of its exit code. All that must be closed is closed by now.
    """
    relax()
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    as_json = "--json" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the terminal hasn't is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(list(arguments), prog_name="python starter.py", standalone_mode=False)
        if code == Exit.INTERRUPTED:  # typer's answer to Ctrl-C
            return told(INTERRUPTED, Exit.INTERRUPTED, as_json=as_json)
        return int(code or 0)
    except SystemExit as ended:  # rich and typer leave so when whoever read our output has gone
        return ended.code if isinstance(ended.code, int) else Exit.FAILED
    except BrokenPipeError:
        return Exit.FAILED
    except KeyboardInterrupt:
        return told(INTERRUPTED, Exit.INTERRUPTED, as_json=as_json)
    except Exception as error:
        expected = exit_of(error)
        if expected is None:
            raise
        return told(in_words(error), expected, as_json=as_json)
