"""Scripts for the scripted engine: code that is wrong in a known way, then code that is right."""

import json

from domain.definitions import read_rulebook
from schemas.orders import GenerateOrder
from services.definitions import load_definition
from services.engines import OfflineEngine
from tests.support.site import ROOT


def right_code() -> tuple[str, str]:
    """What the rules of RSI_Reversal compile to, and its entrypoint."""
    definition = load_definition("RSI_Reversal", root=ROOT / "strategies").definition
    assert read_rulebook(definition).entry
    code = OfflineEngine().generate(GenerateOrder(experiment_id="script", definition=definition))
    return code.code, code.entrypoint


def wrong_code() -> str:
    """The same with another threshold: it runs and trades, and not where the rules say."""
    code, _ = right_code()
    assert "oversold = 35" in code
    return code.replace("oversold = 35", "oversold = 25")


def invalid_code() -> str:
    """Forbidden by the policy."""
    return "import os\n" + right_code()[0] + '\nos.system("true")\n'


def script(*answers: str) -> str:
    return json.dumps({"entrypoint": right_code()[1], "answers": list(answers)})


def wrong_then_right() -> str:
    return script(wrong_code(), right_code()[0])
