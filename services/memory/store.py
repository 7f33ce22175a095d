"""Lessons: found by what failed or by what a definition asks for, learnt, and counted."""

from collections.abc import Sequence
from typing import Any

from domain.lessons import gist, merged, rank
from schemas.memory import Lesson, LessonUse, MemoryStats, Observation, Recall
from services.memory.collection import FAILURE, RULES, Collection, Payload, lesson_of
from services.memory.config import MemoryConfig
from services.memory.embedding import Embedder
from services.memory.errors import MemoryRefusal

CANDIDATES = 50
"""The most similar lessons, which are then ranked by how often their fix worked too."""
_COUNTS = ("seen", "worked", "failed", "recalled", "helped")


class LessonStore:
    """Opens its storage when first asked. Not for several threads at a time: the keeper holds a lock."""

    def __init__(self, config: MemoryConfig, embedder: Embedder) -> None:
        self._config = config
        self._collection = Collection(config, embedder)

    def close(self) -> None:
        self._collection.close()

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
        with self._collection.asked() as collection:
            if not (collection.fits() and collection.may_have(*only)):
                return []
            (vector,) = self._failure_vectors([text]) if using == FAILURE else collection.embed([text])
            threshold = self._threshold(query, using)
            hits = collection.near(using, only, vector, max(CANDIDATES, query.most), threshold)
        found = [
            lesson_of(payload).model_copy(update={"similarity": round(score, 4)}) for score, payload in hits
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
        with self._collection.asked() as collection:
            return collection.find(lesson_id)

    def lessons(self, limit: int, framework: str = "", gate: str = "", error_type: str = "") -> list[Lesson]:
        """Those that were seen most often first."""
        with self._collection.asked() as collection:
            found = [*collection.lessons(framework=framework, gate=gate, error_type=error_type)]
        return sorted(found, key=lambda one: (-one.seen, one.id))[:limit]

    def page(self, after: str | None, size: int) -> tuple[list[Lesson], str | None]:
        """Lessons by id; and where the next page begins, None after the last."""
        with self._collection.asked() as collection:
            return collection.page(after, size)

    def stats(self) -> MemoryStats:
        sums = dict.fromkeys(("lessons", "with_fix", *_COUNTS), 0)
        kinds: dict[str, int] = {}
        with self._collection.asked() as collection:
            model, dimension = collection.made_by()
            for lesson in collection.lessons():
                sums["lessons"] += 1
                sums["with_fix"] += bool(lesson.fix)
                for name in _COUNTS:
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
        with self._collection.asked() as collection:
            collection.make()
            vectors = self._vectors([observation.lesson for observation in observations])
            for observation, vector in zip(observations, vectors, strict=True):
                lesson = observation.lesson

                def told(before: Payload | None, this: Observation = observation) -> Any:
                    if before is None:
                        return this.lesson, [this.key]
                    if this.key in before["told"]:
                        return None
                    return merged(lesson_of(before), this.lesson), [*before["told"], this.key]

                match collection.write(lesson.id, vector, told):
                    case "new":
                        new += 1
                    case "changed":
                        known += 1
        return new, known

    def use(self, experiment_id: str, uses: Sequence[LessonUse]) -> int:
        """Count which lessons were given to an engine and whether that helped; those forgotten since are passed
        over."""
        counted = 0
        with self._collection.asked() as collection:
            if not collection.fits():
                return 0
            for use in uses:

                def used(before: Payload | None, this: LessonUse = use) -> Any:
                    key = f"{experiment_id}#{this.attempt} used"
                    if before is None or key in before["told"]:
                        return None
                    lesson = lesson_of(before)
                    counts = {"recalled": lesson.recalled + 1, "helped": lesson.helped + this.helped}
                    return lesson.model_copy(update=counts), [*before["told"], key]

                counted += collection.write(use.id, None, used) == "changed"
        return counted

    def restore(self, lessons: Sequence[Lesson]) -> tuple[int, int]:
        """Take lessons from an export; how many were new and how many raised a count.

        Of a lesson that is known the higher counts hold: importing a file twice, or the memory's own, changes nothing.
        """
        new = raised = 0
        with self._collection.asked() as collection:
            collection.make()
            for lesson, vector in zip(lessons, self._vectors(lessons), strict=True):

                def kept(before: Payload | None, this: Lesson = lesson) -> Any:
                    if before is None:
                        return this.model_copy(update={"similarity": None}), []
                    known = lesson_of(before)
                    higher = {name: max(getattr(known, name), getattr(this, name)) for name in _COUNTS}
                    changed = known.model_copy(update=higher)
                    return None if changed == known else (changed, before["told"])

                match collection.write(lesson.id, vector, kept):
                    case "new":
                        new += 1
                    case "changed":
                        raised += 1
        return new, raised

    def forget(self, lesson_id: str) -> Lesson:
        """Remove it; returns what it was."""
        with self._collection.asked() as collection:
            lesson = collection.find(lesson_id)
            collection.remove(lesson.id)
            return lesson

    def clear(self) -> None:
        """Remove every lesson, and the collection with its model."""
        with self._collection.asked() as collection:
            collection.drop()

    # Vectors

    def _vectors(self, lessons: Sequence[Lesson]) -> list[dict[str, list[float]]]:
        rules = [lesson.rules for lesson in lessons if lesson.rules.strip()]
        failures = self._failure_vectors([f"{lesson.error_type}: {lesson.message}" for lesson in lessons])
        rest = iter(self._collection.embed(rules))
        return [
            {FAILURE: vector} | ({RULES: next(rest)} if lesson.rules.strip() else {})
            for lesson, vector in zip(lessons, failures, strict=True)
        ]

    def _failure_vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Between a text and its gist: similar is what fails alike, and most so where names are the same too."""
        made = self._collection.embed([*texts, *map(gist, texts)])
        return [
            [(one + other) / 2 for one, other in zip(text, essence, strict=True)]
            for text, essence in zip(made[: len(texts)], made[len(texts) :], strict=True)
        ]
