"""How long a recall takes at 1,000, 10,000 and 100,000 memories, and how often it finds the right lesson.

    make bench-memory                      # a few minutes
    python -m bench.memory --sizes 1000    # fewer memories

Writes the section `memory` of docs/performance.md. Embedding 100,000 texts would take half an hour: memories beyond the
labelled set are its vectors, moved by seeded noise, so that many lie near each question as they would in life.
"""

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from qdrant_client import models

from bench.machine import described, replace_section
from domain.lessons import failure_of, lesson_id
from schemas.gates import Gate, GateResult, Outcome
from schemas.memory import Failure, Lesson, Observation, Recall
from services.memory import Memory, MemoryConfig
from services.memory.collection import COLLECTION, FAILURE
from services.memory.embedding import Embedder
from services.memory.qdrant import lock_holder
from services.memory.store import CANDIDATES, LessonStore

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
LABELLED = ROOT / "tests" / "data" / "lessons" / "failures.yaml"
SIZES = (1_000, 10_000, 100_000)
FRAMEWORK = "backtesting.py"
BATCH = 1_000
NOISE = 0.6
"""Length of the noise beside a vector's own length of one: a moved vector is about 0.86 similar to its origin."""
WARM_UP = 3


@dataclass(frozen=True)
class Question:
    lesson: str
    """The label of the one that is right."""
    failure: Failure


@dataclass(frozen=True)
class Labelled:
    known: dict[str, Failure]
    again: list[Question]
    held_out: list[Question]
    strangers: list[Failure]

    @property
    def texts(self) -> int:
        return sum(map(len, (self.known, self.again, self.held_out, self.strangers)))


@dataclass(frozen=True)
class Found:
    """Shares of the questions for which the right lesson came first, and among the first three."""

    questions: int
    first: float
    three: float
    missed: list[str]


@dataclass(frozen=True)
class Timed:
    size: int
    opened: float
    recall: list[float]
    dot: list[float]
    megabytes: float
    resident: float
    """Megabytes of the keeper's memory."""


def read_labelled(path: Path = LABELLED) -> Labelled:
    given = yaml.safe_load(path.read_text("utf-8"))
    lessons = given["lessons"]
    return Labelled(
        known={name: _failure(lesson["met"]) for name, lesson in lessons.items()},
        again=[
            Question(name, _failure(text)) for name, lesson in lessons.items() for text in lesson["again"]
        ],
        held_out=[Question(name, _failure(text)) for name, text in given["held_out"]],
        strangers=[_failure(text) for text in given["strangers"]],
    )


def _failure(row: Sequence[str]) -> Failure:
    gate, summary, *details = row
    result = GateResult(
        gate=Gate(gate), outcome=Outcome.FAILED, summary=summary, details=[line for line in details if line]
    )
    failure = failure_of(result)
    assert failure is not None
    return failure


def lesson_of(failure: Failure, label: str) -> Lesson:
    """As an experiment would have taught it; the label stands for the fix."""
    fix = f"-wrong\n+right for {label}"
    return Lesson(
        id=lesson_id(FRAMEWORK, failure, fix),
        framework=FRAMEWORK,
        gate=failure.gate,
        error_type=failure.error_type,
        message=failure.message,
        fix=fix,
        worked=1,
        experiment_id="bench",
        engine="labelled",
        strategy=label,
    )


def teach(store: LessonStore, labelled: Labelled) -> None:
    store.learn(
        [
            Observation(key="labelled#1", lesson=lesson_of(failure, name))
            for name, failure in labelled.known.items()
        ]
    )


def ask(store: LessonStore, questions: Sequence[Question]) -> Found:
    first = three = 0
    missed = []
    for question in questions:
        found = [one.strategy for one in store.recall(Recall(framework=FRAMEWORK, failure=question.failure))]
        first += found[:1] == [question.lesson]
        three += question.lesson in found
        if question.lesson not in found:
            missed.append(f"{question.lesson}: {question.failure.message}")
    return Found(len(questions), first / len(questions), three / len(questions), missed)


def answered(store: LessonStore, strangers: Sequence[Failure]) -> int:
    """To how many failures that nobody met before something was recalled."""
    return sum(bool(store.recall(Recall(framework=FRAMEWORK, failure=failure))) for failure in strangers)


def fill(store: LessonStore, labelled: Labelled, first: int, last: int) -> None:
    """Memories `first` to `last`: the labelled ones' vectors, moved; by the client itself, as the store would."""
    rng = np.random.default_rng(first)
    names = list(labelled.known)
    client = store._collection.client
    origins = _origins(store, labelled)
    for begin in range(first, last, BATCH):
        points = []
        for number in range(begin, min(begin + BATCH, last)):
            name = names[number % len(names)]
            noise = rng.normal(size=origins.shape[1])
            vector = origins[number % len(names)] + NOISE * noise / np.linalg.norm(noise)
            lesson = lesson_of(labelled.known[name], f"{name}-{number}")
            payload = lesson.model_dump(mode="json", exclude={"similarity"}) | {
                "kind": f"{FRAMEWORK}/{lesson.error_type}",
                "told": [f"bench-{number}#1"],
                "revision": uuid.UUID(int=number).hex,
            }
            points.append(
                models.PointStruct(
                    id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
                    vector={FAILURE: vector.tolist()},
                    payload=payload,
                )
            )
        client.upsert(COLLECTION, points)


def _origins(store: LessonStore, labelled: Labelled) -> "np.ndarray[Any, np.dtype[np.float64]]":
    made = store._failure_vectors([f"{one.error_type}: {one.message}" for one in labelled.known.values()])
    vectors = np.array(made)
    directions: np.ndarray[Any, np.dtype[np.float64]] = vectors / np.linalg.norm(
        vectors, axis=1, keepdims=True
    )
    return directions


def measure(folder: Path, size: int, questions: Sequence[Question], embedder: Embedder) -> Timed:
    """What a step of an experiment waits: through the keeper, the question's embedding included."""
    with Memory(MemoryConfig(folder=folder, linger=0.5), timeout=600) as memory:
        begin = time.perf_counter()
        memory.recall(Recall(framework=FRAMEWORK, failure=questions[0].failure))
        opened = time.perf_counter() - begin
        recall = list(_timed(memory, questions))
        resident = _resident(folder)
    _gone(folder)
    rng = np.random.default_rng(size)
    matrix = rng.normal(size=(size, embedder.dimension)).astype(np.float32)
    vectors = [np.array(embedder.embed([one.failure.message])[0], np.float32) for one in questions]
    dot = []
    for vector in vectors:
        begin = time.perf_counter()
        scores = matrix @ vector
        np.argpartition(scores, -CANDIDATES)[-CANDIDATES:]
        dot.append(time.perf_counter() - begin)
    stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
    return Timed(size, opened, recall, dot, stored, resident)


def _timed(memory: Memory, questions: Sequence[Question]) -> Iterator[float]:
    for number, question in enumerate([*questions[:WARM_UP], *questions]):
        begin = time.perf_counter()
        memory.recall(Recall(framework=FRAMEWORK, failure=question.failure))
        if number >= WARM_UP:
            yield time.perf_counter() - begin


def _resident(folder: Path) -> float:
    holder = lock_holder(folder / "qdrant" / ".lock").removeprefix("process ")
    status = Path(f"/proc/{holder}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _gone(folder: Path) -> None:
    """Wait for the keeper's end: the next filling needs its storage."""
    for _ in range(600):
        if not (folder / "keeper.sock").exists():
            return
        time.sleep(0.1)
    raise RuntimeError(f"the keeper in {folder} goes on")


def run(sizes: Sequence[int], count: int) -> str:
    machine = described("qdrant-client", "sentence-transformers", "torch")
    labelled = read_labelled()
    embedder = Embedder()
    embedder.embed(["warm"])
    with tempfile.TemporaryDirectory(prefix="genesis-bench-memory-") as temporary:
        store = LessonStore(MemoryConfig(folder=Path(temporary) / "labelled"), embedder)
        teach(store, labelled)
        again, held_out = ask(store, labelled.again), ask(store, labelled.held_out)
        strangers = answered(store, labelled.strangers)
        store.close()
        embedding = []
        for question in labelled.again:
            begin = time.perf_counter()
            store._failure_vectors([f"{question.failure.error_type}: {question.failure.message}"])
            embedding.append(time.perf_counter() - begin)
        folder = Path(temporary) / "large"
        timed, filled = [], 0
        for size in sizes:
            store = LessonStore(MemoryConfig(folder=folder), embedder)
            teach(store, labelled)  # opens it, and is part of what is filled
            fill(store, labelled, filled, size - len(labelled.known))
            store.close()
            filled = size - len(labelled.known)
            questions = [labelled.again[at % len(labelled.again)] for at in range(count)]
            timed.append(measure(folder, size, questions, embedder))
            print(f"{size} memories: {statistics.median(timed[-1].recall) * 1000:.0f} ms", flush=True)
    return _section(labelled, again, held_out, strangers, embedding, timed, count, machine)


def _section(
    labelled: Labelled,
    again: Found,
    held_out: Found,
    strangers: int,
    embedding: Sequence[float],
    timed: Sequence[Timed],
    count: int,
    machine: str,
) -> str:
    rows = "\n".join(
        f"| {one.size:,} | {_ms(one.recall)} | {_ms(one.recall, 0.95)} | {_ms(one.dot)} | {one.opened:.1f} s | "
        f"{one.megabytes:.0f} MB | {one.resident:,.0f} MB |"
        for one in timed
    )
    missed = "\n".join(f"- `{text}`" for text in (*again.missed, *held_out.missed))
    head = (
        f"| memories | recall, p50 | p95 | numpy: dot product and top {CANDIDATES}, p50 "
        "| first recall: keeper, torch, opening | on disk | keeper's memory |"
    )
    shares = "\n".join(
        f"| {name} | {found.questions} | {found.first:.0%} | {found.three:.0%} |"
        for name, found in (
            ("paraphrases: other runs, strategies, Python versions", again),
            ("paraphrases written after the recall was tuned on those", held_out),
        )
    )
    return f"""
A recall as a step of an experiment waits for it: through the keeper's socket, the question embedded
({_ms(embedding)} of it at p50, for a text and its gist), filtered by framework and error type, ranked.
Embedded Qdrant, {count} recalls each.

{head}
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

Memories are the labelled failures' vectors moved by seeded noise, not so many embedded texts; numpy has no filter, no
payload and no disk. Embedded, Qdrant's client keeps everything in Python objects and reads it all when it opens: beyond
some 20,000 memories take a server (`GENESIS_QDRANT_URL`).

Of {labelled.texts} failure texts written by hand, {len(labelled.known)} were taught. The right lesson was recalled:

| asked with | texts | first | among three |
| --- | ---: | ---: | ---: |
{shares}

To {strangers} of {len(labelled.strangers)} failures that nobody had met something was recalled all the same. Not found:

{missed}

Measured by `make bench-memory` on {machine}.
"""


def _ms(seconds: Sequence[float], share: float = 0.5) -> str:
    ordered = sorted(seconds)
    value = ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000
    return f"{value:.1f} ms" if value < 10 else f"{value:,.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="memories, ascending")
    parser.add_argument("--count", type=int, default=40, help="recalls of each size")
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it")
    given = parser.parse_args()
    section = run(sorted(given.sizes), given.count)
    if given.dry:
        print(section)
    else:
        replace_section(DOCUMENT, "memory", section)
        print(f"written to {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
