"""Code: what an engine returns, and what is said about it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Shape
from schemas.definition import Name
from schemas.usage import Usage

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
    usage: Usage | None = None
    """What it cost to write; None where no model was asked."""
    prompt: Digest | None = None
    """Of the prompt files that a model was asked with."""


class CodeChange(Shape):
    line: int
    before: str
    after: str
    reason: str


class FixedCode(Shape):
    fixed_code: Source
    explanation: str
    changes: list[CodeChange] = []
    usage: Usage | None = None
    prompt: Digest | None = None


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
