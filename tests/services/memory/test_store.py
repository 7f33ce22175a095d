"""One list of tests for every way of keeping lessons."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.gates import Gate
from schemas.memory import Lesson, LessonUse, Recall
from services.memory.collection import COLLECTION
from services.memory.config import DEFAULT_MODEL, MemoryConfig
from services.memory.embedding import Embedder
from services.memory.errors import MemoryRefusal, MemoryUnavailable, ModelMismatch
from services.memory.store import LessonStore
from tests.services.memory.lessons import FIX, NONE_COMPARED, NOT_DEFINED, by, failure, lesson, told
from tests.services.memory.qdrant_rest import QdrantRest

# Learning


def test_what_was_learnt_is_recalled_with_its_similarity(store: LessonStore) -> None:
    one = lesson(code="if self.rsi < 30:", rules="enter long when: RSI(14) < 30", worked=1)
    assert store.learn([told(one)]) == (1, 0)
    (found,) = store.recall(by(NONE_COMPARED))
    assert found.similarity == pytest.approx(1.0, abs=1e-3)
    assert found.model_copy(update={"similarity": None}) == one


def test_the_same_lesson_twice_is_one_with_a_count(store: LessonStore) -> None:
    assert store.learn([told(lesson(worked=1)), told(lesson(failed=1), "exp-2#1")]) == (1, 1)
    (found,) = store.lessons(10)
    assert (found.seen, found.worked, found.failed) == (2, 1, 1)


def test_told_again_under_the_same_key_it_counts_once(store: LessonStore) -> None:
    for _ in range(3):
        store.learn([told(lesson(worked=1)), told(lesson(NOT_DEFINED))])
    assert [(one.seen, one.worked) for one in store.lessons(10)] in ([(1, 1), (1, 0)], [(1, 0), (1, 1)])


def test_a_failure_without_a_fix_is_kept_as_such(store: LessonStore) -> None:
    store.learn([told(lesson(fix="")), told(lesson(worked=1))])
    assert [one.fix for one in store.recall(by(NONE_COMPARED))] == [FIX, ""]


def test_more_keys_than_are_kept_still_count(store: LessonStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.memory.collection.MOST_TOLD", 3)
    store.learn([told(lesson(), f"exp-{number}#1") for number in range(6)])
    store.learn([told(lesson(), "exp-5#1")])
    assert store.get(lesson().id).seen == 6


def test_a_lesson_tells_of_the_experiment_that_met_it_last(store: LessonStore) -> None:
    store.learn([told(lesson(strategy="Old"))])
    store.learn([told(lesson(strategy="New", experiment_id="exp-2", rules="enter long when: x"), "exp-2#1")])
    found = store.get(lesson().id)
    assert (found.strategy, found.experiment_id, found.rules) == ("New", "exp-2", "enter long when: x")
    assert store.recall(Recall(rules="enter long when: x"))[0].id == found.id


# Recalling


def test_other_frameworks_and_error_types_stay_out(store: LessonStore) -> None:
    same = NONE_COMPARED.message
    store.learn(
        [
            told(lesson()),
            told(lesson(framework="vectorbt")),
            told(lesson(failure(same, "ValueError"))),
            told(lesson(failure(same, "conforms", Gate.CONFORMS))),
        ]
    )
    found = store.recall(by(NONE_COMPARED, most=10))
    assert [(one.framework, one.error_type) for one in found] == [("backtesting.py", "TypeError")]
    assert len(store.recall(Recall(text=same, most=10))) == 3


def test_what_is_nearer_but_of_another_kind_doesn_t_hide_it(
    store: LessonStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.memory.store.CANDIDATES", 1)
    near = failure("index is out of bounds", "IndexError")
    wanted = failure("list index out of range")
    others = [told(lesson(near, fix=f"+{number}")) for number in range(15)]
    store.learn([*others, told(lesson(wanted)), told(lesson(wanted, fix="+second"))])
    asked = by(near.model_copy(update={"error_type": "TypeError"}), threshold=0.2)
    for most in (1, 2, 3):
        found = store.recall(asked.model_copy(update={"most": most}))
        assert [one.error_type for one in found] == ["TypeError"] * min(most, 2)


def test_only_what_is_similar_enough_is_recalled(store: LessonStore) -> None:
    store.learn([told(lesson(failure("unhashable type: 'list'")))])
    assert store.recall(by(NONE_COMPARED, threshold=0.9)) == []
    assert len(store.recall(by(NONE_COMPARED, threshold=-1))) == 1


def test_a_fix_that_worked_comes_first(store: LessonStore) -> None:
    store.learn(
        [
            told(lesson(fix=f"+{name}", **counts))
            for name, counts in (("bad", {"failed": 3}), ("good", {"worked": 3}), ("new", {}))
        ]
    )
    assert [one.fix for one in store.recall(by(NONE_COMPARED))] == ["+good", "+new", "+bad"]


def test_no_more_than_asked_for_is_recalled(store: LessonStore) -> None:
    store.learn([told(lesson(fix=f"+{number}")) for number in range(7)])
    assert len(store.recall(by(NONE_COMPARED, most=4))) == 4


def test_a_definition_recalls_what_similar_ones_ran_into(store: LessonStore) -> None:
    store.learn(
        [
            told(
                lesson(
                    rules="indicators: rsi = RSI(14)\nenter long when: rsi < 30\nleave long when: rsi > 70"
                )
            ),
            told(lesson(NOT_DEFINED, rules="enter short when: volume spikes on an opening gap")),
            told(lesson(failure("no rules"), rules="")),
            # as long and as technical, but another idea
            told(
                lesson(
                    failure("another idea"),
                    rules="indicators: top = HIGHEST(High, 55)\nenter long when: Close > top\nsize: fixed_units",
                )
            ),
        ]
    )
    found = store.recall(
        Recall(rules="indicators: r = RSI(10)\nenter long when: r < 25\nleave long when: r > 75")
    )
    assert [one.message for one in found] == [NONE_COMPARED.message]


def test_asking_for_nothing_is_refused(store: LessonStore) -> None:
    with pytest.raises(MemoryRefusal, match="failure, rules or a text"):
        store.recall(Recall(rules="  "))


def test_an_empty_memory_answers_everything(store: LessonStore) -> None:
    assert store.recall(by(NONE_COMPARED)) == []
    assert store.lessons(10) == []
    assert store.page(None, 10) == ([], None)
    assert store.use("exp-1", [LessonUse(id=lesson().id, attempt=1, helped=True)]) == 0
    assert (store.stats().lessons, store.stats().dimension) == (0, 0)
    with pytest.raises(MemoryRefusal, match="no lesson"):
        store.get(lesson().id)
    with pytest.raises(MemoryRefusal, match="no lesson"):
        store.forget("")


@pytest.mark.parametrize("text", ["漢字 ünïcode 🚀", "x" * 2000, "'; DROP TABLE points; --", "\u202e\u0000"])
def test_any_text_is_kept_as_it_is(store: LessonStore, text: str) -> None:
    of = failure("m").model_copy(update={"message": text})
    store.learn([told(lesson(of, code=text, fix=text))])
    (found,) = store.recall(by(of))
    assert (found.message, found.code, found.fix) == (text, text, text)


# Use


def test_whether_a_recalled_lesson_helped_is_counted_once(store: LessonStore) -> None:
    store.learn([told(lesson())])
    uses = [
        LessonUse(id=lesson().id, attempt=1, helped=True),
        LessonUse(id=lesson().id, attempt=2, helped=False),
    ]
    assert store.use("exp-2", uses) == 2
    assert store.use("exp-2", uses) == 0
    found = store.get(lesson().id)
    assert (found.seen, found.recalled, found.helped) == (1, 2, 1)
    # the vector is still there
    assert store.recall(by(NONE_COMPARED))[0].recalled == 2


def test_use_of_a_forgotten_lesson_is_passed_over(store: LessonStore) -> None:
    store.learn([told(lesson(NOT_DEFINED))])
    assert store.use("exp-2", [LessonUse(id=lesson().id, attempt=1, helped=True)]) == 0
    assert len(store.lessons(10)) == 1


# People


def test_lessons_are_found_by_the_beginning_of_their_id(store: LessonStore) -> None:
    store.learn([told(lesson()), told(lesson(NOT_DEFINED))])
    assert store.get(lesson().id[:8].upper()) == store.get(lesson().id)
    ids = sorted(one.id for one in store.lessons(10))
    common = next(at for at in range(36) if ids[0][at] != ids[1][at])
    if common:
        with pytest.raises(MemoryRefusal, match="2 lessons begin"):
            store.get(ids[0][:common])
    with pytest.raises(MemoryRefusal, match="'zz'"):
        store.get("zz")


def test_a_forgotten_lesson_is_gone_and_may_be_learnt_again(store: LessonStore) -> None:
    store.learn([told(lesson(worked=1))])
    assert store.forget(lesson().id[:6]).worked == 1
    assert store.recall(by(NONE_COMPARED)) == []
    assert store.learn([told(lesson(worked=1))]) == (1, 0)


def test_lists_can_be_narrowed_and_begin_with_the_most_frequent(store: LessonStore) -> None:
    conforms = failure("bar 1: expected to enter", "conforms", Gate.CONFORMS)
    store.learn(
        [
            told(lesson()),
            told(lesson(NOT_DEFINED)),
            told(lesson(NOT_DEFINED), "exp-2#1"),
            told(lesson(conforms)),
        ]
    )
    assert store.lessons(10)[0].error_type == "NameError"
    assert [one.error_type for one in store.lessons(10, gate="conforms")] == ["conforms"]
    assert [one.error_type for one in store.lessons(10, error_type="TypeError", gate="runs")] == ["TypeError"]
    assert store.lessons(10, framework="other") == []
    assert len(store.lessons(2)) == 2


def test_stats_add_up(store: LessonStore) -> None:
    store.learn(
        [
            told(lesson(worked=1)),
            told(lesson(NOT_DEFINED, fix="")),
            told(lesson(NOT_DEFINED, fix=""), "exp-2#1"),
        ]
    )
    found = store.stats()
    assert (found.lessons, found.with_fix, found.seen, found.worked, found.failed) == (2, 1, 3, 1, 0)
    assert found.by_error_type == {"NameError": 2, "TypeError": 1}
    assert (found.model, found.dimension) == (DEFAULT_MODEL, 384)


def test_pages_hold_every_lesson_once(store: LessonStore) -> None:
    store.learn([told(lesson(fix=f"+{number}")) for number in range(7)])
    seen: list[Lesson] = []
    after = None
    for _ in range(4):
        page, after = store.page(after, 2)
        seen += page
    assert after is None
    assert {one.fix for one in seen} == {f"+{number}" for number in range(7)}
    assert len(seen) == 7


# Export and import


def test_an_import_into_another_memory_recalls_the_same(
    store: LessonStore, tmp_path: Path, embedder: Embedder
) -> None:
    store.learn(
        [told(lesson(worked=2, seen=2, rules="enter long when: RSI(14) < 30")), told(lesson(NOT_DEFINED))]
    )
    lessons, _ = store.page(None, 10)
    other = LessonStore(MemoryConfig(folder=tmp_path / "other"), embedder)
    try:
        assert other.restore(lessons) == (2, 0)
        assert other.page(None, 10)[0] == lessons
        assert [one.id for one in other.recall(by(NONE_COMPARED))] == [lesson().id]
        assert other.recall(Recall(rules="enter long when: RSI(14) < 30"))[0].worked == 2
    finally:
        other.close()


def test_importing_what_is_known_only_raises_counts(store: LessonStore) -> None:
    store.learn([told(lesson(worked=1, strategy="Mine"))])
    assert store.restore([lesson(worked=1, strategy="Theirs")]) == (0, 0)
    assert store.restore([lesson(worked=4, seen=5, strategy="Theirs")] * 2) == (0, 1)
    found = store.get(lesson().id)
    assert (found.worked, found.seen, found.strategy) == (4, 5, "Mine")
    assert store.learn([told(lesson(worked=1))]) == (0, 0), "its keys are still known"


# The model


def test_another_model_is_refused_and_may_still_carry_lessons_away(
    store: LessonStore, tmp_path: Path, embedder: Embedder
) -> None:
    store.learn([told(lesson(rules="r"))])
    store.close()
    other = LessonStore(store._config.model_copy(update={"model": "another/model"}), embedder)
    try:
        for act in (
            lambda: other.recall(by(NONE_COMPARED)),
            lambda: other.learn([told(lesson())]),
            lambda: other.restore([lesson()]),
            lambda: other.use("e", []),
        ):
            with pytest.raises(
                ModelMismatch, match=r"all-MiniLM-L6-v2 \(384 dimensions\).*another/model.*--replace"
            ):
                act()
        lessons, _ = other.page(None, 10)
        assert (other.stats().model, other.lessons(1), other.get(lesson().id)) == (
            DEFAULT_MODEL,
            lessons,
            lessons[0],
        )
        other.clear()
        assert other.restore(lessons) == (1, 0)
        assert other.stats().model == "another/model"
        assert other.recall(by(NONE_COMPARED))[0].id == lesson().id
    finally:
        other.close()


class Sized(Embedder):
    """The real model, cut to a number of dimensions: what a changed model of the same name would be."""

    def __init__(self, inner: Embedder, size: int) -> None:
        super().__init__()
        self._inner, self._size = inner, size

    @property
    def loaded(self) -> bool:
        return True

    def embed(self, texts: "list[str]") -> list[list[float]]:  # type: ignore[override]
        return [vector[: self._size] for vector in self._inner.embed(texts)]


def test_another_dimension_under_the_same_name_is_refused(store: LessonStore, embedder: Embedder) -> None:
    store.learn([told(lesson())])
    store.close()
    other = LessonStore(store._config, Sized(embedder, 100))
    try:
        with pytest.raises(ModelMismatch, match="384 dimensions"):
            other.recall(by(NONE_COMPARED))
    finally:
        other.close()


def test_a_model_that_isn_t_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(MemoryUnavailable, match=r"no-such-model.*GENESIS_MEMORY_MODEL"):
        Embedder(str(tmp_path / "no-such-model")).embed(["x"])


def test_a_collection_of_another_format_is_left_alone(store: LessonStore) -> None:
    from qdrant_client import models

    from services.memory.qdrant import open_client

    client = open_client(store._config)
    client.create_collection(
        COLLECTION, vectors_config=models.VectorParams(size=3, distance=models.Distance.DOT)
    )
    client.close()
    for act in (lambda: store.recall(by(NONE_COMPARED)), lambda: store.learn([told(lesson())]), store.clear):
        with pytest.raises(MemoryRefusal, match="version of Genesis"):
            act()


# Embedded storage


def test_what_was_learnt_outlives_the_process(tmp_path: Path, embedder: Embedder) -> None:
    config = MemoryConfig(folder=tmp_path)
    first = LessonStore(config, embedder)
    first.learn([told(lesson(worked=1, rules="r"))])
    first.close()
    second = LessonStore(config, embedder)
    assert second.recall(by(NONE_COMPARED))[0].worked == 1
    assert second.learn([told(lesson(worked=1))]) == (0, 0)
    second.close()


def test_a_second_owner_is_told_who_holds_it(tmp_path: Path, embedder: Embedder) -> None:
    import os

    first = LessonStore(MemoryConfig(folder=tmp_path), embedder)
    first.learn([told(lesson())])
    second = LessonStore(MemoryConfig(folder=tmp_path), embedder)
    with pytest.raises(MemoryUnavailable, match=rf"held by process {os.getpid()}.*GENESIS_QDRANT_URL"):
        second.recall(by(NONE_COMPARED))
    first.close()
    assert len(second.recall(by(NONE_COMPARED))) == 1, "it tries again once the other is gone"
    second.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "meta.json").write_text("{"),
        lambda folder: (folder / "meta.json").write_text("[]"),
        lambda folder: next(folder.rglob("storage.sqlite")).write_bytes(b"not a database" * 100),
    ],
)
def test_damaged_storage_says_what_to_do(
    tmp_path: Path, embedder: Embedder, damage: Callable[[Path], object]
) -> None:
    store = LessonStore(MemoryConfig(folder=tmp_path), embedder)
    store.learn([told(lesson())])
    store.close()
    damage(tmp_path / "qdrant")
    with pytest.raises(MemoryUnavailable, match="move the folder away"):
        store.recall(by(NONE_COMPARED))


# A server


def test_writers_at_the_same_time_lose_no_count(rest: QdrantRest, tmp_path: Path, embedder: Embedder) -> None:
    config = MemoryConfig(folder=tmp_path, url=rest.url)
    stores = [LessonStore(config, embedder) for _ in range(4)]
    stores[0].learn([told(lesson(NOT_DEFINED))])
    ready = threading.Barrier(len(stores))

    def teach(number: int, store: LessonStore) -> None:
        ready.wait()
        for attempt in range(5):
            store.learn([told(lesson(worked=1), f"exp-{number}#{attempt}")])

    threads = [threading.Thread(target=teach, args=one) for one in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = stores[0].get(lesson().id)
    for store in stores:
        store.close()
    assert (found.seen, found.worked) == (20, 20)


def test_a_writer_that_is_overtaken_begins_anew(rest: QdrantRest, tmp_path: Path, embedder: Embedder) -> None:
    config = MemoryConfig(folder=tmp_path, url=rest.url)
    slow, fast = LessonStore(config, embedder), LessonStore(config, embedder)
    slow.learn([told(lesson())])
    rest.requests.clear()
    once = iter([True])

    def overtake() -> None:
        if next(once, False):
            rest.lock.release()
            try:
                fast.learn([told(lesson(), "fast#1")])
            finally:
                rest.lock.acquire()

    rest.before_upsert = overtake
    assert slow.learn([told(lesson(), "slow#1")]) == (0, 1)
    assert slow.get(lesson().id).seen == 3
    assert sum(method == "PUT" for method, _ in rest.requests) == 3
    slow.close()
    fast.close()


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (500, MemoryUnavailable, "HTTP 500"),
        (503, MemoryUnavailable, "HTTP 503"),
        (429, MemoryUnavailable, "HTTP 429|too many|can't be reached"),
        (401, MemoryRefusal, "GENESIS_QDRANT_API_KEY"),
    ],
)
def test_a_server_in_trouble_is_named_with_what_to_do(
    rest: QdrantRest, tmp_path: Path, embedder: Embedder, status: int, error: type[Exception], words: str
) -> None:
    store = LessonStore(MemoryConfig(folder=tmp_path, url=rest.url), embedder)
    rest.fault = status
    with pytest.raises(error, match=words) as caught:
        store.learn([told(lesson())])
    assert rest.url in str(caught.value)
    rest.fault = 0
    assert store.learn([told(lesson())]) == (1, 0), "it is asked again"
    store.close()


def test_a_server_that_hangs_or_is_gone_is_given_up(
    rest: QdrantRest, tmp_path: Path, embedder: Embedder
) -> None:
    rest.hang = 3.0
    store = LessonStore(MemoryConfig(folder=tmp_path, url=rest.url, request_seconds=1), embedder)
    with pytest.raises(MemoryUnavailable, match="can't be reached"):
        store.stats()
    store.close()
    gone = LessonStore(MemoryConfig(folder=tmp_path, url="http://127.0.0.1:9"), embedder)
    with pytest.raises(MemoryUnavailable, match="unset GENESIS_QDRANT_URL"):
        gone.stats()
    gone.close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_a_server_gets_its_key_and_a_wrong_one_is_told_without_it(
    rest: QdrantRest, tmp_path: Path, embedder: Embedder
) -> None:
    rest.key = "right-secret"
    right = LessonStore(MemoryConfig(folder=tmp_path, url=rest.url, api_key="right-secret"), embedder)
    assert right.learn([told(lesson())]) == (1, 0)
    wrong = LessonStore(MemoryConfig(folder=tmp_path, url=rest.url, api_key="wrong-secret"), embedder)
    with pytest.raises(MemoryRefusal, match="refuses the key") as caught:
        wrong.stats()
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(wrong._config)
    right.close()
    wrong.close()


def test_a_collection_that_is_removed_meanwhile_is_made_again(
    rest: QdrantRest, tmp_path: Path, embedder: Embedder
) -> None:
    store = LessonStore(MemoryConfig(folder=tmp_path, url=rest.url), embedder)
    store.learn([told(lesson())])
    rest.engine.delete_collection(COLLECTION)
    with pytest.raises(MemoryUnavailable, match="HTTP 404"):
        store.recall(by(NONE_COMPARED))
    assert store.recall(by(NONE_COMPARED)) == []
    assert store.learn([told(lesson())]) == (1, 0)
    store.close()
