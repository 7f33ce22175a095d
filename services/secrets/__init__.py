"""Secrets: the stores. The guard, which reads some on behalf of an experiment, is in services.secrets.guard."""

from services.secrets.contract import (
    SecretMissing,
    SecretsCorrupt,
    SecretsError,
    SecretsRefused,
    SecretStore,
    SecretsUnavailable,
    Token,
    TokenGone,
)
from services.secrets.opening import open_store

__all__ = [
    "SecretMissing",
    "SecretStore",
    "SecretsCorrupt",
    "SecretsError",
    "SecretsRefused",
    "SecretsUnavailable",
    "Token",
    "TokenGone",
    "open_store",
]
