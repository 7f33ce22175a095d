"""What an experiment tells the memory, and what the next one gets: a real library, real artifacts, a real keeper."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.remembering import Remembering
from schemas.definition import StrategyDefinition
from schemas.gates import Gate, GateResult, Outcome
from schemas.memory import LearnInput, Lesson, LessonUse, Lived, RecallInput
from services.artifacts import Artifacts
from services.authoring import code_path
from services.library import Library
from services.memory import Memory, MemoryConfig
from services.memory.experience import Experience

BEFORE = (
    "class S(Strategy):\n    def next(self):\n        if self.rsi < self.level:\n            self.buy()\n"
)
AFTER = BEFORE.replace("self.rsi <", "self.rsi[-1] <")
DEFINITION = StrategyDefinition.model_validate(
    {
        "name": "RSI_Reversal",
        "symbol": "GOOG",
        "indicators": {"rsi": "RSI(14)"},
        "entry_rules": ["rsi < 30"],
        "exit_rules": ["rsi > 70"],
    }
)
FAILED = GateResult(
    gate=Gate.RUNS,
    outcome=Outcome.FAILED,
    summary="TypeError: '<' not supported between instances of '_Indicator' and 'NoneType'",
    details=["strategy.py, line 3"],
)
LOADED = GateResult(gate=Gate.LOADS, outcome=Outcome.PASSED, summary="S is a Strategy")
RAN = GateResult(gate=Gate.RUNS, outcome=Outcome.PASSED, summary="2148 bars, start to end")


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    config = MemoryConfig(folder=tmp_path_factory.mktemp("experience"), linger=0.4)
    with Memory(config, timeout=60) as made:
        yield made


@pytest.fixture
def memory(keeper: Memory) -> Memory:
    keeper.import_([], replace=True)
    return keeper


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(str(tmp_path / "library.git"))


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


@pytest.fixture
def experience(memory: Memory, library: Library, artifacts: Artifacts) -> Experience:
    return Experience(memory, library, artifacts)


def commit(library: Library, code: str, key: str) -> str:
    made = library.commit_files(
        branch=f"ai/{key}/exp-1",
        files={code_path("RSI_Reversal"): code},
        message="Try",
        trailers={"Experiment-Id": "exp-1"},
        base=library.head(),
        key=f"exp-1/{key}",
    )
    return made.commit


def lived(library: Library, fixed: list[GateResult] | None, **more: object) -> LearnInput:
    one = Lived(
        attempt=0,
        commit=commit(library, BEFORE, "generate"),
        gates=[LOADED, FAILED],
        fix_commit=commit(library, AFTER, "fix/1"),
        fixed_gates=fixed,
    )
    given = {"experiment_id": "exp-1", "definition": DEFINITION, "engine": "scripted", "lived": [one]}
    return LearnInput.model_validate(given | more)


def test_the_next_experiment_is_told_before_it_writes_any_code(
    experience: Experience, library: Library, artifacts: Artifacts
) -> None:
    assert experience.learn(lived(library, [LOADED, RAN])).new == 1
    recalled = experience.recall(RecallInput(experiment_id="exp-2", definition=DEFINITION))
    (one,) = recalled.lessons
    assert (one.experiment_id, one.worked, one.failed, one.fixed, one.gate) == (
        "exp-1",
        1,
        0,
        True,
        Gate.RUNS,
    )
    assert one.similarity == pytest.approx(1.0, abs=1e-3)
    assert recalled.artifact is not None
    full = Lesson.model_validate(*artifacts.get_json(recalled.artifact))
    assert "-        if self.rsi < self.level:\n+        if self.rsi[-1] < self.level:" in full.fix
    assert full.code.splitlines()[2] == "        if self.rsi < self.level:"
    assert (full.strategy, full.engine) == ("RSI_Reversal", "scripted")
    assert "self.rsi" not in recalled.model_dump_json(), "history holds no source"


def test_a_fix_recalls_what_failed_alike_in_another_strategy(
    experience: Experience, library: Library
) -> None:
    experience.learn(lived(library, [LOADED, RAN]))
    other = DEFINITION.model_copy(update={"name": "Other", "entry_rules": ["Volume > 10"], "indicators": {}})
    alike = FAILED.model_copy(
        update={"summary": "TypeError: '>' not supported between instances of 'NoneType' and 'float'"}
    )
    order = RecallInput(experiment_id="exp-2", definition=other, attempt=1, failures=[LOADED, alike])
    assert len(experience.recall(order).lessons) == 1
    elsewhere = alike.model_copy(update={"summary": alike.summary.replace("TypeError", "ValueError")})
    assert experience.recall(order.model_copy(update={"failures": [elsewhere]})).lessons == []


@pytest.mark.parametrize(
    ("fixed", "counts"),
    [([LOADED, RAN], (1, 0)), ([LOADED, FAILED], (0, 1)), ([], (0, 1)), (None, (0, 0))],
)
def test_whether_the_fix_worked_is_what_the_gate_then_said(
    experience: Experience,
    memory: Memory,
    library: Library,
    fixed: list[GateResult] | None,
    counts: tuple[int, int],
) -> None:
    experience.learn(lived(library, fixed))
    (found,) = memory.lessons()
    assert (found.worked, found.failed) == counts


def test_a_repeated_step_teaches_once(experience: Experience, memory: Memory, library: Library) -> None:
    order = lived(library, [LOADED, RAN])
    assert [experience.learn(order).new for _ in range(3)] == [1, 0, 0]
    again = order.model_copy(update={"experiment_id": "exp-9"})
    assert experience.learn(again).known == 1
    (found,) = memory.lessons()
    assert (found.seen, found.worked, found.experiment_id) == (2, 2, "exp-9")


def test_a_failure_without_a_fix_or_with_none_that_changes_anything_is_kept(
    experience: Experience, memory: Memory, library: Library
) -> None:
    failing = commit(library, BEFORE, "generate")
    unfixed = Lived(attempt=0, commit=failing, gates=[FAILED])
    unchanged = Lived(attempt=1, commit=failing, gates=[FAILED], fix_commit=failing, fixed_gates=[RAN])
    experience.learn(lived(library, None, lived=[unfixed, unchanged]))
    (found,) = memory.lessons()
    assert (found.fix, found.seen, found.worked) == ("", 2, 0)


def test_whether_a_lesson_helped_is_counted(experience: Experience, memory: Memory, library: Library) -> None:
    experience.learn(lived(library, [LOADED, RAN]))
    (known,) = memory.lessons()
    uses = [LessonUse(id=known.id, attempt=0, helped=True)]
    order = LearnInput(experiment_id="exp-2", definition=DEFINITION, engine="scripted", uses=uses)
    for _ in range(2):
        assert experience.learn(order).state == "answered"
    assert (memory.lessons()[0].recalled, memory.lessons()[0].helped) == (1, 1)


def test_only_so_many_lessons_are_given(memory: Memory, library: Library, artifacts: Artifacts) -> None:
    order = lived(library, [LOADED, RAN])
    Experience(memory, library, artifacts).learn(order)
    ask = RecallInput(experiment_id="exp-2", definition=DEFINITION)
    assert Experience(memory, library, artifacts, most=0).recall(ask).lessons == []


def test_code_that_is_gone_costs_a_note(experience: Experience, memory: Memory, library: Library) -> None:
    gone = Lived(attempt=0, commit="0" * 40, gates=[FAILED])
    learned = experience.learn(lived(library, None, lived=[gone]))
    assert (learned.state, learned.new) == ("down", 0)
    assert "nothing was learnt" in learned.note
    assert memory.lessons() == []


@pytest.mark.parametrize("state", ["off", "down"])
def test_without_a_memory_an_experiment_goes_on_with_a_note(
    state: str, tmp_path: Path, library: Library, artifacts: Artifacts, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "memory"
    with Memory(MemoryConfig(folder=folder), on=state != "off") as none:
        experience = Experience(none, library, artifacts)
        for _ in range(2):
            recalled = experience.recall(RecallInput(experiment_id="exp-2", definition=DEFINITION))
            learned = experience.learn(lived(library, [RAN]))
            assert (recalled.state, learned.state) == (state, state)
            assert recalled.note
            assert recalled.note == learned.note
    assert caplog.text.count(recalled.note) == 1, "said once"


def test_as_activities(experience: Experience, library: Library) -> None:
    remembering, beats = Remembering(experience), []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.append(details)
    assert environment.run(remembering.learn_lessons, lived(library, [LOADED, RAN])).new == 1
    ask = RecallInput(experiment_id="exp-2", definition=DEFINITION)
    assert len(environment.run(remembering.recall_lessons, ask).lessons) == 1
