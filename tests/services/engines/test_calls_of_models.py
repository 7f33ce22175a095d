"""Calls over HTTP: each fault has its own words, passes or doesn't, and none tells the key."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.artifacts import Artifacts
from services.calls import Calls
from services.engines import EngineBusy, EngineError, ModelOptions
from tests.services.engines.asked import KEY, ORDER, served, told
from tests.services.engines.code import generated, module
from tests.support.openai_server import (
    Reply,
    breaks_off,
    calls_tool,
    fails,
    hangs,
    openai_server,
    raw,
    says,
)
from tests.support.site import ROOT

GOOD = generated(module())


@pytest.mark.parametrize(
    ("reply", "says_what", "after"),
    [
        (fails(429, "slow down", Retry_After="7"), "too many requests", 7.0),
        (fails(429, "slow down", Retry_After="soon"), "too many requests", None),
        (fails(429, "slow down"), "too many requests", None),
        (fails(500, "oops"), "the provider has trouble (HTTP 500", None),
        (fails(503, "busy", Retry_After="2"), "the provider has trouble (HTTP 503", 2.0),
        (fails(408, "slow"), "asks to try again (HTTP 408", None),
        (raw(b"<html>bad gateway</html>", 502), "the provider has trouble (HTTP 502)", None),
        (raw(b"garbage"), "what came back is no answer of a model", None),
        (raw(b""), "what came back is no answer of a model", None),
        (raw(b'{"choices": "none"}'), "what came back is no answer of a model", None),
        (raw(b"[1, 2, 3]"), "what came back is no answer of a model", None),
        (breaks_off(GOOD), "can't be reached, or broke off its answer", None),
    ],
)
def test_what_may_pass_is_left_to_temporal(
    tmp_path: Path, reply: Reply, says_what: str, after: float | None
) -> None:
    with openai_server(reply) as server:
        with pytest.raises(EngineBusy) as caught:
            served(tmp_path, server.url).generate(ORDER)
        assert server.calls == 1  # nobody but Temporal tries again
        assert str(caught.value).startswith("openai:small: ")
        assert says_what in str(caught.value)
        assert caught.value.retry_after == after
        assert KEY not in told(caught.value)
        assert Calls(Artifacts(tmp_path)).of("exp") == []


@pytest.mark.parametrize(
    ("reply", "kind", "says_what"),
    [
        (
            fails(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"),
            "KeyRefused",
            "the key in GENESIS_MODEL_KEY is refused (HTTP 401, invalid_api_key)",
        ),
        (fails(403, "no access"), "KeyRefused", "set a valid one that may use this model"),
        (fails(404, "no such model", "model_not_found"), "UnknownModel", "no such model at http://127.0.0.1"),
        (
            fails(400, "This model's maximum context length is 2048 tokens", "context_length_exceeded"),
            "ContextTooLong",
            "maximum context length is 2048 tokens; take a model with a longer context",
        ),
        (
            fails(429, "pay up", "insufficient_quota", "insufficient_quota"),
            "QuotaExhausted",
            "quota or credit",
        ),
        (fails(402, "pay up"), "QuotaExhausted", "quota or credit"),
        (fails(400, "flagged", "content_filter"), "ContentRefused", "won't answer this: flagged"),
        (fails(400, f"strange header {KEY}"), "RequestRefused", "strange header [secret GENESIS_MODEL_KEY]"),
        (fails(422, "no field x"), "RequestRefused", "no field x"),
        (says(None, refusal="I can't do that"), "ContentRefused", "won't answer this: I can't do that"),
        (says("", finish="content_filter"), "ContentRefused", "won't answer this"),
        (says('{"strategy": "buy low"}'), "UnusableAnswer", "gave no code that can be used"),
        (calls_tool('{"code": 7}'), "UnusableAnswer", "gave no code that can be used"),
    ],
)
def test_what_won_t_pass_says_what_to_do(tmp_path: Path, reply: Reply, kind: str, says_what: str) -> None:
    with openai_server(reply) as server:
        with pytest.raises(EngineError) as caught:
            served(tmp_path, server.url).generate(ORDER)
        assert type(caught.value).__name__ == kind
        assert says_what in str(caught.value)
        assert "openai:small" in str(caught.value)
        assert KEY not in told(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert server.calls == (3 if kind == "UnusableAnswer" else 1)


def test_a_server_that_isn_t_there(tmp_path: Path) -> None:
    with openai_server(says(GOOD)) as server:
        url = server.url
    with pytest.raises(EngineBusy, match="can't be reached"):
        served(tmp_path, url).generate(ORDER)


def test_a_hang_ends_at_the_timeout(tmp_path: Path) -> None:
    beats: list[float] = []
    with openai_server(hangs()) as server:
        began = time.monotonic()
        with pytest.raises(EngineBusy, match=r"no answer within 2.5 s \(GENESIS_MODEL_TIMEOUT\)"):
            served(
                tmp_path, server.url, timeout=2.5, on_wait=lambda: beats.append(time.monotonic())
            ).generate(ORDER)
        assert 2.4 < time.monotonic() - began < 15
    assert len(beats) >= 2


def test_whoever_waits_can_stop_waiting(tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def stop() -> None:
        raise Cancelled

    with openai_server(hangs()) as server:
        began = time.monotonic()
        with pytest.raises(Cancelled):
            served(tmp_path, server.url, timeout=60, on_wait=stop).generate(ORDER)
        assert time.monotonic() - began < 15
        assert server.calls == 1


def test_a_retry_after_a_fault_gets_the_answer(tmp_path: Path) -> None:
    with openai_server(fails(500), says(GOOD)) as server:
        with pytest.raises(EngineBusy):
            served(tmp_path, server.url).generate(ORDER)
        assert served(tmp_path, server.url).generate(ORDER).code == module()
        assert served(tmp_path, server.url).generate(ORDER).code == module()
        assert server.calls == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.services.engines.asked import ORDER, Accounts, served

def die():
    os.kill(os.getpid(), signal.SIGKILL)

served(Path(sys.argv[1]), sys.argv[2], purse=Accounts(on_settle=die)).generate(ORDER)
"""


def test_a_worker_killed_after_the_answer_has_paid_once(tmp_path: Path) -> None:
    with openai_server(says(GOOD)) as server:
        dead = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), server.url],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert dead.returncode == -signal.SIGKILL, dead.stderr.decode()
        assert server.calls == 1
        code = served(tmp_path, server.url).generate(ORDER)
        assert code.code == module()
        assert code.usage is not None
        assert (code.usage.calls, code.usage.input_tokens) == (1, 1000)
        assert server.calls == 1


# -- how it is asked


def test_the_question_carries_definition_schema_and_bounds(tmp_path: Path) -> None:
    with openai_server(says(GOOD)) as server:
        served(tmp_path, server.url).generate(ORDER)
        (request,) = server.requests
        assert request["model"] == "small"
        assert request["max_tokens"] == 16_000
        assert request["response_format"]["type"] == "json_schema"
        wanted = request["response_format"]["json_schema"]["schema"]
        assert set(wanted["properties"]) == {"code", "entrypoint", "dependencies", "files", "metadata"}
        assert "Decided on a bar's close" in server.prompt()
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("output", "reply", "format_of"),
    [
        ("tool", calls_tool(GOOD), None),
        ("prompted", says(GOOD), {"type": "json_object"}),
        ("json_object", says(GOOD), "with schema"),
        ("native", says(GOOD), "json_schema"),
    ],
)
def test_every_way_to_ask_for_structure(tmp_path: Path, output: str, reply: Reply, format_of: object) -> None:
    with openai_server(reply) as server:
        options = ModelOptions(url=server.url, output=output)  # type: ignore[arg-type]
        assert served(tmp_path, options=options).generate(ORDER).code == module()
        (request,) = server.requests
        found = request.get("response_format") or {}
        if format_of == "with schema":
            assert found["type"] == "json_object"
            assert "entrypoint" in found["schema"]["properties"]
        elif format_of == "json_schema":
            assert found["type"] == "json_schema"
        else:
            assert found == (format_of or {})
        assert [tool["function"]["name"] for tool in request.get("tools", [])] == (
            ["generated_code"] if output == "tool" else []
        )


def test_a_whole_conversation_over_http(tmp_path: Path) -> None:
    code = module()
    middle = len(code) // 2
    with openai_server(
        says("I'd buy low."), says(code[:middle], finish="length"), says(code[middle:])
    ) as server:
        written = served(tmp_path, server.url).generate(ORDER)
        assert written.code == code
        assert written.usage is not None
        assert (written.usage.calls, written.usage.input_tokens, written.usage.output_tokens) == (
            3,
            3000,
            600,
        )
        assert written.usage.usd is None
        roles = [[message["role"] for message in request["messages"]] for request in server.requests]
        assert roles[2] == ["system", "user", "assistant", "user", "assistant", "user"]
        assert "response_format" not in server.requests[2]  # the rest is asked for as plain code


def test_a_tool_s_arguments_that_are_cut_off_are_gone_on_with(tmp_path: Path) -> None:
    code = module()
    half = GOOD[: len(GOOD) // 2]
    so_far = json.loads(half + '"}')["code"]
    with openai_server(calls_tool(half, finish="length"), says(code[len(so_far) :])) as server:
        options = ModelOptions(url=server.url, output="tool")
        assert served(tmp_path, options=options).generate(ORDER).code == code
        assert server.calls == 2


RESPONSES = {
    "id": "r",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": GOOD, "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 1000,
        "output_tokens": 200,
        "total_tokens": 1200,
        "input_tokens_details": {"cached_tokens": 400},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
ANTHROPIC = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [{"type": "tool_use", "id": "t", "name": "generated_code", "input": json.loads(GOOD)}],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1000, "output_tokens": 200},
}
GOOGLE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": GOOD}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 200, "totalTokenCount": 1200},
    "modelVersion": "gemini-2.5-pro",
}
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"}
BUSY_GOOGLE = {
    "error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": [RETRY_INFO]}
}
PROVIDERS = {
    "openai": ("openai:gpt-5", "OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1", "/v1/responses", RESPONSES),
    "anthropic": (
        *("anthropic:claude-sonnet-4-6", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        *("", "/v1/messages", ANTHROPIC),
    ),
    "google": (
        *("google:gemini-2.5-pro", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
        *("", "/v1beta/models/gemini-2.5-pro:generateContent", GOOGLE),
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_answers_at_a_known_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    name, key_name, url_name, tail, path, body = PROVIDERS[provider]
    with openai_server(raw(json.dumps(body).encode())) as server:
        monkeypatch.setenv(url_name, server.url.removesuffix("/v1") + tail)
        code = served(tmp_path, name=name, key_name=key_name, options=ModelOptions(timeout=20)).generate(
            ORDER
        )
        assert code.code == module()
        assert code.usage is not None
        assert (code.usage.input_tokens, code.usage.output_tokens) == (1000, 200)
        assert code.usage.usd is not None
        assert 0.001 < code.usage.usd < 0.02
        assert server.paths == [path]


@pytest.mark.parametrize(
    ("provider", "reply", "after"),
    [
        ("openai", fails(429, Retry_After="3"), 3.0),
        ("anthropic", raw(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', 529), None),
        ("google", raw(json.dumps(BUSY_GOOGLE).encode(), 429), 9.0),
        ("google", raw(b'{"error": {"code": 500, "status": "INTERNAL"}}', 500), None),
        ("anthropic", fails(500, Retry_After="1"), 1.0),
    ],
)
def test_no_provider_s_client_tries_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, reply: Reply, after: float | None
) -> None:
    name, key_name, url_name, tail, _, _ = PROVIDERS[provider]
    with openai_server(reply) as server:
        monkeypatch.setenv(url_name, server.url.removesuffix("/v1") + tail)
        with pytest.raises(EngineBusy) as caught:
            served(tmp_path, name=name, key_name=key_name, options=ModelOptions(timeout=20)).generate(ORDER)
        assert server.calls == 1
        assert caught.value.retry_after == after
