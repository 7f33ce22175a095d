"""An engine that plays a script: wrong code first, repaired code later, so that the fix loop is real."""

import json
from pathlib import Path

from schemas.code import CodeChange, FixedCode, FixOrder, GeneratedCode, GenerateOrder
from services.engines import CannotFix


class ScriptedEngine:
    """Reads `{"entrypoint": …, "answers": [code, …]}`: the first is generated, each fix gives the next one."""

    name = "scripted"

    def __init__(self, script: Path) -> None:
        self._script = script

    def generate(self, order: GenerateOrder) -> GeneratedCode:
        script = json.loads(self._script.read_text())
        return GeneratedCode(code=script["answers"][0], entrypoint=script["entrypoint"])

    def fix(self, order: FixOrder) -> FixedCode:
        answers = json.loads(self._script.read_text())["answers"]
        if order.attempt >= len(answers):
            raise CannotFix(f"the script has {len(answers)} answers, and none is left")
        change = CodeChange(line=1, before="", after="", reason=order.failures[0])
        return FixedCode(
            fixed_code=answers[order.attempt],
            explanation=f"answer {order.attempt + 1} of the script",
            changes=[change],
        )
