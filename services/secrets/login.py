"""How a worker proves to Vault or OpenBao who it is. What proves it is read anew at each login: it may change."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from services.secrets.contract import SecretsRefused

KUBERNETES_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True)
class Server:
    """Where the server is. From the variables that Vault's and OpenBao's own clients read."""

    url: str
    namespace: str = ""
    verify: bool | str = True
    """Path of the CA's certificates, True for the system's."""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Server":
        def named(name: str) -> str:
            return environment.get(f"VAULT_{name}") or environment.get(f"BAO_{name}") or ""

        url = named("ADDR").rstrip("/")
        if not url:
            raise SecretsRefused("no Vault is named; set VAULT_ADDR (or BAO_ADDR), or GENESIS_SECRETS=file")
        if not url.startswith(("http://", "https://")):
            raise SecretsRefused("VAULT_ADDR is no URL; write for example https://vault.example:8200")
        if "@" in url:
            raise SecretsRefused(
                "VAULT_ADDR holds a user or a password, which would be shown; leave them away"
            )
        return cls(url, named("NAMESPACE"), named("CACERT") or named("CAPATH") or True)


class Login(Protocol):
    @property
    def method(self) -> str:
        """In words, for messages."""

    @property
    def ends_with_us(self) -> bool:
        """Whether the token was made for us, and is to be revoked when we end."""

    def token(self, client: Any) -> SecretStr:
        """A token of our own, by a client that has none. Raises SecretsRefused, or what the client raises."""


@dataclass(frozen=True)
class TokenLogin:
    """A token that somebody else made: in a file (an agent's sink, say), else in VAULT_TOKEN or BAO_TOKEN."""

    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    method = "token"
    ends_with_us = False

    def token(self, client: Any) -> SecretStr:
        if self.file is not None:
            return _read(self.file, "GENESIS_VAULT_CREDENTIAL_FILE")
        found = self.environment.get("VAULT_TOKEN") or self.environment.get("BAO_TOKEN")
        if not found:
            raise SecretsRefused("no token for the vault; set VAULT_TOKEN, or GENESIS_VAULT_CREDENTIAL_FILE")
        return SecretStr(found)


@dataclass(frozen=True)
class AppRoleLogin:
    """A role's id, and its secret id in a file."""

    role_id: str
    file: Path | None
    mount: str = "approle"
    method = "AppRole"
    ends_with_us = True

    def token(self, client: Any) -> SecretStr:
        secret_id = (
            _read(self.file, "GENESIS_VAULT_CREDENTIAL_FILE").get_secret_value() if self.file else None
        )
        answer = client.auth.approle.login(self.role_id, secret_id, use_token=False, mount_point=self.mount)
        return SecretStr(answer["auth"]["client_token"])


@dataclass(frozen=True)
class KubernetesLogin:
    """The pod's service account."""

    role: str
    file: Path = KUBERNETES_TOKEN
    mount: str = "kubernetes"
    method = "Kubernetes"
    ends_with_us = True

    def token(self, client: Any) -> SecretStr:
        jwt = _read(self.file, "GENESIS_VAULT_CREDENTIAL_FILE").get_secret_value()
        answer = client.auth.kubernetes.login(self.role, jwt, use_token=False, mount_point=self.mount)
        return SecretStr(answer["auth"]["client_token"])


def _read(file: Path, setting: str) -> SecretStr:
    try:
        found = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise SecretsRefused(f"{file} can't be read ({why}); {setting} names it") from None
    if not found:
        raise SecretsRefused(f"{file} is empty; {setting} names it")
    return SecretStr(found)
