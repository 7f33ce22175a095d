"""Engines whose model is a function, or a server on this machine."""

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from schemas.code import GeneratedCode
from schemas.models import CallKey
from schemas.orders import EarlierTry, FixOrder, GenerateOrder
from schemas.usage import Usage
from services.artifacts import Artifacts
from services.calls import Calls, OverBudget
from services.engines import Engine, Engines, ModelOptions, model_makers
from services.engines.asking import Asker
from services.engines.contract import OnWait
from services.engines.model import ModelEngine
from services.engines.providers import Connection
from tests.services.engines.code import NAME, definition, wrong_module

KEY = "sk-canary-7f3a9b2c51d8e604"
"""Must be found nowhere."""

ORDER = GenerateOrder(experiment_id="exp", definition=definition())


def told(error: BaseException) -> str:
    """All that anybody could print or keep of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def cut(text: str, at: int | None = None) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text[: at or len(text) // 2])], finish_reason="length")


def called(arguments: str) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart("generated_code", arguments)], finish_reason="tool_call")


@dataclass
class Played:
    """A model that gives these answers in order, and keeps what it was asked."""

    answers: list[str | ModelResponse]
    asked: list[list[ModelMessage]] = field(default_factory=list)

    def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked.append(messages)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, ModelResponse):
            return answer
        return ModelResponse(parts=[TextPart(answer)], finish_reason="stop")

    def told(self, number: int = -1) -> str:
        """The last text of the person in a question."""
        parts = [part for part in self.asked[number][-1].parts if isinstance(part, UserPromptPart)]
        return str(parts[-1].content)


@dataclass
class Accounts:
    """A purse that writes down what happens, with a limit on the calls."""

    most: int = 100
    seen: list[tuple[str, str]] = field(default_factory=list)
    on_settle: Callable[[], None] = lambda: None

    def reserve(self, key: CallKey, estimate: Usage) -> None:
        if sum(what == "reserve" for what, _ in self.seen) >= self.most:
            raise OverBudget(f"{self.most} calls are allowed, and all are made")
        assert estimate.output_tokens == 16_000
        assert estimate.input_tokens > 2_000
        self.seen.append(("reserve", str(key)))

    def settle(self, key: CallKey, usage: Usage | None) -> None:
        self.on_settle()
        self.seen.append(("settle" if usage else "release", str(key)))


def playing(
    home: Path, played: Played, purse: Accounts | None = None, on_wait: OnWait = lambda: None
) -> ModelEngine:
    to = Connection("openai:test", "openai", "test", KEY, "OPENAI_API_KEY", ModelOptions())
    return ModelEngine(Asker(to, lambda: FunctionModel(played)), Calls(Artifacts(home)), on_wait, purse)


def served(
    home: Path,
    url: str = "",
    name: str = "openai:small",
    *,
    timeout: float = 20.0,
    key_name: str = "GENESIS_MODEL_KEY",
    on_wait: OnWait = lambda: None,
    purse: Accounts | None = None,
    options: ModelOptions | None = None,
) -> Engine:
    options = options or ModelOptions(url=url, timeout=timeout)
    makers = model_makers(options, Calls(Artifacts(home)), {key_name: KEY}.get)
    return Engines([], makers).get(name, on_wait, purse)


def fix_order(*earlier: str, code: str | None = None) -> FixOrder:
    tries: Iterable[EarlierTry] = (
        EarlierTry(attempt=number, code=text, gates=[]) for number, text in enumerate(earlier, 1)
    )
    return FixOrder(
        experiment_id="exp",
        definition=definition(),
        attempt=len(earlier) + 1,
        code=GeneratedCode(code=code or wrong_module(), entrypoint=NAME),
        failures=["conforms: bar 57: expected a long, found a short"],
        earlier=list(tries),
    )
