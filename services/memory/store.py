"""Lessons in Qdrant: one collection, one point a lesson, found by what failed or by what a definition asks for.

The collection keeps the model's name and dimension; another model is refused. A point's payload is the lesson, and
beside it what keeps it right:

    kind      framework/error_type, by which a recall is filtered
    told      the newest keys under which it was told, so that a repeated step counts once
    revision  changed by every write: a write names the one it read, and begins anew where another was faster
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from domain.lessons import gist, merged, rank
from schemas.memory import Lesson, LessonUse, MemoryStats, Observation, Recall
from services.memory.config import MemoryConfig
from services.memory.embedding import Embedder
from services.memory.errors import MemoryRefusal, MemoryUnavailable, ModelMismatch
from services.memory.qdrant import Wanted, explained, nearest, open_client

COLLECTION = "genesis_lessons"
FORMAT: Final = 1
FAILURE, RULES = "failure", "rules"
CANDIDATES = 50
"""The most similar lessons, which are then ranked by how often their fix worked too."""
MOST_TOLD = 256
PAGE = 1000
RACES = 8
"""How often a write begins anew because another writer was faster."""
_OWN_KEYS = ("kind", "told", "revision")


class LessonStore:
    """Opens its storage when first asked. Not for several threads at a time: the keeper holds a lock."""

    def __init__(self, config: MemoryConfig, embedder: Embedder) -> None:
        self._config = config
        self._embedder = embedder
        self._client: QdrantClient | None = None
        self._dimension: int | None = None
        """The collection's, once it was seen; None while it doesn't exist."""

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    # Reading

    def recall(self, query: Recall) -> list[Lesson]:
        """The lessons above the threshold, best first. Where nothing can be found, no model is loaded."""
        failure = query.failure
        if failure is not None:
            using, text = FAILURE, f"{failure.error_type}: {failure.message}"
            only = ("kind", f"{query.framework}/{failure.error_type}")
        else:
            using, text = (FAILURE, query.text) if query.text else (RULES, query.rules)
            only = ("framework", query.framework)
        if not text.strip():
            raise MemoryRefusal("nothing to recall by: give a failure, rules or a text")
        with self._explained() as client:
            if not self._opened(client):
                return []
            if not self._embedder.loaded and not client.count(COLLECTION, count_filter=_where(*only)).count:
                return []
            (vector,) = self._failure_vectors([text]) if using == FAILURE else self._embed([text])
            threshold = self._threshold(query, using)
            hits = nearest(
                client,
                Wanted(COLLECTION, using, *only, max(CANDIDATES, query.most), threshold),
                vector,
                embedded=not self._config.url,
            )
        found = [
            _lesson(payload).model_copy(update={"similarity": round(score, 4)}) for score, payload in hits
        ]
        return rank(found)[: query.most]

    def _threshold(self, query: Recall, using: str) -> float:
        """The setting's is for failures. Definitions are all written alike: the twelve shipped ones are 0.6 similar at
        the median, so theirs lies halfway between the setting and 1."""
        if query.threshold is not None:
            return query.threshold
        return self._config.threshold if using == FAILURE else (1 + self._config.threshold) / 2

    def get(self, lesson_id: str) -> Lesson:
        """By its id, or the beginning of one where only one lesson has it."""
        with self._explained() as client:
            return _lesson(self._point(client, lesson_id).payload)

    def lessons(self, limit: int, framework: str = "", gate: str = "", error_type: str = "") -> list[Lesson]:
        """Those that were seen most often first."""
        wanted = {"framework": framework, "gate": gate, "error_type": error_type}
        must = [_matches(key, value) for key, value in wanted.items() if value]
        with self._explained() as client:
            found = [_lesson(payload) for payload in self._payloads(client, models.Filter(must=must))]
        return sorted(found, key=lambda one: (-one.seen, one.id))[:limit]

    def page(self, after: str | None, size: int) -> tuple[list[Lesson], str | None]:
        """Lessons by id; and where the next page begins, None after the last."""
        with self._explained() as client:
            if not self._exists(client):
                return [], None
            records, following = client.scroll(COLLECTION, limit=size, offset=after, with_payload=True)
        return [_lesson(record.payload) for record in records], None if following is None else str(following)

    def stats(self) -> MemoryStats:
        sums = dict.fromkeys(("lessons", "with_fix", "seen", "worked", "failed", "recalled", "helped"), 0)
        kinds: dict[str, int] = {}
        with self._explained() as client:
            model, dimension = self._kept(client)
            for payload in self._payloads(client, None):
                lesson = _lesson(payload)
                sums["lessons"] += 1
                sums["with_fix"] += bool(lesson.fix)
                for name in ("seen", "worked", "failed", "recalled", "helped"):
                    sums[name] += getattr(lesson, name)
                kinds[lesson.error_type] = kinds.get(lesson.error_type, 0) + lesson.seen
        most = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))[:20]
        return MemoryStats(
            where=self._config.where,
            model=model,
            dimension=dimension,
            by_error_type=dict(most),
            **sums,
        )

    # Writing

    def learn(self, observations: Sequence[Observation]) -> tuple[int, int]:
        """How many lessons were new and how many met again; one told under the same key before is neither."""
        new = known = 0
        with self._explained() as client:
            self._made(client)
            vectors = self._vectors([observation.lesson for observation in observations])
            for observation, vector in zip(observations, vectors, strict=True):
                lesson = observation.lesson

                def told(before: dict[str, Any] | None, this: Observation = observation) -> Any:
                    if before is None:
                        return this.lesson, [this.key]
                    if this.key in before["told"]:
                        return None
                    return merged(_lesson(before), this.lesson), [*before["told"], this.key]

                match self._write(client, lesson.id, vector, told):
                    case "new":
                        new += 1
                    case "changed":
                        known += 1
        return new, known

    def use(self, experiment_id: str, uses: Sequence[LessonUse]) -> int:
        """Count which lessons were given to an engine and whether that helped; those forgotten since are passed
        over."""
        counted = 0
        with self._explained() as client:
            if not self._opened(client):
                return 0
            for use in uses:

                def used(before: dict[str, Any] | None, this: LessonUse = use) -> Any:
                    key = f"{experiment_id}#{this.attempt} used"
                    if before is None or key in before["told"]:
                        return None
                    lesson = _lesson(before)
                    counts = {"recalled": lesson.recalled + 1, "helped": lesson.helped + this.helped}
                    return lesson.model_copy(update=counts), [*before["told"], key]

                counted += self._write(client, use.id, None, used) == "changed"
        return counted

    def restore(self, lessons: Sequence[Lesson]) -> tuple[int, int]:
        """Take lessons from an export; how many were new and how many raised a count.

        Of a lesson that is known the higher counts hold: importing a file twice, or the memory's own, changes nothing.
        """
        new = raised = 0
        with self._explained() as client:
            self._made(client)
            for lesson, vector in zip(lessons, self._vectors(lessons), strict=True):

                def kept(before: dict[str, Any] | None, this: Lesson = lesson) -> Any:
                    if before is None:
                        return this.model_copy(update={"similarity": None}), []
                    known = _lesson(before)
                    names = ("seen", "worked", "failed", "recalled", "helped")
                    higher = {name: max(getattr(known, name), getattr(this, name)) for name in names}
                    changed = known.model_copy(update=higher)
                    return None if changed == known else (changed, before["told"])

                match self._write(client, lesson.id, vector, kept):
                    case "new":
                        new += 1
                    case "changed":
                        raised += 1
        return new, raised

    def forget(self, lesson_id: str) -> Lesson:
        """Remove it; returns what it was."""
        with self._explained() as client:
            point = self._point(client, lesson_id)
            client.delete(COLLECTION, points_selector=models.PointIdsList(points=[point.id]), wait=True)
            return _lesson(point.payload)

    def clear(self) -> None:
        """Remove every lesson, and the collection with its model."""
        with self._explained() as client:
            if self._exists(client):
                client.delete_collection(COLLECTION)
            self._dimension = None

    # The collection

    def _exists(self, client: QdrantClient) -> bool:
        """Whether there is a collection, made by whichever model. Raises MemoryRefusal where it isn't ours."""
        if self._dimension is not None:
            return True
        if not client.collection_exists(COLLECTION):
            return False
        kept = client.get_collection(COLLECTION).config.metadata or {}
        if kept.get("format") != FORMAT:
            raise MemoryRefusal(
                f"the collection {COLLECTION} at {self._config.where} wasn't made by this version of Genesis (format "
                f"{kept.get('format')}, read is {FORMAT}), or by a Qdrant older than 1.16, which keeps no format; name "
                "another place with GENESIS_QDRANT_URL or GENESIS_HOME"
            )
        return True

    def _opened(self, client: QdrantClient) -> bool:
        """Whether there is a collection for this model; raises ModelMismatch where another model filled it."""
        if self._dimension is not None:
            return True
        if not self._exists(client):
            return False
        config = client.get_collection(COLLECTION).config
        vectors = config.params.vectors
        dimension = vectors[FAILURE].size if isinstance(vectors, dict) and FAILURE in vectors else 0
        model = (config.metadata or {}).get("model")
        if model != self._config.model_name:
            raise self._mismatch(str(model), dimension)
        if self._embedder.loaded and self._embedder.dimension != dimension:
            raise self._mismatch(f"{model} as it was", dimension)
        self._dimension = dimension
        return True

    def _kept(self, client: QdrantClient) -> tuple[str, int]:
        """Model and dimension of the collection; of the setting where there is none yet."""
        if not self._exists(client):
            return self._config.model_name, 0
        kept = client.get_collection(COLLECTION).config.metadata or {}
        return str(kept.get("model")), int(kept.get("dimension", 0))

    def _made(self, client: QdrantClient) -> None:
        """Make the collection where there is none."""
        if self._opened(client):
            return
        size = self._embedder.dimension
        try:
            client.create_collection(
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
                client.create_payload_index(COLLECTION, key, models.PayloadSchemaType.KEYWORD)
        self._opened(client)

    def _mismatch(self, kept: str, dimension: int) -> ModelMismatch:
        return ModelMismatch(
            f"the memory at {self._config.where} was embedded by {kept} ({dimension} dimensions), but "
            f"{self._config.model_name} is set; set GENESIS_MEMORY_MODEL back, or embed all lessons anew: "
            "'memory export FILE', then 'memory import FILE --replace'"
        )

    # Points

    def _write(
        self,
        client: QdrantClient,
        point_id: str,
        vector: dict[str, list[float]] | None,
        change: Callable[[dict[str, Any] | None], tuple[Lesson, Sequence[str]] | None],
    ) -> str:
        """Read, change and write one point, so that no other writer's change is lost: 'new', 'changed' or 'kept'.

        `change` gets the payload, None where there is no point, and returns the lesson and its keys, or None to leave
        it. Without a vector the point keeps its own.
        """
        for _ in range(RACES):
            found = client.retrieve(COLLECTION, [point_id], with_payload=True, with_vectors=vector is None)
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
            client.upsert(COLLECTION, [point], wait=True, update_filter=_where("revision", read))
            now = client.retrieve(COLLECTION, [point_id], with_payload=["revision", "told"])
            if now and now[0].payload and _took(now[0].payload, revision, before, told):
                return "new" if before is None else "changed"
        raise MemoryUnavailable(
            f"the lesson {point_id} is being written by too many at once; nothing was counted"
        )

    def _vectors(self, lessons: Sequence[Lesson]) -> list[dict[str, list[float]]]:
        rules = [lesson.rules for lesson in lessons if lesson.rules.strip()]
        failures = self._failure_vectors([f"{lesson.error_type}: {lesson.message}" for lesson in lessons])
        rest = iter(self._embed(rules))
        return [
            {FAILURE: vector} | ({RULES: next(rest)} if lesson.rules.strip() else {})
            for lesson, vector in zip(lessons, failures, strict=True)
        ]

    def _failure_vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Between a text and its gist: similar is what fails alike, and most so where names are the same too."""
        made = self._embed([*texts, *map(gist, texts)])
        return [
            [(one + other) / 2 for one, other in zip(text, essence, strict=True)]
            for text, essence in zip(made[: len(texts)], made[len(texts) :], strict=True)
        ]

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Refuses vectors that don't fit: the model of that name has changed since."""
        made = self._embedder.embed(texts)
        if made and self._dimension is not None and len(made[0]) != self._dimension:
            raise self._mismatch(f"{self._config.model_name} as it was", self._dimension)
        return made

    def _point(self, client: QdrantClient, lesson_id: str) -> models.Record:
        wanted = lesson_id.strip().lower()
        if self._exists(client) and wanted:
            if _is_uuid(wanted):
                found = client.retrieve(COLLECTION, [wanted], with_payload=True)
            else:
                ids = [one for one in self._ids(client) if one.startswith(wanted)]
                if len(ids) > 1:
                    raise MemoryRefusal(f"{len(ids)} lessons begin with '{lesson_id}'; give more of the id")
                found = client.retrieve(COLLECTION, ids, with_payload=True) if ids else []
            if found:
                return found[0]
        raise MemoryRefusal(f"there is no lesson '{lesson_id}'; 'memory list' and 'memory search' show ids")

    def _ids(self, client: QdrantClient) -> Iterator[str]:
        for record in self._scroll(client, None, with_payload=False):
            yield str(record.id)

    def _payloads(self, client: QdrantClient, only: models.Filter | None) -> Iterator[dict[str, Any]]:
        if self._exists(client):
            for record in self._scroll(client, only, with_payload=True):
                yield record.payload or {}

    def _scroll(
        self, client: QdrantClient, only: models.Filter | None, *, with_payload: bool
    ) -> Iterator[models.Record]:
        # embedded, each page sorts all ids again
        size = PAGE if self._config.url else 20 * PAGE
        after: Any = None
        while True:
            records, after = client.scroll(
                COLLECTION, scroll_filter=only, limit=size, offset=after, with_payload=with_payload
            )
            yield from records
            if after is None:
                return

    @contextmanager
    def _explained(self) -> Iterator[QdrantClient]:
        """The client; its errors as ours. After one that may pass, storage is opened anew."""
        try:
            with explained(self._config):
                if self._client is None:
                    self._client = open_client(self._config)
                yield self._client
        except MemoryUnavailable:
            self._dimension = None
            self.close()
            raise


def _where(key: str, value: str) -> models.Filter:
    return models.Filter(must=[_matches(key, value)])


def _matches(key: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _lesson(payload: dict[str, Any] | None) -> Lesson:
    return Lesson.model_validate(
        {key: value for key, value in (payload or {}).items() if key not in _OWN_KEYS}
    )


def _took(now: dict[str, Any], revision: str, before: dict[str, Any] | None, told: Sequence[str]) -> bool:
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
