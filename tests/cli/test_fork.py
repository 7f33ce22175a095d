"""`--fork EXPERIMENT --from STEP`: what is taken up from the record, what is refused, and a fork from end to end."""

import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.running import Wish, request_from
from domain.definitions import canonical_definition
from schemas.budget import Budget
from schemas.definition import StrategyDefinition, Thresholds
from schemas.experiment import ApprovalPolicy, ExperimentRequest, ExperimentStatus, ForkStep
from schemas.records import Event
from schemas.sandbox import Limits
from schemas.trading import Costs
from services.artifacts import Artifacts
from services.definitions import load_definition
from services.library import Library
from services.market_data import MarketData
from services.records import Records
from services.settings import Settings
from tests.cli.conftest import Command
from tests.cli.door import ROOT, starter, worker
from tests.support.temporal import Place

START = datetime(2026, 1, 1, tzinfo=UTC)
ENGINE = "openai:gpt-5"


class Past:
    """Experiments that were never run, as the records and the artifacts would hold them."""

    def __init__(self) -> None:
        settings = Settings()
        self.artifacts = Artifacts(settings.home / "artifacts")
        self.market = MarketData(self.artifacts)
        self.records = Records(settings.records_url)
        self.records.migrate()
        self.library = Library(settings.library_location, mirror=settings.home / "library-mirror.git")
        self.definition = load_definition("RSI_Reversal", root=ROOT / "strategies").definition
        self._told: dict[str, int] = {}

    def tell(self, experiment: str, event: str, **data: Any) -> None:
        number = self._told[experiment] = self._told.get(experiment, -1) + 1
        status = ExperimentStatus.RUNNING if event == "experiment_opened" else None
        self.records.write(
            [
                Event(
                    event_id=f"{experiment}#{number}",
                    experiment_id=experiment,
                    sequence=number,
                    at=START,
                    event=event,
                    status=status,
                    data=data,
                )
            ]
        )

    def open(self, experiment: str, data: str = "GOOG") -> None:
        self.tell(
            experiment,
            "experiment_opened",
            strategy="RSI_Reversal",
            data_name=data,
            data_sha256=self.market.load(data).digest,
            engine=ENGINE,
            approval="auto",
            requested_by="ada",
        )

    def write(self, experiment: str, code: str, commit: str = "a", **more: Any) -> str:
        """The first code; gives its digest."""
        digest = self.artifacts.put(code.encode())
        definition: StrategyDefinition = more.pop("definition", self.definition)
        known = {"entrypoint": "Rebound", "engine": ENGINE, "commit": commit * 40, "code": digest}
        kept = self.artifacts.put(canonical_definition(definition))
        self.tell(experiment, "code_generated", **(known | {"definition_sha256": kept} | more))
        return digest

    def judge(self, experiment: str, attempt: int, code: str, commit: str, **more: Any) -> str:
        """Code as it was validated and judged; gives its digest."""
        digest = self.artifacts.put(code.encode())
        self.tell(experiment, "code_validated", commit=commit * 40, code=digest, **more)
        self.tell(
            experiment, "gates_judged", attempt=attempt, commit=commit * 40, gates={"valid": "passed"}, **more
        )
        return digest

    def lose(self, digest: str) -> None:
        self.artifacts.path(digest).unlink()


@pytest.fixture
def past(home: Path) -> Past:
    return Past()


def asked(fork: str | None, step: ForkStep | None = None, **more: Any) -> ExperimentRequest:
    """The request that the options make, without starting it."""
    fields: dict[str, Any] = {
        "strategy": None,
        "definition": None,
        "data": None,
        "engines": [],
        "candidates": 1,
        "budget": Budget(),
        "approval": ApprovalPolicy.AUTO,
        "max_fixes": 3,
        "timeout": None,
        "thresholds": Thresholds(),
        "costs": Costs(),
        "sandbox": None,
        "limits": Limits(),
        "holdout": 0.0,
        "experiment_id": None,
        "detach": True,
        "as_json": False,
    }
    return request_from(Wish(fork=fork, fork_step=step, **(fields | more)), Settings())


# -- what is taken up


def test_the_first_code_with_its_definition_its_data_and_its_engine(past: Past) -> None:
    past.definition = past.definition.model_copy(update={"description": "as it was then – «☂»"})
    past.open("exp-1", data="EURUSD")
    files = past.artifacts.put_json({"notes.md": "of the model"})
    first = past.write("exp-1", "first", artifacts={"files": files})
    past.judge("exp-1", 1, "formatted", "b")
    past.judge("exp-1", 2, "repaired", "c")
    request = asked("exp")
    assert request.fork is not None
    assert (request.fork.experiment_id, request.fork.step) == ("exp-1", ForkStep.GENERATED)
    assert (request.fork.code, request.fork.files) == (first, files)
    assert (request.fork.attempt, request.fork.commit) == (1, "a" * 40)
    assert (request.fork.entrypoint, request.fork.engine, request.engine) == ("Rebound", ENGINE, ENGINE)
    assert request.definition == past.definition
    loaded = past.market.load("EURUSD")
    assert (request.data.digest, request.data.name, request.data.bars) == (
        loaded.digest,
        "EURUSD",
        loaded.bars,
    )


def test_what_was_judged_last(past: Past) -> None:
    past.open("exp-1")
    past.write("exp-1", "first")
    past.judge("exp-1", 1, "formatted", "b")
    repaired = past.judge("exp-1", 2, "repaired", "c")
    past.tell("exp-1", "code_validated", commit="d" * 40, code=past.artifacts.put(b"never judged"))
    fork = asked("exp-1", ForkStep.JUDGED).fork
    assert fork is not None
    assert (fork.code, fork.attempt, fork.commit) == (repaired, 2, "c" * 40)


def test_of_candidates_the_chosen_one(past: Past) -> None:
    past.open("exp-1")
    for number, letter in enumerate("abc", start=1):
        past.write(
            "exp-1",
            f"first of {number}",
            letter,
            candidate=number,
            engine=f"openai:{letter}",
            entrypoint=letter,
        )
    for number, letter in enumerate("abc", start=1):
        past.judge("exp-1", number, f"judged of {number}", letter, candidate=number)
    undecided = asked("exp-1").fork
    assert undecided is not None
    assert undecided.engine == "openai:c", "the one that was judged last"
    past.tell("exp-1", "candidate_chosen", candidate=2, attempt=2, commit="b" * 40)
    generated, judged = (asked("exp-1", step).fork for step in ForkStep)
    assert generated is not None
    assert judged is not None
    assert past.artifacts.get(generated.code) == b"first of 2"
    assert past.artifacts.get(judged.code) == b"judged of 2"
    for fork in (generated, judged):
        assert (fork.attempt, fork.engine, fork.entrypoint) == (2, "openai:b", "b")


def test_other_data_and_another_definition_of_that_name(past: Past, tmp_path: Path) -> None:
    past.open("exp-1")
    past.write("exp-1", "first")
    data = json.loads((ROOT / "strategies" / "RSI_Reversal.json").read_text())
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(data | {"version": "9.0.0", "start_date": "2010-01-01"}))
    request = asked("exp-1", definition=changed, data="EURUSD", costs=Costs(commission=0.001), holdout=0.2)
    assert (request.definition.version, request.data.name, request.costs.commission) == (
        "9.0.0",
        "EURUSD",
        0.001,
    )
    assert request.holdout is not None
    assert request.fork is not None
    clipped = asked("exp-1", definition=changed)
    assert clipped.data.start.startswith("2010-01-04"), "the experiment's own bars, from the new start"


def test_the_data_includes_what_was_held_back(past: Past) -> None:
    whole = past.market.load("GOOG")
    known = past.market.hold_back(whole, 400)
    past.tell(
        "exp-1",
        "experiment_opened",
        strategy="RSI_Reversal",
        data_name="GOOG",
        data_sha256=known.digest,
        whole_sha256=whole.digest,
    )
    past.write("exp-1", "first")
    assert asked("exp-1").data.digest == whole.digest
    again = asked("exp-1", holdout=0.2).holdout
    assert again is not None
    assert again.whole.digest == whole.digest


def test_a_definition_from_the_library_and_an_entrypoint_from_the_code(past: Past) -> None:
    """Records that are older than forks have neither an entrypoint nor the definition as an artifact."""
    past.open("exp-1")
    code = "from backtesting import Strategy\n\n\nclass Old(Strategy):\n    pass\n"
    made = past.library.commit_files(
        branch="ai/generate/RSI_Reversal/exp-1",
        files={"strategies/RSI_Reversal/definition.json": past.definition.model_dump_json()},
        message="Generate",
        trailers={"Experiment-Id": "exp-1"},
        key="exp-1/generate",
    )
    kept = past.artifacts.put(canonical_definition(past.definition))
    past.tell(
        "exp-1",
        "code_generated",
        commit=made.commit,
        code=past.artifacts.put(code.encode()),
        engine=ENGINE,
        definition_sha256=kept,
    )
    past.lose(kept)
    request = asked("exp-1")
    assert request.definition == past.definition
    assert request.fork is not None
    assert request.fork.entrypoint == "Old"


# -- what is refused


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fork", "nothing"], "there is no experiment 'nothing' on record"),
        (["--fork", ""], "the experiment's id is empty"),
        (["--fork", "exp"], "'exp' could be exp-1, exp-2"),
        (["--fork", "\x1b[31m💥"], "there is no experiment"),
        (["--fork", "exp-2"], "no code of exp-2 is on record, so there is nothing to fork"),
        (["--fork", "exp-1", "--from", "judged"], "no code of exp-1 was judged; take up what was generated"),
        (["--fork", "exp-1", "--from", "merged"], "'merged' is not one of 'generated', 'judged'"),
        (["--fork", "exp-1", "--candidates", "2"], "--candidates 2 has nothing to write; leave it out"),
        (["--fork", "exp-1", "--engine", "offline"], "leave --engine offline away"),
        (["--fork", "exp-1", "--strategy", "EMA_Cross_Trend"], "exp-1 is of RSI_Reversal"),
        (
            ["--fork", "exp-1", "--strategy", "RSI_Reversal", "--definition", "x.json"],
            "either --strategy NAME",
        ),
        (["--fork", "exp-1", "--data", "nowhere.csv"], "no such data"),
        (["--strategy", "RSI_Reversal", "--from", "generated"], "name that: --fork EXPERIMENT"),
        (["--from", "generated"], "--from without a strategy"),
        (["list", "--fork", "exp-1"], "No such option"),
        (["--fork", "exp-1", "list"], "--fork stands before the command"),
    ],
)
def test_what_can_not_be_asked_for(past: Past, command: Command, options: list[str], told: str) -> None:
    past.open("exp-1")
    past.write("exp-1", "first")
    past.open("exp-2")
    outcome = command(*options)
    assert outcome.code == 2, outcome.said
    assert told in " ".join(outcome.stderr.split()), outcome.said
    assert "\x1b[31m" not in outcome.stderr
    assert [row.experiment_id for row in past.records.experiments()] == ["exp-2", "exp-1"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("code", "for want of the code generated at attempt 1"),
        ("files", "for want of the files beside its code"),
        ("definition", "the definition of exp-1 can't be found"),
        ("data", "for want of its data"),
    ],
)
def test_what_is_gone(past: Past, command: Command, what: str, told: str) -> None:
    past.open("exp-1")
    files = past.artifacts.put_json({"notes.md": "of the model"})
    past.write("exp-1", "first", artifacts={"files": files})
    row = past.records.experiment("exp-1")
    assert row is not None
    past.lose(row.artifacts[what])
    outcome = command("--fork", "exp-1", "--json")
    assert outcome.code == 2, outcome.said
    assert told in outcome.json["error"]
    instead = {"definition": "--definition FILE", "data": "--data"}.get(what, "run it anew")
    assert instead in outcome.json["error"]


def test_damaged_code_is_not_taken_up(past: Past, command: Command) -> None:
    past.open("exp-1")
    path = past.artifacts.path(past.write("exp-1", "first"))
    path.chmod(0o644)
    path.write_text("other")
    outcome = command("--fork", "exp-1", "--json")
    assert outcome.code == 2
    assert "is damaged" in outcome.json["error"]


def test_which_class_it_is_must_be_known(past: Past, command: Command) -> None:
    past.open("exp-1")
    past.write("exp-1", "class One: pass\n\n\nclass Two: pass\n", entrypoint=None)
    outcome = command("--fork", "exp-1", "--json")
    assert outcome.code == 2
    assert "which class of One, Two is the strategy" in outcome.json["error"]


def test_help_names_both_options(command: Command) -> None:
    told = " ".join(command("--help").stdout.split())
    assert "--fork" in told
    assert "--from" in told
    assert "the first code that was generated, or what was judged last" in told.replace("│ │ ", "")


# -- from end to end


@pytest.mark.server
@pytest.mark.timeout(180)
def test_a_fork_from_end_to_end(temporal: Place, tmp_path: Path) -> None:
    where = {**temporal.environment, "GENESIS_TASK_QUEUE": f"fork-{os.getpid()}"}
    call = partial(starter, tmp_path / "home", **where)
    name, child = f"origin-{os.getpid()}", f"child-{os.getpid()}"
    with worker(tmp_path / "home", **where):
        first = call("--strategy", "RSI_Reversal", "--id", name, "--json")
        assert first.code == 0, first.said
        told = call("--fork", name[:-1], "--from", "judged", "--id", child, "--commission", "0.001", "--json")
    assert told.code == 0, told.said
    assert f"fork: {name}, the code judged at attempt 1 by offline; no engine is asked for it" in told.stderr
    assert (told.json["status"], told.json["code"]) == ("merged", first.json["code"])
    assert told.json["data"] == first.json["data"]
    assert told.json["metrics"]["return_pct"] < first.json["metrics"]["return_pct"]
    assert told.json["forked_from"]["experiment_id"] == name
    shown = call("show", child)
    assert f"forked from     {name}, the code judged at attempt 1 by offline" in shown.stdout, shown.said
    assert call("show", child, "--json").json["forked_from"] == told.json["forked_from"]
    assert call("show", name, "--json").json["forked_from"] is None
    assert "forked from" not in call("show", name).stdout
    assert "code_adopted" in call("audit", "--experiment", child, "--json").stdout
