"""The code policy on text that a machine wrote: the rules of domain.code_policy, in a child process with limits.

Whatever the text, the answer is a list of findings; the worker neither stalls nor falls.
"""

from collections.abc import Collection
from typing import Any

from domain import code_policy
from schemas.code import CodeMetadata, Finding
from services.bounded import BoundedCalls, CallRefused

READING = BoundedCalls(
    [
        "services.code_reading:check_here",
        "services.code_reading:describe_here",
        "services.formatter:format_here",
    ]
)
"""The calls on untrusted text that share their children."""


def check_code(source: str, entrypoint: str | None = None, secrets: Collection[str] = ()) -> list[Finding]:
    """As domain.code_policy.check_code; text that can't be read within the limits is a finding too."""
    if (too_long := code_policy.check_size(source)) is not None:
        return [too_long]
    try:
        found = READING.call("services.code_reading:check_here", source, entrypoint, sorted(secrets))
    except CallRefused as refused:
        return [costly(refused)]
    return [Finding.model_validate(each) for each in found]


def describe_code(source: str) -> CodeMetadata:
    """As domain.code_policy.describe_code; text that can't be read within the limits has lines and nothing else."""
    lines = CodeMetadata(lines=len(source.splitlines()))
    if code_policy.check_size(source) is not None:
        return lines
    try:
        return CodeMetadata.model_validate(READING.call("services.code_reading:describe_here", source))
    except CallRefused:
        return lines


def costly(refused: CallRefused) -> Finding:
    """What the author is told of text that the reader gave up on."""
    return Finding(
        rule="too_costly",
        message=f"the code can't be read within the limits: {refused}",
        why="text that stalls or breaks its reader is refused, whatever it means",
        instead="write short, plain statements; compute tables at run time instead of writing them out",
    )


def check_here(source: str, entrypoint: str | None, secrets: list[str]) -> list[dict[str, Any]]:
    """In the child."""
    return [finding.model_dump() for finding in code_policy.check_code(source, entrypoint, secrets)]


def describe_here(source: str) -> dict[str, Any]:
    """In the child."""
    return code_policy.describe_code(source).model_dump()
