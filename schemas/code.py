"""Code: what an engine returns, and what is said about it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Shape
from schemas.definition import Name, StrategyDefinition

Source = Annotated[str, Field(min_length=1, max_length=400_000)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hex."""


class CodeMetadata(Shape):
    """What the parser saw."""

    classes: list[str] = []
    functions: list[str] = []
    imports: list[str] = []
    lines: int = 0


class GeneratedCode(Shape):
    """A strategy module. `entrypoint` names the subclass of `backtesting.Strategy` in it."""

    code: Source
    entrypoint: Name
    dependencies: list[str] = []
    files: dict[str, str] = {}
    metadata: dict[str, str] = {}


class CodeChange(Shape):
    line: int
    before: str
    after: str
    reason: str


class FixedCode(Shape):
    fixed_code: Source
    explanation: str
    changes: list[CodeChange] = []


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Finding(Shape):
    """One thing wrong with code: which rule, where, what, and what to do instead. Lines and columns from 1."""

    rule: str
    severity: Severity = Severity.ERROR
    line: int = 1
    column: int = 1
    message: str
    why: str = ""
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.severity} {self.rule}: {self.message}"


class GenerateOrder(Shape):
    """What an engine is asked for."""

    experiment_id: str
    definition: StrategyDefinition


class FixOrder(Shape):
    """What an engine is asked to repair: its last code and what the gates found."""

    experiment_id: str
    definition: StrategyDefinition
    attempt: Annotated[int, Field(ge=1)]
    code: GeneratedCode
    failures: list[str]
