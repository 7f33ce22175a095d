"""What goes wrong in a call of a model, in our own words: what may pass, and what won't.

Nothing of a client's exception is kept: it may carry the request with its headers, and so the key.
"""

import re
from collections.abc import Mapping

from pydantic_ai import exceptions as theirs

from services.engines.contract import EngineBusy, EngineError
from services.engines.providers import INSTALL, Connection
from services.secrets.redaction import Redaction

_PASSING_STATUS = frozenset({408, 409, 425, 429})
_MOST_WORDS = 300
_SHOWN = re.compile(
    r"\b(bearer|x-api-key|x-goog-api-key|authorization)\b(?:\W{0,4}(?:bearer|basic)\b)?\W{0,4}\S+",
    re.IGNORECASE,
)
"""A credential as a request's headers have it."""


class KeyRefused(EngineError):
    """The provider doesn't take the key, or the key may not use the model."""


class UnknownModel(EngineError):
    """The provider has no model of this name."""


class ContentRefused(EngineError):
    """The provider or the model won't answer this."""


class ContextTooLong(EngineError):
    """The question is longer than the model can read."""


class QuotaExhausted(EngineError):
    """The account has nothing left; waiting won't help."""


class RequestRefused(EngineError):
    """The provider takes the request for wrong, for a reason of its own."""


def translated(error: Exception, to: Connection) -> Exception:
    """EngineBusy for what may pass, an EngineError for what won't."""
    name = to.engine
    match error:
        case EngineError() | EngineBusy():
            return error
        case theirs.ModelQuotaExceededError():
            return QuotaExhausted(
                f"{name}: the account's quota or credit is used up; top it up, or take another engine"
            )
        case theirs.ModelAuthenticationError():
            return KeyRefused(
                f"{name}: the key in {to.key_setting} is refused ({_status(error, to)}); set a valid one that may use "
                "this model, or take the engine 'offline', which needs none"
            )
        case theirs.ModelNotFoundError():
            where = f" at {to.shown_url}" if to.own_server else ""
            return UnknownModel(f"{name}: there is no such model{where}{_words(error, to)}; check its name")
        case theirs.ModelContextWindowExceededError():
            return ContextTooLong(
                f"{name}: the question is longer than the model can read{_words(error, to)}; take a model with a "
                "longer context, or shorten the definition's notes"
            )
        case theirs.ContentFilterError():
            return ContentRefused(refused(name, ""))
        case theirs.ModelRequestTimeout() | theirs.ModelTimeoutError():
            return EngineBusy(f"{name}: no answer within {to.options.timeout:g} s (GENESIS_MODEL_TIMEOUT)")
        case theirs.ModelConnectionError():
            where = to.shown_url if to.own_server else "the provider"
            return EngineBusy(f"{name}: {where} can't be reached, or broke off its answer")
        case theirs.ModelRateLimitError():
            return EngineBusy(f"{name}: too many requests", error.retry_after)
        case theirs.ModelUnavailableError() | theirs.ModelServerError():
            return EngineBusy(f"{name}: the provider has trouble ({_status(error, to)})", error.retry_after)
        case theirs.ModelHTTPError(status_code=status) if (
            status in _PASSING_STATUS or error.provider_retry_hint
        ):
            return EngineBusy(
                f"{name}: the provider asks to try again ({_status(error, to)})", error.retry_after
            )
        case theirs.ModelHTTPError() | theirs.ModelRequestRejectedError():
            if _is_filter(error):
                return ContentRefused(refused(name, _said(error, to)))
            return RequestRefused(f"{name}: the request is refused ({_status(error, to)}){_words(error, to)}")
        case theirs.UserError():
            return RequestRefused(f"{name}: {scrubbed(str(error), to)[:_MOST_WORDS]}")
        case theirs.UnexpectedModelBehavior() | theirs.ModelAPIError():
            return EngineBusy(f"{name}: what came back is no answer of a model")
        case ImportError():
            return EngineError(f"{name} needs packages that aren't installed: {INSTALL}")
        case (
            AttributeError() | LookupError() | TypeError() | ValueError()
        ):  # clients trust what they are sent
            return EngineBusy(
                f"{name}: what came back is no answer of a model ({type(error).__name__}: "
                f"{scrubbed(str(error), to)[:_MOST_WORDS]})"
            )
        case _:
            return EngineBusy(
                f"{name}: the call failed: {type(error).__name__}: {scrubbed(str(error), to)[:_MOST_WORDS]}"
            )


def refused(name: str, words: str) -> str:
    said = f": {words}" if words else ""
    return f"{name} won't answer this{said}; reword the definition's texts, or take another engine"


def scrubbed(text: str, to: Connection) -> str:
    """Without the key, as it is, encoded, or as a request shows it."""
    text = Redaction({to.key_setting: to.key}).text(text)
    return _SHOWN.sub(r"\1 ***", text)


def _status(error: theirs.ModelAPIError, to: Connection) -> str:
    code = error.provider_error_code or error.provider_error_type
    code = scrubbed(code, to) if code else None  # what was scrubbed is no code any more, and is left out
    status = f"HTTP {error.status_code}" if isinstance(error, theirs.ModelHTTPError) else "in its answer"
    return f"{status}, {code}" if code and re.fullmatch(r"[\w.-]{1,60}", code) else status


def _is_filter(error: theirs.ModelAPIError) -> bool:
    told = f"{error.provider_error_code} {error.provider_error_type}".lower()
    return any(sign in told for sign in ("content_filter", "content_policy", "safety", "moderation"))


def _words(error: theirs.ModelAPIError, to: Connection) -> str:
    said = _said(error, to)
    return f": {said}" if said else ""


def _said(error: theirs.ModelAPIError, to: Connection) -> str:
    """The provider's own message, on one line."""
    found: object = error.body
    while isinstance(found, Mapping):
        found = found.get("error") or found.get("message") or found.get("detail")
    text = " ".join(found.split()) if isinstance(found, str) else ""
    return scrubbed(text, to)[:_MOST_WORDS]
