"""Settings: the environment's word (`GENESIS_*`), and a default that works on a fresh machine."""

import hashlib
import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.sandbox import ProviderName


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
    temporal_ui: str = ""
    """Base URL of the Web UI, for the links; derived from the address where empty."""

    @field_validator("home", "strategies")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @property
    def records_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'records.db'}"

    @property
    def library_location(self) -> str:
        return self.library or str(self.home / "library.git")

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
