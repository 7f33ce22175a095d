"""Orders: what an engine is asked for."""

from typing import Annotated

from pydantic import Field

from schemas.base import Shape
from schemas.code import GeneratedCode, Source
from schemas.definition import StrategyDefinition
from schemas.gates import GateResult
from schemas.memory import Lesson


class GenerateOrder(Shape):
    experiment_id: str
    candidate: int = 0
    """Its number where several are written side by side."""
    definition: StrategyDefinition
    recalled: list[Lesson] = []
    """What failed in earlier experiments like this one."""


class EarlierTry(Shape):
    """Code of this experiment that failed its gates, and was changed since."""

    attempt: Annotated[int, Field(ge=1)]
    code: Source
    gates: list[GateResult]
    """Those that it failed."""


class FixOrder(Shape):
    """An engine's last code, what the gates found in it, and what has been tried before."""

    experiment_id: str
    candidate: int = 0
    definition: StrategyDefinition
    attempt: Annotated[int, Field(ge=1)]
    """Of the code that is to be repaired; the first code is attempt 1."""
    code: GeneratedCode
    failures: list[str]
    """Each failed gate as one text."""
    gates: list[GateResult] = []
    """The same in full; empty where only the texts are known."""
    earlier: list[EarlierTry] = []
    """Oldest first, without the code that is to be repaired."""
    recalled: list[Lesson] = []
