"""What a store of secrets promises. One list of contract tests holds for each (tests/services/secrets)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr, TypeAdapter, ValidationError

from schemas.secrets import Grant, SecretInfo, SecretName, TokenInfo

MOST_BYTES = 64 * 1024
"""Of one value: more than any key or certificate chain, less than a store or an environment refuses."""
KEPT = 10
"""Versions of a secret that are kept, where the store keeps any."""

_NAME: TypeAdapter[str] = TypeAdapter(SecretName)


class SecretsError(Exception):
    """What was asked of the store can't be; trying again won't help. No message holds a value or a token."""


class SecretMissing(SecretsError):
    """There is no secret of this name, or no such version of it."""


class SecretsRefused(SecretsError):
    """The store doesn't let us: a wrong key or credential, a policy, permissions of a file, a store that only reads."""


class SecretsCorrupt(SecretsError):
    """What is stored can't be what was written."""


class TokenGone(SecretsError):
    """The token has expired, was revoked, is used up, or never was one."""


class SecretsUnavailable(Exception):
    """The store is down, sealed, rate-limited or locked just now. Not a SecretsError: a retry may help."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds, where the store said so."""


@dataclass(frozen=True)
class Token:
    """What reads secrets. Never leaves the process that asked for it; printed or serialized, it shows no value."""

    accessor: str
    value: SecretStr


class SecretStore(Protocol):
    """Named values with versions, and tokens that may read some of them.

    `read` acts with a token's rights, everything else with the store's own credentials. All methods block, may be
    called from several threads and processes, and raise SecretsUnavailable where the store can't answer just now,
    SecretsRefused where it won't (a wrong key or credential, a policy), and SecretsCorrupt where what it holds is
    damaged. Nothing is retried in here.
    """

    @property
    def name(self) -> str:
        """As in GENESIS_SECRETS."""

    def check(self) -> Sequence[str]:
        """What was found, a line each; raises where the store can't be used."""

    def get(self, name: str, version: int | None = None) -> str:
        """The value, the newest where no version is named. Raises SecretMissing."""

    def set(self, name: str, value: str) -> SecretInfo:
        """Keep a value as the name's newest version. SecretsError for a name or value that can't be one."""

    def rotate(self, name: str, value: str) -> SecretInfo:
        """Replace a secret by another value; earlier versions stay readable by number, the last KEPT of them.

        Raises SecretMissing where there is none, and SecretsError where the value is the one it has.
        """

    def list(self) -> Sequence[SecretInfo]:
        """Every secret, by name."""

    def issue(self, grant: Grant) -> Token:
        """A new token. It may live shorter than asked where the server says so: see `lookup`."""

    def read(self, name: str, token: Token) -> str:
        """The newest value, by right of a token; counts as a use, also where it is refused.

        Raises TokenGone, SecretsRefused where the token's names don't hold this one, SecretMissing.
        """

    def renew(self, accessor: str, seconds: float) -> TokenInfo:
        """Let a token live so long from now, or as long as the store allows. Raises TokenGone."""

    def revoke(self, accessor: str) -> bool:
        """End a token; whether it lived. Idempotent."""

    def lookup(self, accessor: str) -> TokenInfo | None:
        """What is known of a token that lives; None for any other."""

    def issued(self) -> Sequence[TokenInfo]:
        """Every living token that this deployment's workers issued, by experiment."""

    def close(self) -> None:
        """Give up connections, and what was logged in with."""


def checked_name(name: str) -> str:
    """The name. SecretsError where it can't be a secret's."""
    try:
        return _NAME.validate_python(name)
    except ValidationError as error:
        said = error.errors()[0]
        why = str(said["ctx"]["error"]) if said["type"] == "value_error" else ""
        shown = ascii(name) if len(name) <= 80 else f"{name[:80]!a} …"
        raise SecretsError(
            why
            or f"{shown} can't be a secret's name: allowed are up to 64 letters, digits and '_', beginning with a "
            "letter, such as OPENAI_API_KEY"
        ) from None


def checked_value(name: str, value: str) -> str:
    """The value. SecretsError, which doesn't show it, where it can't be kept."""
    if not value:
        raise SecretsError(f"the value of {name} is empty; give what the secret is")
    if "\0" in value:
        raise SecretsError(
            f"the value of {name} holds a NUL, which no environment can carry; encode it as text"
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise SecretsError(
            f"the value of {name} is not Unicode text; encode it, for example in base64"
        ) from None
    if size > MOST_BYTES:
        raise SecretsError(
            f"the value of {name} has {size} bytes, at most {MOST_BYTES} are kept; store a reference instead"
        )
    return value


def missing(name: str, version: int | None, store: str) -> SecretMissing:
    what = f"secret {name}" if version is None else f"version {version} of secret {name}"
    return SecretMissing(f"there is no {what} in the {store} store; see: python starter.py secrets list")


def same_value(name: str) -> SecretsError:
    return SecretsError(f"{name} has this value already, nothing was rotated; give the new one")


def gone(accessor: str) -> TokenGone:
    """For a token that the store doesn't know, or no longer."""
    shown = accessor if re.fullmatch(r"[A-Za-z0-9.]{1,80}", accessor) else "of that accessor"
    return TokenGone(f"token {shown} has expired, was revoked or is used up; have another issued")


def forbidden(name: str, accessor: str) -> SecretsRefused:
    return SecretsRefused(f"token {accessor} may not read {name}: its policy names other secrets")
