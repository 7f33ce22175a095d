"""One call of a model by pydantic-ai: one request, one answer, no retries."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from schemas.code import Digest
from schemas.models import Answer
from schemas.usage import Usage
from services.engines.contract import OnWait
from services.engines.faults import translated
from services.engines.providers import Connection, OutputMode
from services.secrets.redaction import Redaction

BEAT = 1.0
"""Seconds between two calls of `on_wait`."""
SECRET_KEY = 16
"""Letters from which a key is taken out of answers; a shorter one, as `local`, may be a word of the code."""


@dataclass(frozen=True)
class Turn:
    who: Literal["user", "model"]
    text: str


@dataclass(frozen=True)
class AnswerShape:
    """The JSON object that is wanted."""

    name: str
    description: str
    json_schema: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    instructions: str
    turns: tuple[Turn, ...]
    shape: AnswerShape | None
    """None asks for plain text."""

    @property
    def size(self) -> int:
        """Bytes, the schema's included."""
        schema = json.dumps(self.shape.json_schema) if self.shape else ""
        texts = (self.instructions, *(turn.text for turn in self.turns), schema)
        return sum(len(text.encode("utf-8", "replace")) for text in texts)


@dataclass(frozen=True)
class Reply:
    answer: Answer
    usage: Usage
    """Not priced."""
    seconds: float


class Asker:
    """Asks one model. `opened` gives the model anew for each call, so that no client outlives its event loop."""

    def __init__(self, to: Connection, opened: Callable[[], Model] | None = None) -> None:
        self.to = to
        self._opened = opened or to.open

    def digest(self, question: Question) -> Digest:
        """Of all that decides the answer, except chance."""
        options = self.to.options
        told = {
            "engine": self.to.engine,
            "url": options.url if self.to.own_server else "",
            "max_tokens": options.max_tokens,
            "output": options.output,
            "question": asdict(question),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def ask(self, question: Question, on_wait: OnWait) -> Reply:
        """Blocks for at most the connection's timeout. Raises EngineBusy, an EngineError, and what `on_wait` raises,
        which ends the call."""
        began = time.monotonic()
        outcome = asyncio.run(self._outcome(question, on_wait))
        if isinstance(outcome, Exception):
            # Out here, so that the client's exception is neither its cause nor its context.
            raise translated(outcome, self.to)
        return Reply(_answer(outcome, self.to), _usage(outcome), time.monotonic() - began)

    async def _outcome(self, question: Question, on_wait: OnWait) -> ModelResponse | Exception:
        call = asyncio.create_task(self._request(question))
        try:
            while not call.done():
                await asyncio.wait({call}, timeout=BEAT)
                if not call.done():
                    on_wait()
        finally:
            if not call.done():
                call.cancel()
                await asyncio.wait({call}, timeout=BEAT)
        error = call.exception()
        if error is None:
            return call.result()
        if isinstance(error, Exception):
            return error
        raise error

    async def _request(self, question: Question) -> ModelResponse:
        options = self.to.options
        settings = ModelSettings(
            max_tokens=options.max_tokens,
            timeout=options.timeout,
            request_timeout=options.timeout,
            max_retries=0,  # Temporal alone retries
        )
        if question.shape and options.output == "json_object":
            schema = dict(question.shape.json_schema)
            settings["extra_body"] = {"response_format": {"type": "json_object", "schema": schema}}
        async with self._opened() as model:
            return await model_request(
                model,
                _messages(question),
                model_settings=settings,
                model_request_parameters=_parameters(question.shape, options.output),
            )


def _messages(question: Question) -> list[ModelMessage]:
    messages: list[ModelMessage] = []
    for turn in question.turns:
        if turn.who == "user":
            part = UserPromptPart(turn.text)
            messages.append(ModelRequest(parts=[part], instructions=question.instructions))
        else:
            messages.append(ModelResponse(parts=[TextPart(turn.text)]))
    return messages


def _parameters(shape: AnswerShape | None, mode: OutputMode) -> ModelRequestParameters:
    if shape is None:
        return ModelRequestParameters()
    schema = dict(shape.json_schema)
    return ModelRequestParameters(
        output_mode="prompted" if mode == "json_object" else mode,
        output_object=OutputObjectDefinition(schema, name=shape.name, description=shape.description),
        output_tools=[
            ToolDefinition(
                name=shape.name, parameters_json_schema=schema, description=shape.description, kind="output"
            )
        ],
        allow_text_output=mode not in ("auto", "tool"),
    )


def _answer(response: ModelResponse, to: Connection) -> Answer:
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    calls = [part.args for part in response.parts if isinstance(part, ToolCallPart) and part.args]
    refusal = (response.provider_details or {}).get("refusal")
    arguments = (calls[0] if isinstance(calls[0], str) else json.dumps(calls[0])) if calls else None
    # A server may hand back the request that it was sent.
    hidden = Redaction({to.key_setting: to.key} if len(to.key) >= SECRET_KEY else {})
    return Answer(
        text=_storable(hidden.text("\n".join(texts) or (str(refusal) if refusal else ""))),
        arguments=None if arguments is None else _storable(hidden.text(arguments)),
        finish=response.finish_reason,
        model=_storable(hidden.text(response.model_name or to.model)),
    )


def _storable(text: str) -> str:
    """Without the halves of characters, which JSON may name and no file can hold: an answer that can't be kept would be
    paid again."""
    return text.encode("utf-8", "replace").decode()


def _usage(response: ModelResponse) -> Usage:
    found = response.usage
    return Usage(
        calls=1,
        input_tokens=found.input_tokens,
        cache_read_tokens=found.cache_read_tokens,
        cache_write_tokens=found.cache_write_tokens,
        output_tokens=found.output_tokens,
        usd=None,
    )
