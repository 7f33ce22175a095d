"""The engines that are made by prefix: `openai:…`, `anthropic:…`, `google:…`."""

from services.calls import Calls, Purse
from services.engines.contract import Engine, EngineError, EngineMaker, OnWait
from services.engines.providers import INSTALL, KEY_NAMES, OWN_SERVER_KEY, Keys, ModelOptions, connection


def model_makers(options: ModelOptions, calls: Calls, keys: Keys) -> dict[str, EngineMaker]:
    """For `Engines`. A name that can't be served (no key, no packages) fails when it is asked for, and says why."""

    def make(name: str, on_wait: OnWait, purse: Purse) -> Engine:
        to = connection(name, keys, options)
        try:
            from services.engines.asking import Asker
            from services.engines.model import ModelEngine
        except ImportError as error:
            raise EngineError(
                f"the engine {name} needs packages that aren't installed ({error.name or error}): {INSTALL}; "
                "the engine 'offline' needs none"
            ) from None
        return ModelEngine(Asker(to), calls, on_wait, purse)

    return dict.fromkeys(KEY_NAMES, make)


def keys_of(engine: str, options: ModelOptions) -> tuple[str, ...]:
    """The names of the secrets of which an engine needs one."""
    provider = engine.partition(":")[0]
    own = provider == "openai" and options.url
    return (OWN_SERVER_KEY,) if own else tuple(KEY_NAMES.get(provider, ()))
