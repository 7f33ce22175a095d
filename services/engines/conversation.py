"""The questions of one step, and the answers that were paid for."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.code import Digest
from schemas.models import Answer, CallKey, CallRecord
from schemas.usage import Usage
from services.calls import Calls, Purse, estimate, price
from services.engines.asking import AnswerShape, Asker, Question, Turn
from services.engines.contract import OnWait


@dataclass
class Conversation:
    """Asks in the order of its keys. An answer that is among the paid ones is taken from there."""

    asker: Asker
    calls: Calls
    purse: Purse
    on_wait: OnWait
    key: CallKey
    """Of the next question."""
    prompt: Digest
    instructions: str
    turns: list[Turn] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    """Of the whole step, what was paid for in an earlier attempt at it included."""

    def say(self, text: str) -> None:
        self.turns.append(Turn("user", text))

    def ask(self, shape: AnswerShape | None) -> Answer:
        """Put what was said since the last answer. Raises as Asker.ask does, and OverBudget."""
        question = Question(self.instructions, tuple(self.turns), shape)
        record, answer = self._paid(question)
        self.purse.settle(record.key, record.usage)
        self.usage += record.usage
        self.turns.append(Turn("model", answer.arguments or answer.text or "(nothing)"))
        self.key = self.key.model_copy(update={"ask": self.key.ask + 1})
        return answer

    def _paid(self, question: Question) -> tuple[CallRecord, Answer]:
        request = self.asker.digest(question)
        with self.calls.turn(self.key, self.on_wait):
            if found := self.calls.find(self.key, request):
                return found
            return self._pay(question, request)

    def _pay(self, question: Question, request: Digest) -> tuple[CallRecord, Answer]:
        to = self.asker.to
        provider = "" if to.own_server else to.provider
        self.purse.reserve(self.key, estimate(provider, to.model, question.size, to.options.max_tokens))
        try:
            reply = self.asker.ask(question, self.on_wait)
        except BaseException:
            self.purse.settle(self.key, None)
            raise
        usage = reply.usage.model_copy(update={"usd": price(provider, to.model, reply.usage)})
        record = CallRecord(
            key=self.key,
            request=request,
            engine=to.engine,
            prompt=self.prompt,
            answer=self.calls.keep_answer(reply.answer),
            model=reply.answer.model,
            usage=usage,
            seconds=reply.seconds,
            at=datetime.now(UTC),
        )
        self.calls.keep(record)
        return record, reply.answer
