import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.memory.config import MemoryConfig
from services.memory.embedding import Embedder
from services.memory.store import LessonStore
from tests.services.memory.qdrant_rest import QdrantRest, qdrant_rest


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The real model, loaded once."""
    made = Embedder()
    made.embed(["warm"])
    return made


@pytest.fixture
def rest() -> Iterator[QdrantRest]:
    with qdrant_rest() as server:
        yield server


SERVER = os.environ.get("QDRANT_TEST_URL", "")
"""A real server whose lessons may be removed: its binary isn't on PyPI, so the tests don't start one."""


@pytest.fixture(params=["embedded", "rest", *(["server"] if SERVER else [])])
def store(request: pytest.FixtureRequest, tmp_path: Path, embedder: Embedder) -> Iterator[LessonStore]:
    """Every way of keeping lessons."""
    url = {"embedded": "", "server": SERVER}.get(request.param)
    if url is None:
        url = request.getfixturevalue("rest").url
    made = LessonStore(MemoryConfig(folder=tmp_path, url=url), embedder)
    if request.param == "server":
        made.clear()
    yield made
    made.close()
