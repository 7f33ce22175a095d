"""An engine that plays a script: wrong code first, repaired code later, so that the fix loop is real."""

import json
from pathlib import Path
from typing import Any

from schemas.code import CodeChange, FixedCode, GeneratedCode
from schemas.orders import FixOrder, GenerateOrder
from services.engines import CannotFix


class ScriptedEngine:
    """Reads `{"entrypoint": …, "answers": [code, …]}`: the first is generated, each fix gives the next one.

    `candidates` may hold other answers for a candidate, by its number.
    """

    name = "scripted"

    def __init__(self, script: Path) -> None:
        self._script = script

    def generate(self, order: GenerateOrder) -> GeneratedCode:
        script = json.loads(self._script.read_text())
        return GeneratedCode(code=_answers(script, order.candidate)[0], entrypoint=script["entrypoint"])

    def fix(self, order: FixOrder) -> FixedCode:
        answers = _answers(json.loads(self._script.read_text()), order.candidate)
        if order.attempt >= len(answers):
            raise CannotFix(f"the script has {len(answers)} answers, and none is left")
        change = CodeChange(line=1, before="", after="", reason=order.failures[0])
        return FixedCode(
            fixed_code=answers[order.attempt],
            explanation=f"answer {order.attempt + 1} of the script",
            changes=[change],
        )


def _answers(script: dict[str, Any], candidate: int) -> list[str]:
    answers = script.get("candidates", {}).get(str(candidate), script["answers"])
    assert isinstance(answers, list)
    return answers
