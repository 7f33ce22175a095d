"""The embedded store: one encrypted file.

    folder/store        secrets with their versions, and the book of tokens, encrypted and authenticated (Fernet)
    folder/store.lock   held by who writes
    folder/key          the key, 0600; elsewhere by setting

It keeps a copied disk or a backup without the key from telling anything, and notices a changed file. It doesn't keep
secrets from who may read the key; and an older store put back in place of a newer one is not noticed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel, ValidationError

from schemas.base import UtcTime
from schemas.secrets import SecretInfo
from services.secrets.contract import (
    KEPT,
    SecretsCorrupt,
    SecretsRefused,
    checked_name,
    checked_value,
    missing,
    same_value,
)
from services.secrets.locked import LockedFile, owned
from services.secrets.tokens import Booked, TokenBook


class Version(BaseModel):
    number: int
    at: UtcTime
    value: str


class Content(BaseModel):
    """What is encrypted."""

    secrets: dict[str, list[Version]] = {}
    """Versions by name, oldest first."""
    tokens: TokenBook = TokenBook()


class FileStore(Booked):
    """Secrets in `folder`, made on first use. The key is read for each call and not kept."""

    name = "file"

    def __init__(self, folder: Path, key: Path | None = None) -> None:
        self._file = LockedFile(folder / "store")
        self._key = LockedFile(key or folder / "key")

    def check(self) -> Sequence[str]:
        found = self._load()
        if self._file.read() is None:
            return [f"{self._file.path}, to be made on first use"]
        return [f"{self._file.path} holds {len(found.secrets)}, opened with {self._key.path}"]

    def get(self, name: str, version: int | None = None) -> str:
        checked_name(name)
        kept = self._load().secrets.get(name, [])
        if version is None and kept:
            return kept[-1].value
        for one in kept:
            if one.number == version:
                return one.value
        raise missing(name, version, self.name)

    def set(self, name: str, value: str) -> SecretInfo:
        checked_value(checked_name(name), value)
        with self._file.changing():
            return self._put(self._load(), name, value)

    def rotate(self, name: str, value: str) -> SecretInfo:
        checked_value(checked_name(name), value)
        with self._file.changing():
            content = self._load()
            kept = content.secrets.get(name)
            if not kept:
                raise missing(name, None, self.name)
            if kept[-1].value == value:
                raise same_value(name)
            return self._put(content, name, value)

    def list(self) -> Sequence[SecretInfo]:
        return [_info(name, kept) for name, kept in sorted(self._load().secrets.items())]

    def _book(self) -> TokenBook:
        return self._load().tokens

    def close(self) -> None:
        """Nothing is held open."""

    @contextmanager
    def _changing(self) -> Iterator[TokenBook]:
        with self._file.changing():
            content = self._load()
            before = content.tokens.model_copy(deep=True)
            yield content.tokens
            if content.tokens != before:
                self._save(content)

    def _put(self, content: Content, name: str, value: str) -> SecretInfo:
        kept = content.secrets.setdefault(name, [])
        number = kept[-1].number + 1 if kept else 1
        kept.append(Version(number=number, at=datetime.now(UTC), value=value))
        del kept[:-KEPT]
        self._save(content)
        return _info(name, kept)

    def _load(self) -> Content:
        sealed = self._file.read()
        if sealed is None:
            return Content()
        key = self._fernet(owned(self._key.path))
        try:
            return Content.model_validate_json(key.decrypt(sealed))
        except InvalidToken:
            raise SecretsCorrupt(
                f"{self._file.path} can't be opened with the key in {self._key.path}: it is another key, or the file "
                "was changed or cut; bring both back from one backup, or remove both and set the secrets again"
            ) from None
        except ValidationError:  # whose text would show what was found
            raise SecretsCorrupt(
                f"{self._file.path} holds something else than secrets; a newer Genesis may have written it: upgrade"
            ) from None

    def _save(self, content: Content) -> None:
        found = owned(self._key.path)
        if found is None and self._file.read() is None:
            found = self._make_key()
        self._file.write(self._fernet(found).encrypt(content.model_dump_json().encode()))

    def _make_key(self) -> bytes:
        key = Fernet.generate_key()
        with self._key.changing():
            try:
                self._key.write(key, replace=False)
            except FileExistsError:  # two stores, one key file
                return owned(self._key.path) or key
        return key

    def _fernet(self, key: bytes | None) -> Fernet:
        if key is None:
            raise SecretsRefused(
                f"the key {self._key.path} is not there, and {self._file.path} can't be opened without it; bring it "
                "back from a backup, name it in GENESIS_SECRETS_KEY_FILE, or remove the store and set the secrets again"
            )
        try:
            return Fernet(key.strip())
        except ValueError:
            raise SecretsRefused(
                f"{self._key.path} holds no key (32 bytes in base64); bring it back from a backup"
            ) from None


def _info(name: str, kept: list[Version]) -> SecretInfo:
    return SecretInfo(
        name=name, version=kept[-1].number, kept=[one.number for one in kept], updated=kept[-1].at
    )
