"""Commands in this process, for the light ones; a home with experiments in it, made by real processes."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from cli.main import run
from tests.cli.door import ROOT, Outcome, starter, worker
from tests.support.temporal import CLI, Place

Command = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that nothing was done in yet, for commands in this process."""
    for name in [name for name in os.environ if name.startswith(("GENESIS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GENESIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GENESIS_STRATEGIES", str(ROOT / "strategies"))
    return tmp_path / "home"


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs one command line in this process."""

    def call(*given: object) -> Outcome:
        capsys.readouterr()
        code = run([str(part) for part in given])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return call


@pytest.fixture
def look(story: "Story", command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs commands that only read, in this process, on the home of the story."""
    monkeypatch.setenv("GENESIS_HOME", str(story.home))
    return command


@dataclass(frozen=True)
class Story:
    """A home with two merged versions of RSI_Reversal, the second approved by a person after two tries."""

    home: Path
    starter: Command
    merged: Outcome
    waiting: Outcome
    stale: Outcome
    approved: Outcome
    late: Outcome


@pytest.fixture(scope="session")
def temporal(temporal: Place) -> Place:
    """Of the command line's own: its experiments have names that others take too."""
    return Place(temporal.address, CLI)


@pytest.fixture(scope="session")
def story(temporal: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Served by a worker process, as in a fleet; what happens without one is in test_terminal."""
    home = tmp_path_factory.mktemp("story") / "home"
    where = {**temporal.environment, "GENESIS_TASK_QUEUE": f"cli-{os.getpid()}"}
    call = partial(starter, home, **where)
    changed = json.loads((ROOT / "strategies" / "RSI_Reversal.json").read_text())
    changed["risk_limits"] = {"stop_loss": "5%"}
    changed["version"] = "1.1.0"
    definition = tmp_path_factory.mktemp("definitions") / "changed.json"
    definition.write_text(json.dumps(changed))
    with worker(home, **where):
        merged = call("--strategy", "RSI_Reversal", "--id", "first", "--json")
        assert merged.code == 0, merged.said
        yield Story(
            home,
            call,
            merged,
            waiting=call("--definition", definition, "--approval", "manual", "--id", "second"),
            stale=call("approve", "second", "--commit", "0123abc", "--json"),
            approved=call("approve", "sec", "--by", "mia", "--comment", "fine [/] with me"),
            late=call("approve", "second", "--json"),
        )
