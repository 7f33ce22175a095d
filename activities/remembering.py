"""Lessons of earlier experiments are recalled, and new ones learnt. Without a memory both answer so, in a note."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.trying import beat
from schemas.memory import Learned, LearnInput, Recalled, RecallInput

if TYPE_CHECKING:
    from services.memory.experience import Experience


class Remembering:
    def __init__(self, experience: "Experience") -> None:
        self._experience = experience

    @activity.defn(no_thread_cancel_exception=True)
    def recall_lessons(self, order: RecallInput) -> Recalled:
        return self._experience.recall(order, on_wait=beat)

    @activity.defn(no_thread_cancel_exception=True)
    def learn_lessons(self, order: LearnInput) -> Learned:
        return self._experience.learn(order, on_wait=beat)
