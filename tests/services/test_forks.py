"""Code that is on record becomes a commit of another experiment: the same bytes, the files beside it, once."""

from pathlib import Path

import git
import pytest
from pydantic import ValidationError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.authoring import Authoring
from domain.definitions import check_definition
from schemas.code import FixedCode, GeneratedCode
from schemas.experiment import ExperimentRequest, Fork, ForkStep
from schemas.market import DataSet
from schemas.orders import FixOrder, GenerateOrder
from schemas.steps import AdoptInput, Committed, GenerateInput
from services.artifacts import Artifacts
from services.authoring import Author, code_path, definition_path
from services.definitions import load_definition
from services.engines import Engines
from services.library import Library
from services.records import Records

ROOT = Path(__file__).parents[2]
DEFINITION = load_definition("RSI_Reversal", root=ROOT / "strategies").definition
CODE = "class Reversal:\n    '''«☂»'''\n"
NOTES = "strategies/RSI_Reversal/notes/why.md"


class Once:
    """Writes code with a file beside it, and nothing a second time."""

    name = "once"

    def __init__(self) -> None:
        self.asked = 0

    def generate(self, order: GenerateOrder) -> GeneratedCode:
        self.asked += 1
        assert self.asked == 1, "the engine was asked again"
        return GeneratedCode(code=CODE, entrypoint="Reversal", files={"notes/why.md": "because"})

    def fix(self, order: FixOrder) -> FixedCode:
        raise AssertionError("nothing was to be repaired")


class Desk:
    def __init__(self, home: Path) -> None:
        self.artifacts = Artifacts(home / "artifacts")
        self.library = Library(home / "library.git")
        self.records = Records(f"sqlite:///{home / 'records.db'}")
        self.records.migrate()
        author = Author(Engines([Once()], {}), self.library, self.artifacts, self.records, "host")
        self.activities = Authoring(author)
        self.environment = ActivityEnvironment()

    def generated(self) -> Committed:
        order = GenerateInput(
            experiment_id="origin",
            definition=DEFINITION,
            data="d" * 64,
            engine="once",
            branch="ai/generate/RSI_Reversal/origin",
            lease_seconds=60,
        )
        found = self.environment.run(self.activities.generate_code, order)
        assert isinstance(found, Committed)
        return found

    def adopted(self, fork: Fork) -> Committed:
        order = AdoptInput(
            experiment_id="child",
            definition=DEFINITION.model_copy(update={"version": "2.0.0"}),
            data="e" * 64,
            branch="ai/generate/RSI_Reversal/child",
            lease_seconds=60,
            fork=fork,
        )
        found = self.environment.run(self.activities.adopt_code, order)
        assert isinstance(found, Committed)
        return found


def fork_of(code: Committed) -> Fork:
    return Fork(
        experiment_id="origin",
        step=ForkStep.GENERATED,
        attempt=1,
        commit=code.commit,
        code=code.code,
        files=code.files,
        entrypoint=code.entrypoint,
        engine=code.engine,
    )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_definition_s_digest_names_an_artifact(desk: Desk) -> None:
    code = desk.generated()
    assert check_definition(desk.artifacts.get_json(code.definition_digest)).definition == DEFINITION


def test_the_same_code_and_files_under_the_new_definition(desk: Desk) -> None:
    code = desk.generated()
    desk.library.delete_branch(code.branch)
    made = desk.adopted(fork_of(code))
    assert (made.code, made.files, made.entrypoint, made.engine) == (
        code.code,
        code.files,
        code.entrypoint,
        "once",
    )
    assert (made.usage, made.prompt) == (None, None)
    assert made.summary == "2 lines by once, from origin"
    assert made.definition_digest != code.definition_digest
    assert desk.library.read(made.commit, code_path("RSI_Reversal")) == CODE
    assert desk.library.read(made.commit, NOTES) == "because"
    assert '"2.0.0"' in desk.library.read(made.commit, definition_path("RSI_Reversal"))
    message = str(git.Repo(desk.library.path).commit(made.commit).message)
    assert message.startswith("Adopt RSI_Reversal 2.0.0 with once")
    for line in ("Experiment-Id: child", "Engine: once", "Forked-From: origin"):
        assert line in message.splitlines()
    assert [lease.name for lease in desk.records.leases(open_only=True)] == [code.branch, made.branch]


def test_repeated_it_finds_what_it_made(desk: Desk) -> None:
    fork = fork_of(desk.generated())
    assert desk.adopted(fork) == desk.adopted(fork)


@pytest.mark.parametrize("what", ["code", "files"])
def test_what_is_gone_fails_for_good(desk: Desk, what: str) -> None:
    code = desk.generated()
    desk.artifacts.path(getattr(code, what)).unlink()
    with pytest.raises(ApplicationError) as told:
        desk.adopted(fork_of(code))
    assert told.value.type == "ArtifactMissing"
    assert told.value.non_retryable


def test_nothing_is_written_beside_a_fork(desk: Desk) -> None:
    data = DataSet(digest="d" * 64, name="GOOG", bars=9, start="a", end="b", interval="1d")
    fork = fork_of(desk.generated())
    request = ExperimentRequest(experiment_id="child", definition=DEFINITION, data=data, fork=fork)
    assert request.writers == ["offline"]
    for more in ({"candidates": 2}, {"engines": ["offline", "once"]}):
        with pytest.raises(ValidationError, match="a fork begins with one code"):
            ExperimentRequest(experiment_id="child", definition=DEFINITION, data=data, fork=fork, **more)
