"""The right lesson is recalled for known failures: a labelled set, the real model, the shipped threshold."""

from collections.abc import Iterator

import pytest

from bench.memory import Labelled, answered, ask, read_labelled, teach
from services.memory.config import MemoryConfig
from services.memory.embedding import Embedder
from services.memory.store import LessonStore
from services.settings import Settings


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    return read_labelled()


@pytest.fixture(scope="module")
def taught(
    labelled: Labelled, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LessonStore]:
    store = LessonStore(MemoryConfig(folder=tmp_path_factory.mktemp("labelled")), embedder)
    teach(store, labelled)
    yield store
    store.close()


def test_the_set_is_large_and_its_texts_differ(labelled: Labelled) -> None:
    assert labelled.texts >= 60
    known = {(one.gate, one.error_type, one.message) for one in labelled.known.values()}
    assert len(known) == len(labelled.known)
    asked = [(one.failure.gate, one.failure.error_type, one.failure.message) for one in labelled.held_out]
    assert len(set(asked) - known) > 25, "most of what is asked isn't word for word what was taught"
    assert {one.lesson for one in labelled.again + labelled.held_out} <= set(labelled.known)


def test_paraphrases_recall_the_right_lesson(taught: LessonStore, labelled: Labelled) -> None:
    found = ask(taught, labelled.again)
    assert found.first >= 0.9, found.missed
    assert found.three >= 0.95, found.missed


def test_so_do_those_that_nothing_was_tuned_on(taught: LessonStore, labelled: Labelled) -> None:
    found = ask(taught, labelled.held_out)
    assert found.first >= 0.85, found.missed
    assert found.three >= 0.9, found.missed


def test_most_unknown_failures_recall_nothing(taught: LessonStore, labelled: Labelled) -> None:
    assert answered(taught, labelled.strangers) <= 3


def test_the_threshold_is_the_one_that_is_shipped() -> None:
    assert Settings.model_fields["memory_threshold"].default == MemoryConfig.model_fields["threshold"].default
