"""Paid answers: kept before anything else, found again, never mixed up."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.models import Answer, CallKey, CallRecord
from schemas.usage import Usage
from services.artifacts import Artifacts
from services.calls import Calls, CallsDamaged

ONE, OTHER = "1" * 64, "2" * 64
KEY = CallKey(experiment_id="exp-1", step="generate", attempt=0, ask=1)


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return Calls(Artifacts(tmp_path))


def record(calls: Calls, key: CallKey = KEY, request: str = ONE, text: str = "hello") -> CallRecord:
    made = CallRecord(
        key=key,
        request=request,
        engine="openai:m",
        prompt=OTHER,
        answer=calls.keep_answer(Answer(text=text, model="m-1")),
        model="m-1",
        usage=Usage(calls=1, input_tokens=10, output_tokens=5, usd=None),
        seconds=0.5,
        at=datetime.now(UTC),
    )
    calls.keep(made)
    return made


def test_what_was_kept_is_found_under_its_key_and_its_request_alone(calls: Calls, tmp_path: Path) -> None:
    assert calls.find(KEY, ONE) is None
    kept = record(calls, text="¿código? 数")
    found = Calls(Artifacts(tmp_path)).find(KEY, ONE)
    assert found == (kept, Answer(text="¿código? 数", model="m-1"))
    assert calls.find(KEY, OTHER) is None
    assert calls.find(KEY.model_copy(update={"ask": 2}), ONE) is None
    assert calls.find(KEY.model_copy(update={"step": "fix"}), ONE) is None
    assert calls.find(KEY.model_copy(update={"candidate": 1}), ONE) is None
    assert calls.find(KEY.model_copy(update={"experiment_id": "exp-2"}), ONE) is None


def test_an_experiment_s_calls_are_listed_in_order_and_summed(calls: Calls) -> None:
    later = [record(calls, KEY.model_copy(update={"step": "fix", "attempt": n, "ask": 1})) for n in (1, 2)]
    record(calls, KEY.model_copy(update={"experiment_id": "exp-10"}))
    assert [found.key for found in calls.of("exp-1")] == [made.key for made in later]
    total = sum((found.usage for found in calls.of("exp-1")), Usage())
    assert (total.calls, total.input_tokens, total.usd) == (2, 20, None)
    assert str(total) == "2 calls, 20 tokens in, 10 out, price unknown"
    assert calls.of("never") == []


def test_a_damaged_record_is_named_and_not_paid_again_in_silence(calls: Calls, tmp_path: Path) -> None:
    record(calls)
    (file,) = (tmp_path / "calls" / "exp-1").glob("*.json")
    whole = file.read_text()
    for damaged in (whole[:40], "", "\x00"):
        file.write_text(damaged)
        with pytest.raises(CallsDamaged, match=r"0-generate-0-1-1111.*delete it to have the call made"):
            calls.find(KEY, ONE)
    file.write_text(whole.replace('"attempt": 0', '"attempt": 3'))
    with pytest.raises(CallsDamaged, match="holds another call, exp-1/generate/3/1"):
        calls.find(KEY, ONE)


def test_a_half_written_record_is_no_record(calls: Calls, tmp_path: Path) -> None:
    record(calls)
    (tmp_path / "calls" / "exp-1" / ".tmp-abc").write_text('{"key"')
    assert len(calls.of("exp-1")) == 1


def test_of_two_attempts_at_one_step_the_second_waits_and_then_finds_the_answer(calls: Calls) -> None:
    order: list[str] = []
    waits = threading.Event()
    first_in = threading.Event()

    def first() -> None:
        with calls.turn(KEY, lambda: None):
            first_in.set()
            waits.wait(10)
            record(calls)
            order.append("first")

    def second() -> None:
        first_in.wait(10)
        with calls.turn(KEY, waits.set):
            order.append("second" if calls.find(KEY, ONE) else "second found nothing")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert order == ["first", "second"]


def test_who_waits_for_a_turn_can_be_stopped(calls: Calls) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with calls.turn(KEY, lambda: None):
        with pytest.raises(Stopped), calls.turn(KEY, stop):
            raise AssertionError("both had the turn")
        for other in ({"experiment_id": "exp-2"}, {"candidate": 1}):
            with calls.turn(KEY.model_copy(update=other), stop):
                assert calls.of("exp-2") == []
    with calls.turn(KEY, stop):
        assert calls.find(KEY, ONE) is None
