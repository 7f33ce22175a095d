"""From an answer to a commit, and from a fault to what Temporal is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import ActivityEnvironment

from activities.authoring import Authoring
from schemas.gates import Gate, GateResult, Outcome
from schemas.memory import Lesson
from schemas.steps import Committed, FixInput, GenerateInput, Tried
from services.artifacts import Artifacts
from services.authoring import Author, code_path
from services.calls import Calls, NoPurse, OverBudget
from services.engines import Engines, ModelOptions, OfflineEngine, model_makers
from services.engines.prompting import DISTRIBUTIONS, prompt_digest
from services.library import Library
from services.records import Records
from tests.services.engines.asked import KEY, Accounts
from tests.services.engines.code import NAME, definition, fixed, generated, module, wrong_module
from tests.services.engines.test_prompting import CONFORMS, LESSON
from tests.support.openai_server import Reply, Script, fails, hangs, openai_server, says


class Desk:
    """An author with all its parts, whose model is a server on this machine."""

    def __init__(self, home: Path, url: str, purse: Accounts | None = None) -> None:
        self.artifacts = Artifacts(home / "artifacts")
        self.library = Library(str(home / "library.git"), mirror=home / "mirror.git")
        records = Records(f"sqlite:///{home / 'records.db'}")
        records.migrate()
        makers = model_makers(
            ModelOptions(url=url, timeout=30), Calls(self.artifacts), {"GENESIS_MODEL_KEY": KEY}.get
        )
        self.author = Author(
            Engines([OfflineEngine()], makers),
            self.library,
            self.artifacts,
            records,
            "host",
            purse_of=lambda *_: purse or NoPurse(),
        )
        self.activities = Authoring(self.author)
        self.environment = ActivityEnvironment()

    def generate(self, engine: str = "openai:small", recalled: str | None = None) -> Committed:
        order = GenerateInput(
            experiment_id="exp",
            definition=definition(),
            data="d" * 64,
            engine=engine,
            branch=f"ai/generate/{NAME}/exp",
            lease_seconds=60,
            recalled=recalled,
        )
        result = self.environment.run(self.activities.generate_code, order)
        assert isinstance(result, Committed)
        return result

    def fix_order(self, commit: str, attempt: int = 1, earlier: list[Tried] | None = None) -> FixInput:
        return FixInput(
            experiment_id="exp",
            definition=definition(),
            data="d" * 64,
            engine="openai:small",
            branch=f"ai/fix/{NAME}/exp",
            lease_seconds=60,
            attempt=attempt,
            commit=commit,
            entrypoint=NAME,
            failures=["conforms: 3 trades differ"],
            gates=[CONFORMS],
            earlier=earlier or [],
        )


@contextmanager
def desk(home: Path, *replies: Reply, purse: Accounts | None = None) -> Iterator[tuple[Desk, Script]]:
    with openai_server(*replies) as server:
        yield Desk(home, server.url, purse), server


def test_what_a_model_wrote_is_committed_with_its_cost_and_its_prompt(tmp_path: Path) -> None:
    with desk(tmp_path, says(generated(module()))) as (here, _):
        made = here.generate()
        assert here.library.read(made.commit, code_path(NAME)) == module()
        assert made.usage is not None
        assert (made.usage.calls, made.usage.usd) == (1, None)
        assert made.prompt == prompt_digest("generate")
        plain = Desk(tmp_path / "offline", "").generate("offline")
        assert (plain.usage, plain.prompt) == (None, None)


def test_what_an_answer_was_wrong_in_is_said_where_a_person_looks(tmp_path: Path) -> None:
    with desk(tmp_path, says(generated(module(), dependencies=["requests"]))) as (here, server):
        made = here.generate()
        assert server.calls == 3
        assert made.summary.endswith(
            "lines by openai:small; still wrong in its answer: the dependency 'requests' isn't allowed; "
            "allowed are " + ", ".join(sorted(DISTRIBUTIONS))
        )
    many = generated(module(), dependencies=[f"package-{number}" for number in range(30)])
    with desk(tmp_path / "many", says(many)) as (here, _):
        assert len(here.generate().summary) < 400


def test_a_repeated_step_makes_the_same_commit_and_asks_nobody(tmp_path: Path) -> None:
    with desk(tmp_path, says(generated(module()))) as (here, server):
        assert here.generate() == here.generate()
        assert server.calls == 1


def test_a_repair_knows_the_findings_the_tries_and_the_lessons(tmp_path: Path) -> None:
    second = module().replace("oversold = 35", "oversold = 20")
    answers = [says(generated(wrong_module())), says(fixed(second)), says(fixed(module()))]
    runs = GateResult(
        gate=Gate.RUNS, outcome=Outcome.FAILED, summary="it raised", details=["NameError, line 9"]
    )
    with desk(tmp_path, *answers) as (here, server):
        lessons = here.artifacts.put_json([Lesson.model_dump(LESSON, mode="json")])
        made = here.generate(recalled=lessons)
        assert "index out of bounds in next" in server.prompt(0)
        first = here.environment.run(here.activities.fix_code, here.fix_order(made.commit))
        assert first.committed is not None
        assert first.reason == "the side was wrong"
        assert first.usage is not None
        tried = [Tried(attempt=1, commit=made.commit, gates=[runs])]
        order = here.fix_order(first.committed.commit, 2, tried)
        last = here.environment.run(here.activities.fix_code, order)
        assert last.committed is not None
        assert here.library.read(last.committed.commit, code_path(NAME)) == module()
        assert last.committed.prompt == prompt_digest("fix")
        question = server.prompt(2)
        assert CONFORMS.details[0] in question
        assert "NameError, line 9" in question
        assert "From try 1 to the present code, try 2:" in question


def test_a_model_that_repeats_itself_ends_the_fixing_with_what_it_cost(tmp_path: Path) -> None:
    with desk(tmp_path, says(generated(wrong_module())), says(fixed(wrong_module()))) as (here, server):
        made = here.generate()
        fix = here.environment.run(here.activities.fix_code, here.fix_order(made.commit))
        assert fix.committed is None
        assert "gave the code of try 1 again" in fix.reason
        assert fix.usage is not None
        assert fix.usage.calls == 2
        assert server.calls == 3


@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [("7", timedelta(seconds=7)), ("999999999999", timedelta(hours=1)), ("0", timedelta(0)), (None, None)],
)
def test_a_fault_that_may_pass_is_retried_when_the_provider_says(
    tmp_path: Path, retry_after: str | None, delay: timedelta | None
) -> None:
    headers = {"Retry_After": retry_after} if retry_after else {}
    with desk(tmp_path, fails(429, f"slow, {KEY}", **headers)) as (here, _):
        with pytest.raises(ApplicationError, match="openai:small: too many requests") as caught:
            here.generate()
        assert not caught.value.non_retryable
        assert caught.value.type == "EngineBusy"
        assert caught.value.next_retry_delay == delay
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (fails(401, KEY, "invalid_api_key"), "KeyRefused"),
        (fails(404, "x", "model_not_found"), "UnknownModel"),
        (fails(429, "x", "insufficient_quota"), "QuotaExhausted"),
        (says("I'm sorry, but I can't."), "ContentRefused"),
        (says("no"), "UnusableAnswer"),
    ],
)
def test_a_fault_that_won_t_pass_is_not_retried(tmp_path: Path, reply: Reply, kind: str) -> None:
    with desk(tmp_path, reply) as (here, _):
        with pytest.raises(ApplicationError) as caught:
            here.generate()
        assert caught.value.non_retryable
        assert caught.value.type == kind
        assert KEY not in str(caught.value)
        assert here.library.branches() == []


def test_over_budget_is_not_retried(tmp_path: Path) -> None:
    with desk(tmp_path, says(generated(module())), purse=Accounts(most=0)) as (here, server):
        with pytest.raises(ApplicationError, match="0 calls are allowed") as caught:
            here.generate()
        assert (caught.value.type, caught.value.non_retryable) == (OverBudget.__name__, True)
        assert server.calls == 0


def test_a_step_beats_while_a_model_thinks_and_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    with desk(tmp_path, hangs()) as (here, server):
        beats = threading.Event()
        here.environment.on_heartbeat = lambda *_: beats.set()
        ended: list[CancelledError] = []

        def step() -> None:
            try:
                here.generate()
            except CancelledError as error:
                ended.append(error)

        thread = threading.Thread(target=step)
        thread.start()
        assert beats.wait(20)
        here.environment.cancel()
        thread.join(20)
        assert not thread.is_alive()
        assert len(ended) == 1
        assert server.calls == 1
