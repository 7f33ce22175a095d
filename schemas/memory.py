"""Memory: what failed in earlier experiments, what was done about it, and whether that helped."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Shape
from schemas.code import Digest, Sha
from schemas.definition import StrategyDefinition
from schemas.gates import Gate, GateResult

Framework = Annotated[str, Field(min_length=1, max_length=64)]
ErrorType = Annotated[str, Field(min_length=1, max_length=128)]
"""An exception's class, a rule of the code policy, or else the gate's name."""
LessonId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Count = Annotated[int, Field(ge=0)]

MOST_MESSAGE = 2_000
MOST_CODE = 4_000
MOST_FIX = 16_000
"""Characters that are kept; `domain.lessons` cuts, and says where."""


class Failure(Shape):
    """One failed gate in the words by which it is remembered and recalled."""

    gate: Gate
    error_type: ErrorType
    message: Annotated[str, Field(min_length=1, max_length=MOST_MESSAGE)]
    """Without what differs from run to run: addresses, paths, numbers, dates."""
    line: int | None = None
    """Of the strategy's code, where the gate named one."""


class Lesson(Shape):
    """A failure, the code it came from, and the fix that was tried, with how often that worked.

    The id follows from framework, gate, error type, message and the fix: the same lesson met again is counted, not
    kept twice. What else it holds is of the experiment that met it last.
    """

    id: LessonId
    framework: Framework = "backtesting.py"
    gate: Gate
    error_type: ErrorType
    message: Annotated[str, Field(min_length=1, max_length=MOST_MESSAGE)]
    """Normalised, see `Failure`."""
    code: Annotated[str, Field(max_length=MOST_CODE)] = ""
    """Around the failure, before the fix."""
    fix: Annotated[str, Field(max_length=MOST_FIX)] = ""
    """A unified diff; empty where the failure was never fixed."""
    rules: Annotated[str, Field(max_length=MOST_CODE)] = ""
    """What the definition asks for, in short: by it a lesson is found before any code exists."""
    worked: Count = 0
    """How often the gate passed after the fix."""
    failed: Count = 0
    """How often it didn't."""
    seen: Annotated[int, Field(ge=1)] = 1
    recalled: Count = 0
    """How often an engine was given it."""
    helped: Count = 0
    """How often the code that was then written got past the gate."""
    similarity: float | None = None
    """Cosine, to what was asked for; None where nothing was."""
    experiment_id: str
    """The source."""
    engine: str
    strategy: str
    definition: Digest | None = None


class Recall(Shape):
    """A question to the memory. With a failure: lessons of its framework and error type, by its message. Without one:
    of its framework, by `rules`."""

    framework: Framework = "backtesting.py"
    failure: Failure | None = None
    rules: Annotated[str, Field(max_length=MOST_CODE)] = ""
    text: Annotated[str, Field(max_length=MOST_MESSAGE)] = ""
    """A person's words, in place of a failure or rules."""
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least similarity; the setting's where None."""
    most: Annotated[int, Field(ge=1, le=100)] = 3


class Observation(Shape):
    """A lesson as one attempt of one experiment taught it."""

    key: Annotated[str, Field(min_length=1, max_length=200)]
    """`experiment#attempt`: told twice under the same key, it is counted once."""
    lesson: Lesson
    """Its counts are what is added."""


class LessonUse(Shape):
    """One lesson that an engine was given."""

    id: LessonId
    attempt: Count
    """What it was given for: 0 for the first code, else the number of the fix."""
    helped: bool
    """Whether the code that was then written got past the lesson's gate."""


class MemoryStats(Shape):
    where: str
    model: str
    dimension: int
    lessons: int
    with_fix: int
    seen: int
    worked: int
    failed: int
    recalled: int
    helped: int
    by_error_type: dict[str, int]
    """Most frequent first, at most twenty."""


# Activities


class RecallInput(Shape):
    experiment_id: str
    definition: StrategyDefinition
    attempt: Count = 0
    """0 before the first code, else the number of the fix that is to be written."""
    failures: list[GateResult] = []
    """The failed gates; empty before the first code."""


class LessonRef(Shape):
    """A recalled lesson as history and a person see it; its code and fix stay in the artifact."""

    id: LessonId
    gate: Gate
    error_type: ErrorType
    summary: str
    """The beginning of its message."""
    similarity: float
    worked: Count
    failed: Count
    fixed: bool
    """Whether it holds a fix."""
    experiment_id: str


class GivenLesson(Shape):
    """A lesson as an experiment's report shows it."""

    attempt: Annotated[int, Field(ge=1)]
    """The attempt whose code was written with it."""
    lesson: LessonRef
    helped: bool | None = None
    """Whether that code got past the lesson's gate; None where it was never judged."""


class Recalled(Shape):
    state: Literal["answered", "off", "down"] = "answered"
    """off: switched off or not installed; down: it should have answered."""
    lessons: list[LessonRef] = []
    artifact: Digest | None = None
    """The lessons in full, as a JSON list of `Lesson`; None where there are none."""
    note: str = ""
    """Why there was no answer."""


class Lived(Shape):
    """One attempt that failed, and what came of its fix."""

    attempt: Count
    commit: Sha
    """The code that failed."""
    gates: list[GateResult]
    """All of its gates."""
    fix_commit: Sha | None = None
    """The code that the engine then wrote; None where it wrote none."""
    fixed_gates: list[GateResult] | None = None
    """How that code fared; None where it was never judged."""


class LearnInput(Shape):
    experiment_id: str
    definition: StrategyDefinition
    definition_digest: Digest | None = None
    engine: str
    lived: list[Lived] = []
    uses: list[LessonUse] = []


class Learned(Shape):
    state: Literal["answered", "off", "down"] = "answered"
    new: Count = 0
    """Lessons that weren't known."""
    known: Count = 0
    """Lessons that were met again, and counted."""
    note: str = ""
