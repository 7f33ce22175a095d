"""A model for experiments: a server of the OpenAI protocol whose answers follow from what it is asked.

It keeps no state, so a question that is asked again gets the same answer.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from schemas.budget import Budget
from schemas.definition import StrategyDefinition
from schemas.memory import Lesson
from schemas.orders import GenerateOrder
from services.budget import Budgets
from services.definitions import load_definition
from services.engines import OfflineEngine
from services.memory import Memory
from services.secrets.file import FileStore
from tests.support.openai_server import Handler, Reply, Script, openai_server, says
from tests.support.site import ROOT, Site

ENGINE = "openai:small"
KEY = "a-key-of-the-models-server"
LEAVES = "leave = self.rsi[-1] > self.overbought"
_TRY = re.compile(r"The code \(try (\d+)\)")


def definition(name: str = "RSI_Reversal", **changed: Any) -> StrategyDefinition:
    return load_definition("RSI_Reversal", root=ROOT / "strategies").definition.model_copy(
        update={"name": name, **changed}
    )


def right(of: StrategyDefinition | None = None) -> str:
    """What the definition's rules compile to."""
    return OfflineEngine().generate(GenerateOrder(experiment_id="model", definition=of or definition())).code


def late(of: StrategyDefinition | None = None) -> str:
    """Runs and trades, and leaves a bar later than the rules say."""
    return _changed(right(of), LEAVES, LEAVES.replace("-1", "-2"))


def raising(of: StrategyDefinition | None = None) -> str:
    """Late too, and fails on the first bar."""
    return _changed(late(of), "price = self.data.Close[-1]", "price = self.data.Close[-1] + self.last_entry")


def _changed(code: str, old: str, new: str) -> str:
    assert old in code
    return code.replace(old, new)


# -- questions and answers


def question(handler: Handler) -> str:
    """The first thing that a person says in it: the definition, and what there is so far."""
    found = next(message["content"] for message in handler.body["messages"] if message["role"] == "user")
    assert isinstance(found, str)
    return found


def tried(handler: Handler) -> int:
    """The number of the try that is to be repaired; 0 where the first code is wanted."""
    found = _TRY.search(question(handler))
    return int(found[1]) if found else 0


def writes(code: str, name: str = "RSI_Reversal") -> Reply:
    """Answers with this code, to whichever of the two questions."""

    def reply(handler: Handler) -> None:
        answer: dict[str, object] = {"fixed_code": code, "explanation": "it was wrong", "changes": []}
        if not tried(handler):
            answer = {"code": code, "entrypoint": name, "dependencies": [], "files": {}, "metadata": {}}
        says(json.dumps(answer))(handler)

    return reply


def in_turn(*replies: Reply) -> Reply:
    """The first for the first code, the next for the repair of the first try, and so on."""
    return lambda handler: replies[tried(handler)](handler)


def by_engine(replies: dict[str, Reply]) -> Reply:
    """By the model's name, so that experiments side by side have a model each."""
    return lambda handler: replies[str(handler.body["model"])](handler)


def first_time(reply: Reply, then: Reply) -> Reply:
    """Does the one for the first request with the same question, the other from then on."""
    known: set[str] = set()

    def replied(handler: Handler) -> None:
        asked = json.dumps(handler.body["messages"])
        new = asked not in known
        known.add(asked)
        (reply if new else then)(handler)

    return replied


def runs(what: Callable[[], object], reply: Reply) -> Reply:
    """Has something done between question and answer."""

    def replied(handler: Handler) -> None:
        what()
        reply(handler)

    return replied


ANSWERS = in_turn(writes(late()), writes(right()))
"""Wrong, then right."""


# -- at a site


@contextmanager
def model_at(site: Site, reply: Reply) -> Iterator[tuple[Script, dict[str, str]]]:
    """The server, and the environment for the site's workers. Its key lies in the site's store of secrets, and there
    alone: who has it, had it by the experiment's token."""
    FileStore(site.home / "secrets").set("GENESIS_MODEL_KEY", KEY)
    with openai_server(reply) as server:
        yield server, {"GENESIS_MODEL_URL": server.url}
        assert {_bearer(headers) for headers in server.headers} <= {f"Bearer {KEY}"}


def _bearer(headers: dict[str, str]) -> str:
    return {name.lower(): value for name, value in headers.items()}.get("authorization", "none")


@contextmanager
def memory_at(site: Site) -> Iterator[None]:
    """A keeper for the site, which is there before it is needed, and ends with the test."""
    try:
        with Memory.of(site.settings) as memory:
            memory.stats()
            yield
    finally:
        (site.home / "memory" / "keeper.sock").unlink(missing_ok=True)


def lessons_of(site: Site) -> list[Lesson]:
    with Memory.of(site.settings) as memory:
        return memory.lessons()


def spent(site: Site, experiment: str) -> int:
    """The calls on the experiment's account."""
    return Budgets(site.settings.records_url).balance(experiment, Budget()).spent.calls


def left_of_models(site: Site) -> list[str]:
    """What is still there of experiments: as the site says, living tokens, and reservations."""
    found = site.left_over()
    found += [f"token of {info.experiment_id}" for info in FileStore(site.home / "secrets").issued()]
    found += [f"reservations of {name}" for name in Budgets(site.settings.records_url).holders()]
    return found
