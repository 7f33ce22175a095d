"""Qdrant, embedded or a server: how it is opened, and its errors in words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from services.memory.config import MemoryConfig
from services.memory.errors import MemoryRefusal, MemoryUnavailable

WIDER = 6
"""By how much more is asked for than wanted, where the filter comes after."""


@dataclass(frozen=True)
class Wanted:
    """Points whose payload has `value` under `key`: at most `limit`, all more similar than `threshold`."""

    collection: str
    using: str
    """The vector's name."""
    key: str
    value: str
    limit: int
    threshold: float


def nearest(
    client: QdrantClient, wanted: Wanted, vector: list[float], *, embedded: bool
) -> list[tuple[float, dict[str, Any]]]:
    """Similarity and payload of the nearest points, nearest first.

    Embedded, Qdrant's client asks every payload in Python whether it passes a filter. So there the nearest are taken
    without one, and more of them until enough pass or none is similar enough: the same answer, many times sooner,
    since what is near is mostly of the same kind.
    """
    if not embedded:
        only = models.FieldCondition(key=wanted.key, match=models.MatchValue(value=wanted.value))
        hits = _query(client, wanted, vector, wanted.limit, True, models.Filter(must=[only]))
        return [(hit.score, hit.payload or {}) for hit in hits]
    wide = WIDER * wanted.limit
    while True:
        near = _query(client, wanted, vector, wide, [wanted.key])
        passed = [hit for hit in near if (hit.payload or {}).get(wanted.key) == wanted.value][: wanted.limit]
        if len(passed) == wanted.limit or len(near) < wide:
            break
        wide *= WIDER
    ids = [hit.id for hit in passed]
    found = client.retrieve(wanted.collection, ids, with_payload=True) if ids else []
    payloads = {record.id: record.payload or {} for record in found}
    return [(hit.score, payloads[hit.id]) for hit in passed]


def _query(
    client: QdrantClient,
    wanted: Wanted,
    vector: list[float],
    limit: int,
    with_payload: bool | list[str],
    only: models.Filter | None = None,
) -> list[models.ScoredPoint]:
    return client.query_points(
        wanted.collection,
        query=vector,
        using=wanted.using,
        query_filter=only,
        limit=limit,
        score_threshold=wanted.threshold,
        with_payload=with_payload,
    ).points


def open_client(config: MemoryConfig) -> QdrantClient:
    """Embedded storage is made where there is none; a server isn't asked yet. The client makes no retries."""
    if config.url:
        return QdrantClient(
            url=config.url,
            api_key=config.api_key.get_secret_value() or None,
            timeout=max(1, round(config.request_seconds)),
            check_compatibility=False,
        )
    folder = config.folder / "qdrant"
    try:
        return QdrantClient(path=str(folder), force_disable_check_same_thread=True)
    except RuntimeError as error:  # what it raises where the lock is taken
        who = lock_holder(folder / ".lock")
        raise MemoryUnavailable(
            f"the memory in {folder} is held by {who}, which isn't Genesis' own keeper; end it, or take a Qdrant "
            "server for both (GENESIS_QDRANT_URL)"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError) as error:  # from reading its files
        raise MemoryUnavailable(
            f"the memory in {folder} is damaged ({error}); move the folder away to begin with an empty one, and "
            "'memory import' the last export"
        ) from error


@contextmanager
def explained(config: MemoryConfig) -> Iterator[None]:
    """Errors of Qdrant, of its storage and of the way to it, as MemoryUnavailable or MemoryRefusal."""
    where = config.where
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise MemoryRefusal(
                f"Qdrant at {where} refuses the key (HTTP {error.status_code}); set GENESIS_QDRANT_API_KEY"
            ) from error
        raise MemoryUnavailable(
            f"Qdrant at {where} answered HTTP {error.status_code} {error.reason_phrase}; see its log"
        ) from error
    except (ResponseHandlingException, ApiException, httpx.HTTPError) as error:
        raise MemoryUnavailable(
            f"Qdrant at {where} can't be reached ({str(error) or type(error).__name__}); start it, or unset "
            "GENESIS_QDRANT_URL for the embedded one"
        ) from error
    except (sqlite3.Error, OSError) as error:
        raise MemoryUnavailable(
            f"the memory in {where} can't be read or written ({error}); check disk and rights, or move the folder "
            "away to begin with an empty one"
        ) from error


def lock_holder(path: Path) -> str:
    """Who holds the lock on a file, in words."""
    try:
        inode = path.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            parts = line.split()
            if len(parts) > 5 and parts[5].endswith(f":{inode}"):
                return f"process {parts[4]}"
    except OSError:
        return "another process"
    return "another process"
