"""Secrets: their names, what is told of them, and the tokens that let an experiment read some for a while.

No shape here holds a secret's value or a token: these pass through workflow history, records and `--json`.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from schemas.base import Shape, UtcTime

NAME_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"

_OF_THE_SYSTEM: Final = ("LD_", "DYLD_", "PYTHON")
_OF_THE_SHELL: Final = frozenset({"PATH", "HOME", "SHELL", "USER", "LANG", "TMPDIR", "IFS", "ENV"})


def _not_of_the_system(name: str) -> str:
    """A secret may become a variable of a sandbox's environment: there it must change nothing but what it is for."""
    upper = name.upper()
    if upper in _OF_THE_SHELL or upper.startswith(_OF_THE_SYSTEM):
        raise ValueError(f"'{name}' means something to the system; choose another name for the secret")
    return name


SecretName = Annotated[str, Field(pattern=NAME_PATTERN), AfterValidator(_not_of_the_system)]
"""As environment variables are named: OPENAI_API_KEY."""


class SecretInfo(Shape):
    """A secret, but for its value."""

    name: str
    version: Annotated[int, Field(ge=1)]
    """The newest; what is read where no version is named."""
    kept: list[int]
    """Versions that can still be read, oldest first."""
    updated: UtcTime | None
    """When the newest was set; None where the store can't tell."""


class Grant(Shape):
    """What a token lets its holder do, and for how long."""

    experiment_id: str
    """Whose it is, for the sweep."""
    host: str = ""
    """The worker that holds it."""
    names: Annotated[list[SecretName], Field(min_length=1, max_length=64)]
    """The secrets it may read; nothing else."""
    seconds: Annotated[float, Field(gt=0, le=40 * 24 * 3600)]
    uses: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many reads; None for any number."""


class TokenInfo(Shape):
    """A token that lives, by its accessor: enough to renew or revoke it, not to read with it."""

    accessor: str
    experiment_id: str
    host: str
    names: list[str]
    issued: UtcTime
    expires: UtcTime
    uses_left: int | None


class IssueInput(Shape):
    """What an experiment needs to read: a token is issued for that, once, however often this is asked."""

    experiment_id: str
    engines: list[str] = []
    """By name; which keys each needs the worker knows."""
    names: list[SecretName] = []
    """What else is needed outside the sandbox."""
    sandbox: list[SecretName] = []
    """What its definition wants in a trial's environment; refused unless the settings allow it."""
    lease_seconds: Annotated[float, Field(gt=0)]
    """How long it may live: a little over the deadline."""
    uses: Annotated[int, Field(ge=1)] | None = None


class Issued(Shape):
    """The token stays in the worker; this is how it is told of."""

    accessor: str | None
    """None where nothing is to be read: then there is no token."""
    expires: UtcTime | None = None


class TokensRef(Shape):
    """All tokens of one experiment, whichever worker issued them."""

    experiment_id: str


class TokensGone(Shape):
    revoked: int
    """How many lived until now."""
    problem: str = ""
    """Why one may still live, until it expires; empty where none does."""
