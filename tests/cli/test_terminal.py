"""Terminals and pipes: a person who answers, one who presses Ctrl-C, a reader that goes, an encoding that is poor."""

import asyncio
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from services.temporal.connect import LOCAL
from services.temporal.server import answers
from tests.cli.conftest import Story
from tests.cli.door import ROOT, arguments, environment, starter
from tests.support.temporal import Place


def hear_ctrl_c() -> None:
    """A shell's background jobs, and what they start, are deaf to it: these tests may be run by one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, home: Path, *given: str, **env: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            arguments(*given),
            cwd=ROOT,
            env=environment(home, TERM="xterm", COLUMNS="200", **env),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,
        )
        os.close(slave)
        self.shown = ""

    def until(self, pattern: str, seconds: float = 60) -> None:
        """Read on until the pattern is shown after what was waited for before."""
        seen, deadline = len(self.shown), time.monotonic() + seconds
        while not re.search(pattern, self.shown[seen:]):
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{pattern} was not shown within {seconds} s: {self.shown[-3000:]}"
            self.shown += os.read(self._master, 65536).decode("utf-8", "replace")

    def type(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def end(self, seconds: float = 60) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                ready, _, _ = select.select([self._master], [], [], 0.2)
                data = os.read(self._master, 65536) if ready else b""
            except OSError:  # the other side is closed
                break
            self.shown += data.decode("utf-8", "replace")
            if not ready and self.process.poll() is not None:
                break
        os.close(self._master)
        return self.process.wait(10)


@pytest.mark.server
def test_a_person_at_the_terminal_looks_and_approves(story: Story, temporal: Place) -> None:
    terminal = Terminal(
        story.home,
        *("--strategy", "ADX_Trend", "--approval", "manual", "--id", "asked"),
        **temporal.environment,
        GENESIS_TASK_QUEUE=f"cli-terminal-{os.getpid()}",
    )
    terminal.until(r"✓ conforms(?s:.*)strategy\.py(?s:.*)report: (?s:.*)merge it\?")
    terminal.type("perhaps")
    terminal.until(r"is no answer(?s:.*)merge it\?")
    terminal.type("diff")
    terminal.until(r"strategy\.py(?s:.*)merge it\?")
    terminal.type("approve")
    terminal.until(r"comment \(none\)")
    terminal.type("looks right")
    assert terminal.end() == 0, terminal.shown
    assert "tagged strategies/ADX_Trend/v1" in terminal.shown
    assert "Traceback" not in terminal.shown


@pytest.mark.server
def test_ctrl_c_at_the_question_changes_nothing_and_a_later_process_approves(
    story: Story, temporal: Place
) -> None:
    """Nobody serves in between: the process that asked was the worker, and so is the one that approves."""
    queue = f"cli-unserved-{os.getpid()}"
    terminal = Terminal(
        story.home,
        *("--strategy", "ADX_Trend", "--approval", "manual", "--id", "put-off"),
        **temporal.environment,
        GENESIS_TASK_QUEUE=queue,
    )
    terminal.until(r"merge it\?")
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end(30) == 130, terminal.shown
    assert "interrupted" in terminal.shown
    assert "Traceback" not in terminal.shown
    rows = story.starter("jobs", "--json").json["experiments"]
    assert [(row["experiment_id"], row["status"]) for row in rows] == [("put-off", "waiting")]
    approved = story.starter("approve", "put-off", "--json", GENESIS_TASK_QUEUE=queue)
    assert approved.code == 0, approved.said
    assert approved.json["status"] == "merged"


@pytest.mark.server
def test_with_no_server_an_interrupted_experiment_is_taken_up_again(tmp_path: Path) -> None:
    """The embedded server and worker go with the process, the experiment doesn't."""
    home = tmp_path / "home"
    taken = asyncio.run(answers(LOCAL))
    with subprocess.Popen(
        arguments("--strategy", "RSI_Reversal", "--id", "alone", "--approval", "dry-run"),
        cwd=ROOT,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " generate" in line:
                break
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    if not taken:
        assert (home / "temporal" / "temporal.db").is_file()
    ended = starter(home, "status", "alone", "--watch", "--json")
    assert ended.code == 0, ended.said
    assert ended.json["status"] == "dry_run"
    assert ended.json["metrics"]["trades"] > 0
    assert starter(home, "library", "list", "--json").json["strategies"] == []


@pytest.mark.parametrize("given", [["show-schema", "ExperimentRequest"], ["list"], ["--help"]])
def test_a_reader_that_goes_gets_no_traceback(tmp_path: Path, given: list[str]) -> None:
    process = subprocess.Popen(
        arguments(*given),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert said == ""


def test_a_terminal_that_knows_ascii_alone(tmp_path: Path) -> None:
    poor = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "NO_COLOR": "1"}
    told = starter(tmp_path, "validate", "naïve", "--json", **poor)
    assert told.code == 2
    assert told.json["definitions"][0]["file"] == "naïve"
    assert told.stdout.isascii()
    assert starter(tmp_path, "--help", **poor).code == 0


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.json")
    told = starter(tmp_path, "validate", name, "--json")
    assert told.code == 2
    assert told.json["definitions"][0]["file"] == name


def test_no_colour_where_none_is_wanted(tmp_path: Path) -> None:
    assert "\x1b" not in starter(tmp_path, "doctor", NO_COLOR="1").stdout


def test_help_and_list_are_quick(tmp_path: Path) -> None:
    """Neither loads what an experiment needs; time is not asserted, what is loaded is."""
    probe = (
        "import sys; sys.path.insert(0, '.'); from cli.main import run; run(sys.argv[1:]); "
        "print(sorted({'pandas', 'numpy', 'temporalio', 'docker', 'black', 'lark', 'git'} & set(sys.modules)), "
        "file=sys.stderr)"
    )
    for given in (["--help"], ["list"], ["show-schema"], ["audit", "--json"]):
        done = subprocess.run(
            [arguments()[0], "-c", probe, *given],
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.splitlines()[-1] == "[]", given
