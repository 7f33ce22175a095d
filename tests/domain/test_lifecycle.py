"""Which states follow which."""

import pytest

from domain.lifecycle import NEXT, OPEN, allowed, is_final, next_states
from schemas.experiment import ExperimentStatus as S

STORIES = [
    [S.RUNNING, S.MERGING, S.MERGED],
    [S.RUNNING, S.WAITING, S.MERGING, S.MERGED],
    [S.RUNNING, S.WAITING, S.MERGING, S.ROLLED_BACK],
    [S.RUNNING, S.ROLLED_BACK],
    [S.RUNNING, S.WAITING, S.CANCELLED],
    [S.RUNNING, S.MERGING, S.CANCELLED],
    [S.RUNNING, S.DRY_RUN],
    [S.RUNNING, S.FAILED],
]


@pytest.mark.parametrize("story", STORIES)
def test_the_stories_of_an_experiment_are_allowed(story: list[S]) -> None:
    before = None
    for after in story:
        assert allowed(before, after)
        before = after
    assert before is not None
    assert is_final(before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, S.WAITING),
        (None, S.MERGED),
        (S.RUNNING, S.MERGED),
        (S.WAITING, S.MERGED),
        (S.WAITING, S.DRY_RUN),
        (S.MERGING, S.DRY_RUN),
        (S.WAITING, S.RUNNING),
        (S.MERGING, S.RUNNING),
        (S.MERGING, S.WAITING),
    ],
)
def test_no_step_is_skipped(before: S | None, after: S) -> None:
    assert not allowed(before, after)


@pytest.mark.parametrize("final", [S.MERGED, S.ROLLED_BACK, S.CANCELLED, S.DRY_RUN, S.FAILED])
def test_nothing_follows_a_final_state(final: S) -> None:
    assert is_final(final)
    assert next_states(final) == frozenset()
    assert [after for after in S if allowed(final, after)] == [final]


def test_every_state_is_named_can_be_reached_and_can_end() -> None:
    assert set(NEXT) == {None, *S}
    reached, todo = set[S](), [S.RUNNING]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo += next_states(state)
    assert reached == set(S)
    assert {S.RUNNING, S.WAITING, S.MERGING} == OPEN
    assert all({S.CANCELLED, S.FAILED, S.ROLLED_BACK} <= next_states(state) for state in OPEN)
