"""Whose models there are, and how they are reached. pydantic-ai is loaded when the first one is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

from services.engines.contract import EngineError

if TYPE_CHECKING:
    from pydantic_ai.models import Model

Keys = Callable[[str], str | None]
"""Looks a secret up by the name of its setting; None where it isn't set."""

OutputMode = Literal["auto", "native", "tool", "prompted", "json_object"]
"""How a structured answer is asked for: by JSON Schema output, by an output tool, in words, or in words and with the
schema beside `json_object` in `response_format`, as llama-cpp-python's server makes its grammar from. `auto` is what
pydantic-ai knows to be best for the model; JSON Schema for a server of one's own."""

KEY_NAMES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "openai": ("OPENAI_API_KEY",),
}
"""The settings that hold a provider's key, as the providers' own clients call them; the first that is set is taken."""

OWN_SERVER_KEY = "GENESIS_MODEL_KEY"
"""For the server at GENESIS_MODEL_URL, which mustn't see OpenAI's."""

INSTALL = "pip install 'genesis-experiments[models]'"
_NO_KEY = "none"


@dataclass(frozen=True)
class ModelOptions:
    url: str = ""
    """Base URL of an OpenAI-compatible server; where set, `openai:…` means its models."""
    timeout: float = 300.0
    """Seconds for one call, to its last byte."""
    max_tokens: int = 16_000
    """Most that one answer may have; a longer one is asked for in parts."""
    output: OutputMode = "auto"


@dataclass(frozen=True, repr=False)
class Connection:
    """All that is needed to reach one model. Has no repr: it holds the key."""

    engine: str
    provider: str
    model: str
    key: str
    key_setting: str
    options: ModelOptions

    @property
    def own_server(self) -> bool:
        return self.provider == "openai" and bool(self.options.url)

    @property
    def shown_url(self) -> str:
        """The server's URL without what may be secret in it."""
        parts = urlsplit(self.options.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))

    def open(self) -> "Model":
        """The model, with a client of its own that is closed with it."""
        try:
            return self._open()
        except ImportError as error:
            raise EngineError(
                f"the engine {self.engine} needs packages that aren't installed ({error.name or error}): {INSTALL}; "
                "the engine 'offline' needs none"
            ) from None

    def _open(self) -> "Model":
        if self.provider == "anthropic":
            from pydantic_ai.models.anthropic import AnthropicModel
            from pydantic_ai.providers.anthropic import AnthropicProvider

            return AnthropicModel(self.model, provider=AnthropicProvider(api_key=self.key))
        if self.provider == "google":
            from pydantic_ai.models.google import GoogleModel
            from pydantic_ai.providers.google import GoogleProvider

            return GoogleModel(self.model, provider=GoogleProvider(api_key=self.key))
        if self.own_server:
            from pydantic_ai.models.openai import OpenAIChatModel
            from pydantic_ai.profiles.openai import OpenAIModelProfile
            from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

            provider = OpenAICompatibleProvider(
                "openai-compatible", base_url=self.options.url, api_key=self.key or _NO_KEY
            )
            profile = OpenAIModelProfile(
                supports_json_schema_output=True,
                default_structured_output_mode="native",
                openai_chat_supports_max_completion_tokens=False,  # servers know `max_tokens`, not all its successor
            )
            return OpenAIChatModel(self.model, provider=provider, profile=profile)
        from pydantic_ai.models.openai import OpenAIResponsesModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIResponsesModel(self.model, provider=OpenAIProvider(api_key=self.key))


def connection(engine: str, keys: Keys, options: ModelOptions) -> Connection:
    """How the engine's model is reached. Raises EngineError where the name holds no model, or no key is set."""
    provider, _, model = engine.partition(":")
    if not model.strip() or not model.isprintable():
        raise EngineError(
            f"the engine {engine!r:.200} names no model; write for example {provider}:NAME-OF-A-MODEL"
        )
    own = provider == "openai" and bool(options.url)
    names = (OWN_SERVER_KEY,) if own else KEY_NAMES[provider]
    for name in names:
        if key := (keys(name) or "").strip():
            if not key.isascii() or not key.isprintable() or " " in key:
                raise EngineError(
                    f"{name} holds signs that no key has; set it again, for the engine {engine}"
                )
            return Connection(engine, provider, model, key, name, options)
    if own:
        return Connection(engine, provider, model, "", OWN_SERVER_KEY, options)
    raise EngineError(
        f"the engine {engine} needs a key: set {' or '.join(names)}, or keep it: python starter.py secrets set "
        f"{names[0]}; the engine 'offline' needs none"
    )
