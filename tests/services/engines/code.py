"""Code for the engines' tests: what the compiler writes, and answers made of it."""

import functools
import json
from typing import Any

from schemas.definition import StrategyDefinition
from schemas.orders import GenerateOrder
from services.definitions import load_definition
from services.engines import OfflineEngine
from tests.support.site import ROOT

NAME = "RSI_Reversal"


@functools.cache
def definition(name: str = NAME) -> StrategyDefinition:
    return load_definition(name, root=ROOT / "strategies").definition


@functools.cache
def module(name: str = NAME) -> str:
    """A whole module, right by its definition."""
    return OfflineEngine().generate(GenerateOrder(experiment_id="code", definition=definition(name))).code


def wrong_module() -> str:
    return module().replace("self.buy(", "self.sell(")


def generated(code: str, **more: Any) -> str:
    """The JSON that a model should answer."""
    fields = {"code": code, "entrypoint": NAME, "dependencies": [], "files": {}, "metadata": {}}
    return json.dumps(fields | more)


def fixed(code: str, **more: Any) -> str:
    return json.dumps({"fixed_code": code, "explanation": "the side was wrong", "changes": []} | more)
