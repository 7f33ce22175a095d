"""Models: what was asked of them, what they answered, and what that cost."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Shape, UtcTime
from schemas.code import Digest
from schemas.usage import Usage

Count = Annotated[int, Field(ge=0)]


class CallKey(Shape):
    """Names one call: a step that is repeated asks under the same keys, and finds what was answered."""

    experiment_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]
    candidate: Count = 0
    """Its number where several are written side by side."""
    step: Literal["generate", "fix"]
    attempt: Count
    """The number of the fix; 0 for the first code."""
    ask: Annotated[int, Field(ge=1)]
    """Counts the questions of one step: a second one follows where an answer was cut off or couldn't be used."""

    def __str__(self) -> str:
        candidate = f"-c{self.candidate}" if self.candidate else ""
        return f"{self.experiment_id}{candidate}/{self.step}/{self.attempt}/{self.ask}"


class Answer(Shape):
    """What a model said, without its thinking."""

    text: str = ""
    arguments: str | None = None
    """JSON of the output tool's call, as the model wrote it; None where it called none."""
    finish: str | None = None
    """Why it ended: stop, length, content_filter, tool_call, error; None where the provider doesn't say."""
    model: str
    """The name under which the provider says it answered."""


class CallRecord(Shape):
    """One call that was answered, and so has been paid for."""

    key: CallKey
    request: Digest
    """Of all that was asked: model, instructions, turns, the shape of the answer."""
    engine: str
    prompt: Digest
    """Of the prompt files that the question was made of."""
    answer: Digest
    """Artifact: an `Answer`."""
    model: str
    usage: Usage
    seconds: Annotated[float, Field(ge=0)]
    at: UtcTime
