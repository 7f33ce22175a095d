"""The engine's contract, which the rule compiler and the models implement, and how engines are found by name."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from schemas.code import FixedCode, GeneratedCode
from schemas.orders import FixOrder, GenerateOrder
from schemas.usage import Usage
from services.calls.purse import NoPurse, Purse

NOT_TAKEN = "not_taken"
"""Among generated code's metadata: what was still wrong with a model's answer after it was asked for again, in words;
files and dependencies that aren't allowed were left out."""

OnWait = Callable[[], None]
"""Called about once a second while an engine waits for others; what it raises ends the waiting."""


class EngineError(Exception):
    """The engine can't do this now or ever; says which engine and what to do. Not cured by trying again."""

    usage: Usage | None = None
    """What was asked until then; None where nothing was answered."""


class CannotFix(EngineError):
    """The engine has no other code to offer: an expected outcome, which ends the fixing."""

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage


class EngineBusy(Exception):
    """The engine couldn't answer now, and may later. `retry_after` is in seconds, where the engine says so."""

    usage: Usage | None = None
    """As of EngineError."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Engine(Protocol):
    """Writes a strategy's code from its definition, and repairs it from what the gates found.

    Both calls block, may be repeated with the same order (retries), and raise EngineError for what a retry can't
    cure. Anything else they raise is taken for a passing fault and retried.
    """

    @property
    def name(self) -> str:
        """As given with `--engine`, and recorded with every commit."""

    def generate(self, order: GenerateOrder) -> GeneratedCode: ...

    def fix(self, order: FixOrder) -> FixedCode:
        """Raises CannotFix where there is nothing else to try."""


EngineMaker = Callable[[str, OnWait, Purse], Engine]
"""Makes the engine of a name such as `openai:gpt-5`, for one step; raises EngineError where the name or a setting won't
do."""


def _nothing() -> None:
    pass


class Engines:
    """The engines of this worker: some by name, others made for any name with their prefix (`prefix:…`)."""

    def __init__(self, engines: Iterable[Engine], makers: Mapping[str, EngineMaker] | None = None) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self._makers = dict(makers or {})

    @property
    def names(self) -> list[str]:
        """Sorted; `prefix:…` stands for any name that begins so."""
        return sorted([*self._engines, *(f"{prefix}:…" for prefix in self._makers)])

    def get(self, name: str, on_wait: OnWait = _nothing, purse: Purse | None = None) -> Engine:
        """The engine of that name, for one step, whose calls `purse` pays. Raises EngineError where there is none."""
        if name in self._engines:
            return self._engines[name]
        prefix, colon, rest = name.partition(":")
        if colon and prefix in self._makers:
            return self._makers[prefix](name, on_wait, purse or NoPurse())
        raise EngineError(
            f"there is no engine {name!r:.200}; this worker has: {', '.join(self.names)}{self._hint(prefix, rest)}"
        )

    def _hint(self, prefix: str, rest: str) -> str:
        near = difflib.get_close_matches(prefix, [*self._engines, *self._makers], n=1)
        if not near:
            return ""
        return (
            f"; did you mean {near[0]}:{rest or '…'}?"
            if near[0] in self._makers
            else f"; did you mean {near[0]}?"
        )
