"""Settings: the environment's word (`GENESIS_*`), and a default that works on a fresh machine."""

import hashlib
import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.budget import Budget, Calls, Tokens, Usd
from schemas.sandbox import ProviderName
from schemas.secrets import SecretName

VAULT_PATH = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"


class Settings(BaseSettings):
    """Everything that differs between the embedded default and a fleet."""

    model_config = SettingsConfigDict(env_prefix="GENESIS_", extra="ignore")

    home: Path = Path("var")
    """Holds what Genesis keeps: records, artifacts, library, the embedded server's database."""
    database_url: str = ""
    """SQLAlchemy URL of the records; SQLite under `home` where empty."""
    library: str = ""
    """The library: path of a bare repository or a remote URL; `library.git` under `home` where empty."""
    strategies: Path = Path("strategies")
    task_queue: str = ""
    host: str = Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9._-]{1,200}$")
    engine: str = "offline"
    model_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Base URL of an OpenAI-compatible server; where set, the engines `openai:…` are its models."""
    model_timeout: Annotated[float, Field(gt=0, le=540)] = 300.0
    """Seconds for one call of a model, to its last byte; less than a step may take."""
    model_max_tokens: Annotated[int, Field(ge=16, le=1_000_000)] = 16_000
    """Most that one answer of a model may have; a longer one is asked for in parts."""
    model_output: Literal["auto", "native", "tool", "prompted", "json_object"] = "auto"
    """How a model is asked for a structured answer (services.engines.providers.OutputMode)."""
    experiment_timeout_ms: Annotated[int, Field(gt=1000, le=30 * 24 * 3600 * 1000)] = 3_600_000
    sandbox_providers: list[ProviderName] = ["bubblewrap", "docker"]
    sandbox_image: str = "genesis-sandbox:latest"
    sandbox_runtime: str = ""
    """Docker's runtime (runc, runsc …); the daemon's default where empty."""
    sandboxes_ready: Annotated[int, Field(ge=0, le=16)] = 1
    """Sandboxes kept started, for the next experiment."""
    max_sandboxes: Annotated[int, Field(ge=1, le=1000)] = Field(
        default_factory=lambda: max(2, 2 * len(os.sched_getaffinity(0)))
    )
    """Sandboxes at the same time on this host, over all its workers; experiments that find none free stand in line."""
    max_activities: Annotated[int, Field(ge=2, le=200)] = 8
    """Steps one worker carries out at the same time."""
    memory: bool = True
    """Whether failures are remembered and recalled; needs the extra `memory`."""
    qdrant_url: str = ""
    """Of a Qdrant server that keeps the memory; embedded, under `home`, where empty."""
    qdrant_api_key: SecretStr = SecretStr("")
    memory_model: str = ""
    """Folder or cached name of a sentence-transformers model; all-MiniLM-L6-v2 from its wheel where empty."""
    memory_threshold: Annotated[float, Field(ge=-1, le=1)] = 0.55
    """Least similarity of what is recalled."""
    memory_lessons: Annotated[int, Field(ge=0, le=20)] = 3
    """Most lessons that an engine is given at a time."""
    memory_timeout: Annotated[float, Field(ge=1, le=600)] = 60.0
    """Seconds that a step waits for the memory, which needs some to load its model."""
    secrets: Literal["file", "vault", "env"] = "file"
    """Where secrets are: an encrypted file under `home`, HashiCorp Vault or OpenBao, or the worker's environment."""
    secrets_key_file: Path | None = None
    """The key of the encrypted file; `secrets/key` under `home` where unset."""
    sandbox_secrets: list[SecretName] = []
    """What a definition may ask for, to have it in its trials' environment."""
    vault_mount: str = Field("secret", pattern=VAULT_PATH)
    vault_path: str = Field("genesis", pattern=VAULT_PATH)
    """Secrets lie below it, in the KV v2 engine at the mount."""
    vault_auth: Literal["token", "approle", "kubernetes"] = "token"
    vault_auth_mount: str = ""
    vault_role: str = ""
    """The AppRole's role id, or the name of the Kubernetes role."""
    vault_credential_file: Path | None = None
    """Holds the token, the AppRole's secret id, or the service account's token."""
    vault_token_role: str = ""
    """The token role by which experiments' tokens are issued; `create-orphan`, which needs sudo, where empty."""
    budget_day_usd: Usd | None = None
    """Most US dollars for calls of models on one day (UTC), over all experiments; no limit where unset."""
    budget_day_tokens: Tokens | None = None
    budget_day_calls: Calls | None = None
    metrics: str = Field(default="", pattern=r"^([A-Za-z0-9.:\[\]-]+:\d{1,5})?$")
    """HOST:PORT at which a worker tells Prometheus its metrics; nowhere where empty."""
    temporal_ui: str = ""
    """Base URL of the Web UI, for the links; derived from the address where empty."""

    @field_validator("home", "strategies")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("metrics")
    @classmethod
    def _port(cls, address: str) -> str:
        if address and int(address.rpartition(":")[2]) > 65_535:
            raise ValueError("there is no such port; give one up to 65535")
        return address

    @property
    def records_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'records.db'}"

    @property
    def library_location(self) -> str:
        return self.library or str(self.home / "library.git")

    @property
    def budget_day(self) -> Budget:
        return Budget(tokens=self.budget_day_tokens, usd=self.budget_day_usd, calls=self.budget_day_calls)

    @property
    def experiment_timeout(self) -> timedelta:
        return timedelta(milliseconds=self.experiment_timeout_ms)

    @property
    def queue(self) -> str:
        """The task queue. Where no server is named, experiments of different homes on one machine keep apart."""
        if self.task_queue:
            return self.task_queue
        if os.environ.get("TEMPORAL_ADDRESS") or os.environ.get("TEMPORAL_PROFILE"):
            return "genesis"
        return f"genesis-{hashlib.sha256(str(self.home).encode()).hexdigest()[:8]}"
