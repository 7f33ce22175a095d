"""The collection in Qdrant that holds the lessons, and its points: one a lesson.

It keeps the name and the dimension of the model that filled it; another model is refused. A point's payload is the
lesson, and beside it what keeps it right:

    kind      framework/error_type, by which a recall is filtered
    told      the newest keys under which it was told, so that a repeated step counts once
    revision  changed by every write: a write names the one it read, and begins anew where another was faster
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from schemas.memory import Lesson
from services.memory.config import MemoryConfig
from services.memory.embedding import Embedder
from services.memory.errors import MemoryRefusal, MemoryUnavailable, ModelMismatch
from services.memory.qdrant import Wanted, explained, nearest, open_client

COLLECTION = "genesis_lessons"
FORMAT: Final = 1
FAILURE, RULES = "failure", "rules"
"""A point's vectors: of what failed, and of what the definition asks for."""
MOST_TOLD = 256
PAGE = 1000
RACES = 8
"""How often a write begins anew because another writer was faster."""
_OWN_KEYS = ("kind", "told", "revision")

Payload = dict[str, Any]


class Collection:
    """Opens its storage when first asked. Not for several threads at a time: the keeper holds a lock.

    All methods but `close` are called within `asked`.
    """

    def __init__(self, config: MemoryConfig, embedder: Embedder) -> None:
        self._config = config
        self._embedder = embedder
        self._client: QdrantClient | None = None
        self._dimension: int | None = None
        """Once it was seen; None while the collection doesn't exist."""

    @contextmanager
    def asked(self) -> Iterator[Self]:
        """Open; its errors as ours. After one that may pass, storage is opened anew."""
        try:
            with explained(self._config):
                if self._client is None:
                    self._client = open_client(self._config)
                yield self
        except MemoryUnavailable:
            self._dimension = None
            self.close()
            raise

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def client(self) -> QdrantClient:
        assert self._client is not None, "nothing is asked of it"
        return self._client

    # The collection and its model

    def exists(self) -> bool:
        """Whether there is a collection, made by whichever model. Raises MemoryRefusal where it isn't ours."""
        if self._dimension is not None:
            return True
        if not self.client.collection_exists(COLLECTION):
            return False
        kept = self._mark().get("format")
        if kept != FORMAT:
            raise MemoryRefusal(
                f"the collection {COLLECTION} at {self._config.where} wasn't made by this version of Genesis (format "
                f"{kept}, read is {FORMAT}), or by a Qdrant older than 1.16, which keeps no format; name another place "
                "with GENESIS_QDRANT_URL or GENESIS_HOME"
            )
        return True

    def fits(self) -> bool:
        """Whether there is a collection, and for this model; raises ModelMismatch where another model filled it."""
        if self._dimension is not None:
            return True
        if not self.exists():
            return False
        config = self.client.get_collection(COLLECTION).config
        vectors = config.params.vectors
        dimension = vectors[FAILURE].size if isinstance(vectors, dict) and FAILURE in vectors else 0
        model = (config.metadata or {}).get("model")
        if model != self._config.model_name:
            raise self._mismatch(str(model), dimension)
        if self._embedder.loaded and self._embedder.dimension != dimension:
            raise self._mismatch(f"{model} as it was", dimension)
        self._dimension = dimension
        return True

    def made_by(self) -> tuple[str, int]:
        """Model and dimension; the setting's model, and 0, where there is no collection yet."""
        if not self.exists():
            return self._config.model_name, 0
        kept = self._mark()
        return str(kept.get("model")), int(kept.get("dimension", 0))

    def make(self) -> None:
        """Make it where there is none."""
        if self.fits():
            return
        size = self._embedder.dimension
        try:
            self.client.create_collection(
                COLLECTION,
                vectors_config={
                    name: models.VectorParams(size=size, distance=models.Distance.COSINE)
                    for name in (FAILURE, RULES)
                },
                metadata={"format": FORMAT, "model": self._config.model_name, "dimension": size},
            )
        except UnexpectedResponse as error:
            if error.status_code != 409:  # another worker made it just now
                raise
        if self._config.url:  # embedded storage has no indexes
            for key in ("kind", "framework"):
                self.client.create_payload_index(COLLECTION, key, models.PayloadSchemaType.KEYWORD)
        self.fits()

    def drop(self) -> None:
        """Remove every point, and the collection with its model."""
        if self.exists():
            self.client.delete_collection(COLLECTION)
        self._dimension = None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Refuses vectors that don't fit: the model of that name has changed since."""
        made = self._embedder.embed(texts)
        if made and self._dimension is not None and len(made[0]) != self._dimension:
            raise self._mismatch(f"{self._config.model_name} as it was", self._dimension)
        return made

    def _mark(self) -> dict[str, Any]:
        return self.client.get_collection(COLLECTION).config.metadata or {}

    def _mismatch(self, kept: str, dimension: int) -> ModelMismatch:
        return ModelMismatch(
            f"the memory at {self._config.where} was embedded by {kept} ({dimension} dimensions), but "
            f"{self._config.model_name} is set; set GENESIS_MEMORY_MODEL back, or embed all lessons anew: "
            "'memory export FILE', then 'memory import FILE --replace'"
        )

    # Points

    def may_have(self, key: str, value: str) -> bool:
        """False where no point has the value, so that no model need be loaded to look for similar ones."""
        return self._embedder.loaded or self.client.count(COLLECTION, _where(key, value)).count > 0

    def near(
        self, using: str, only: tuple[str, str], vector: list[float], most: int, threshold: float
    ) -> list[tuple[float, Payload]]:
        """Similarity and payload of the nearest points that have the value `only[1]` under the key `only[0]`."""
        wanted = Wanted(COLLECTION, using, *only, most, threshold)
        return nearest(self.client, wanted, vector, embedded=not self._config.url)

    def write(
        self,
        point_id: str,
        vector: dict[str, list[float]] | None,
        change: Callable[[Payload | None], tuple[Lesson, Sequence[str]] | None],
    ) -> str:
        """Read, change and write one point, so that no other writer's change is lost: 'new', 'changed' or 'kept'.

        `change` gets the payload, None where there is no point, and returns the lesson and its keys, or None to leave
        it. Without a vector the point keeps its own.
        """
        for _ in range(RACES):
            found = self.client.retrieve(
                COLLECTION, [point_id], with_payload=True, with_vectors=vector is None
            )
            before = found[0].payload if found else None
            changed = change(before)
            if changed is None:
                return "kept"
            lesson, told = changed
            revision = uuid.uuid4().hex
            payload = lesson.model_dump(mode="json", exclude={"similarity"}) | {
                "kind": f"{lesson.framework}/{lesson.error_type}",
                "told": list(told)[-MOST_TOLD:],
                "revision": revision,
            }
            point = models.PointStruct(
                id=point_id, vector=vector if vector is not None else found[0].vector, payload=payload
            )
            read = before["revision"] if before else ""
            self.client.upsert(COLLECTION, [point], wait=True, update_filter=_where("revision", read))
            now = self.client.retrieve(COLLECTION, [point_id], with_payload=["revision", "told"])
            if now and now[0].payload and _took(now[0].payload, revision, before, told):
                return "new" if before is None else "changed"
        raise MemoryUnavailable(
            f"the lesson {point_id} is being written by too many at once; nothing was counted"
        )

    def remove(self, point_id: str) -> None:
        self.client.delete(COLLECTION, points_selector=models.PointIdsList(points=[point_id]), wait=True)

    def find(self, lesson_id: str) -> Lesson:
        """By its id, or the beginning of one; MemoryRefusal where there is none, or more than one."""
        wanted = lesson_id.strip().lower()
        if self.exists() and wanted:
            if _is_uuid(wanted):
                found = self.client.retrieve(COLLECTION, [wanted], with_payload=True)
            else:
                ids = [one for one in self._ids() if one.startswith(wanted)]
                if len(ids) > 1:
                    raise MemoryRefusal(f"{len(ids)} lessons begin with '{lesson_id}'; give more of the id")
                found = self.client.retrieve(COLLECTION, ids, with_payload=True) if ids else []
            if found:
                return lesson_of(found[0].payload)
        raise MemoryRefusal(f"there is no lesson '{lesson_id}'; 'memory list' and 'memory search' show ids")

    def lessons(self, **only: str) -> Iterator[Lesson]:
        """All that have these values; an empty one asks for nothing."""
        must = [_matches(key, value) for key, value in only.items() if value]
        if self.exists():
            for record in self._scroll(models.Filter(must=must), with_payload=True):
                yield lesson_of(record.payload)

    def page(self, after: str | None, size: int) -> tuple[list[Lesson], str | None]:
        """Lessons by id; and where the next page begins, None after the last."""
        if not self.exists():
            return [], None
        records, following = self.client.scroll(COLLECTION, limit=size, offset=after, with_payload=True)
        return [lesson_of(record.payload) for record in records], (
            None if following is None else str(following)
        )

    def _ids(self) -> Iterator[str]:
        for record in self._scroll(None, with_payload=False):
            yield str(record.id)

    def _scroll(self, only: models.Filter | None, *, with_payload: bool) -> Iterator[models.Record]:
        # embedded, each page sorts all ids again
        size = PAGE if self._config.url else 20 * PAGE
        after: Any = None
        while True:
            records, after = self.client.scroll(
                COLLECTION, scroll_filter=only, limit=size, offset=after, with_payload=with_payload
            )
            yield from records
            if after is None:
                return


def lesson_of(payload: Payload | None) -> Lesson:
    return Lesson.model_validate(
        {key: value for key, value in (payload or {}).items() if key not in _OWN_KEYS}
    )


def _where(key: str, value: str) -> models.Filter:
    return models.Filter(must=[_matches(key, value)])


def _matches(key: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _took(now: Payload, revision: str, before: Payload | None, told: Sequence[str]) -> bool:
    """Whether our write is in what is there now: it is ours, or one that was made on top of it."""
    if now["revision"] == revision:
        return True
    added = set(told) - set(before["told"] if before else ())
    return bool(added) and added <= set(now["told"])


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
