"""The engine's contract, which the rule compiler implements and models will."""

import difflib
from collections.abc import Iterable
from typing import Protocol

from schemas.code import FixedCode, FixOrder, GeneratedCode, GenerateOrder


class EngineError(Exception):
    """The engine can't do this now or ever; says which engine and what to do. Not cured by trying again."""


class CannotFix(EngineError):
    """The engine has no other code to offer: an expected outcome, which ends the fixing."""


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


class Engines:
    """The engines of this worker, by name."""

    def __init__(self, engines: Iterable[Engine]) -> None:
        self._engines = {engine.name: engine for engine in engines}

    @property
    def names(self) -> list[str]:
        return sorted(self._engines)

    def get(self, name: str) -> Engine:
        if name in self._engines:
            return self._engines[name]
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise EngineError(f"there is no engine '{name}'; this worker has: {', '.join(self.names)}{hint}")
