"""Tokens as a book of them, for stores without a server that issues any: who may read what, until when, how often.

The book keeps no token, only its SHA-256. Whoever changes it holds the lock of the file it is kept in.
"""

import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, SecretStr

from schemas.base import UtcTime
from schemas.secrets import Grant, TokenInfo
from services.secrets.contract import SecretsRefused, Token, checked_name, forbidden, gone


class Entry(BaseModel):
    """One token."""

    digest: str
    experiment_id: str
    host: str
    names: list[str]
    issued: UtcTime
    expires: UtcTime
    uses_left: int | None


class TokenBook(BaseModel):
    """Living tokens by accessor; those whose time is over are dropped whenever the book is written in."""

    entries: dict[str, Entry] = {}

    def issue(self, grant: Grant) -> Token:
        self._drop_expired()
        now = _now()
        token = Token(secrets.token_hex(12), SecretStr(secrets.token_urlsafe(32)))
        self.entries[token.accessor] = Entry(
            digest=_digest(token),
            experiment_id=grant.experiment_id,
            host=grant.host,
            names=sorted(set(grant.names)),
            issued=now,
            expires=now + timedelta(seconds=grant.seconds),
            uses_left=grant.uses,
        )
        return token

    def use(self, name: str, token: Token) -> str | None:
        """Count one use for reading `name`; why it is refused, None where it isn't. Raises TokenGone."""
        entry = self._living(token.accessor)
        if entry is None or not hmac.compare_digest(entry.digest, _digest(token)):
            raise gone(token.accessor)
        if entry.uses_left is not None:
            entry.uses_left -= 1
            if not entry.uses_left:
                del self.entries[token.accessor]
        return None if name in entry.names else str(forbidden(name, token.accessor))

    def counts(self, token: Token) -> bool:
        """Whether a use of it must be written down."""
        entry = self._living(token.accessor)
        return entry is not None and entry.uses_left is not None

    def renew(self, accessor: str, seconds: float) -> TokenInfo:
        self._drop_expired()
        entry = self._living(accessor)
        if entry is None:
            raise gone(accessor)
        entry.expires = _now() + timedelta(seconds=seconds)
        return _info(accessor, entry)

    def revoke(self, accessor: str) -> bool:
        self._drop_expired()
        return self.entries.pop(accessor, None) is not None

    def lookup(self, accessor: str) -> TokenInfo | None:
        entry = self._living(accessor)
        return None if entry is None else _info(accessor, entry)

    def issued(self) -> list[TokenInfo]:
        """By experiment, oldest first."""
        living = [_info(accessor, entry) for accessor, entry in self.entries.items() if _lives(entry)]
        return sorted(living, key=lambda info: (info.experiment_id, info.issued))

    def _living(self, accessor: str) -> Entry | None:
        entry = self.entries.get(accessor)
        return entry if entry is not None and _lives(entry) else None

    def _drop_expired(self) -> None:
        self.entries = {accessor: entry for accessor, entry in self.entries.items() if _lives(entry)}


class Booked(ABC):
    """The half of a store that is about tokens, for one that keeps a book."""

    @abstractmethod
    def _book(self) -> TokenBook:
        """As it stands."""

    @abstractmethod
    def _changing(self) -> AbstractContextManager[TokenBook]:
        """The book, held against others; what was changed in it is kept, also where an error ends it."""

    @abstractmethod
    def get(self, name: str, version: int | None = None) -> str: ...

    def issue(self, grant: Grant) -> Token:
        with self._changing() as book:
            return book.issue(grant)

    def read(self, name: str, token: Token) -> str:
        checked_name(name)
        book = self._book()
        if book.counts(token):
            with self._changing() as book:
                refused = book.use(name, token)
        else:
            refused = book.use(name, token)
        if refused:
            raise SecretsRefused(refused)
        return self.get(name)

    def renew(self, accessor: str, seconds: float) -> TokenInfo:
        with self._changing() as book:
            return book.renew(accessor, seconds)

    def revoke(self, accessor: str) -> bool:
        with self._changing() as book:
            return book.revoke(accessor)

    def lookup(self, accessor: str) -> TokenInfo | None:
        return self._book().lookup(accessor)

    def issued(self) -> Sequence[TokenInfo]:
        return self._book().issued()


def _info(accessor: str, entry: Entry) -> TokenInfo:
    return TokenInfo(accessor=accessor, **entry.model_dump(exclude={"digest"}))


def _lives(entry: Entry) -> bool:
    return entry.expires > _now()


def _digest(token: Token) -> str:
    return hashlib.sha256(token.value.get_secret_value().encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
