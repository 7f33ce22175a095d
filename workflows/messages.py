"""Messages from the Temporal Web UI and `temporal workflow signal`: lenient in form, strict in meaning."""

from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from schemas.experiment import Decision, DecisionAction

EMPTY = RawValue(Payload())
"""What a handler gets where a signal came without a payload."""


class MessageError(ValueError):
    """A message that can't be read; says what was found and what is expected."""


def decision_from(action: DecisionAction, message: RawValue) -> Decision:
    """Read a signal's payload: nothing, null, a comment as text, or an object with commit, by and comment."""
    body = _decoded(message)
    if body is None or body == "":
        body = {}
    elif isinstance(body, str):
        body = {"comment": body}
    elif not isinstance(body, dict):
        raise MessageError(
            f"the signal {action} came with {type(body).__name__}; expected nothing, a text, or "
            '{"commit": "…", "by": "…", "comment": "…"}'
        )
    try:
        return Decision.model_validate({"by": "web UI"} | body | {"action": action})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MessageError(
            f"the signal {action} came with {where}={first['input']!r:.80}: {first['msg']}; allowed are commit, by and "
            "comment"
        ) from error


def _decoded(message: RawValue) -> Any:
    if not message.payload.data:
        return None
    try:
        (value,) = workflow.payload_converter().from_payloads([message.payload])
    except Exception as error:
        raise MessageError(f"the signal's payload can't be read ({error}); send plain JSON") from error
    return value
