"""Lessons for tests."""

from domain.lessons import lesson_id, normalise
from schemas.gates import Gate
from schemas.memory import Failure, Lesson, Observation, Recall


def failure(message: str, error_type: str = "TypeError", gate: Gate = Gate.RUNS) -> Failure:
    return Failure(gate=gate, error_type=error_type, message=normalise(message))


NONE_COMPARED = failure("'<' not supported between instances of 'NoneType' and 'float'")
NOT_DEFINED = failure("name 'crossover' is not defined", "NameError")
FIX = "--- before\n+++ after\n-        if self.rsi < 30:\n+        if self.rsi[-1] < 30:"


def lesson(
    of: Failure = NONE_COMPARED, fix: str = FIX, framework: str = "backtesting.py", **more: object
) -> Lesson:
    given = {
        "id": lesson_id(framework, of, fix),
        "framework": framework,
        "gate": of.gate,
        "error_type": of.error_type,
        "message": of.message,
        "fix": fix,
        "experiment_id": "exp-1",
        "engine": "scripted",
        "strategy": "RSI_Reversal",
    }
    return Lesson.model_validate(given | more)


def told(one: Lesson, key: str = "exp-1#1") -> Observation:
    return Observation(key=key, lesson=one)


def by(of: Failure, **more: object) -> Recall:
    return Recall.model_validate({"failure": of} | more)
