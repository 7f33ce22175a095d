"""The read-only store: the worker's environment. Its tokens have the semantics of every store's; they live in a file.

Readable are `GENESIS_SECRET_<NAME>`, and the variables that model providers' keys usually stand in. Whatever else is in
the environment is nobody's business.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from schemas.secrets import SecretInfo
from services.secrets.contract import (
    SecretsCorrupt,
    SecretsError,
    SecretsRefused,
    checked_name,
    checked_value,
    missing,
)
from services.secrets.locked import LockedFile
from services.secrets.tokens import Booked, TokenBook

PREFIX = "GENESIS_SECRET_"
USUAL = ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GENESIS_MODEL_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY")
"""Read without the prefix too."""


class EnvStore(Booked):
    """Secrets from `environment`; tokens in `folder`, by their digests, for this machine's workers."""

    name = "env"

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._file = LockedFile(folder / "tokens.json")

    def check(self) -> Sequence[str]:
        self._book()
        return [f"the environment holds {len(self.list())}"]

    def get(self, name: str, version: int | None = None) -> str:
        value = self._value(checked_name(name)) if version in (None, 1) else None
        if value is None:
            raise missing(name, version, self.name)
        return checked_value(name, value)

    def set(self, name: str, value: str) -> SecretInfo:
        raise _read_only(name)

    def rotate(self, name: str, value: str) -> SecretInfo:
        raise _read_only(name)

    def list(self) -> Sequence[SecretInfo]:
        named = {key.removeprefix(PREFIX) for key in self._environment if key.startswith(PREFIX)}
        found = []
        for name in sorted(named.union(USUAL)):
            try:
                self.get(name)
            except SecretsError:  # no name or value of a secret: nothing can read it
                continue
            found.append(SecretInfo(name=name, version=1, kept=[1], updated=None))
        return found

    def _book(self) -> TokenBook:
        content = self._file.read()
        if content is None:
            return TokenBook()
        try:
            return TokenBook.model_validate_json(content)
        except ValidationError:
            raise SecretsCorrupt(
                f"{self._file.path} is no book of tokens; remove it: workers have theirs issued anew"
            ) from None

    def close(self) -> None:
        """Nothing is held open."""

    @contextmanager
    def _changing(self) -> Iterator[TokenBook]:
        with self._file.changing():
            book = self._book()
            before = book.model_copy(deep=True)
            yield book
            if book != before:
                self._file.write(book.model_dump_json().encode())

    def _value(self, name: str) -> str | None:
        usual = self._environment.get(name) if name in USUAL else None
        return self._environment.get(PREFIX + name) or usual or None


def _read_only(name: str) -> SecretsRefused:
    return SecretsRefused(
        f"the environment can only be read; set {PREFIX}{checked_name(name)} where workers are started, or choose "
        "another store with GENESIS_SECRETS"
    )
