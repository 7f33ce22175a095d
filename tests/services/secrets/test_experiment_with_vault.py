"""Whole experiments whose model's key is in a vault and nowhere else: it is read by a token that ends with them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from schemas.budget import Budget
from schemas.experiment import ExperimentStatus
from schemas.secrets import TokenInfo
from schemas.sweep import SweepRequest
from services.budget import Budgets
from services.secrets.login import Server, TokenLogin
from services.secrets.vault import VaultStore
from tests.cli.door import starter
from tests.support.bao import Bao
from tests.support.model import ANSWERS, ENGINE, KEY
from tests.support.openai_server import Handler, hangs, openai_server
from tests.support.site import Handle, Site
from workflows.access import access_of
from workflows.sweep import Sweep

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

NAME = "GENESIS_MODEL_KEY"


class Vaulted:
    """A site's part of a vault: its own secrets and tokens."""

    def __init__(self, here: Site, vault: dict[str, str]) -> None:
        path = f"test-{uuid4().hex[:12]}"
        server, login = Server.of_environment(vault), TokenLogin(environment=vault)
        self.store = VaultStore(server, login, mount="secret", path=path, realm=here.queue)
        self.store.set(NAME, KEY)
        self.environment = {
            "GENESIS_SECRETS": "vault",
            "GENESIS_VAULT_PATH": path,
            "VAULT_ADDR": vault["VAULT_ADDR"],
            "VAULT_TOKEN": vault["VAULT_TOKEN"],
        }


@pytest.fixture
def bao(tmp_path: Path) -> Iterator[Bao]:
    """One that can be sealed."""
    made = Bao(tmp_path / "bao", dev=False)
    made.start()
    yield made
    made.stop()


async def test_a_token_is_for_as_many_reads_as_the_steps_make(here: Site) -> None:
    def reads(*secrets: str, **more: Any) -> int | None:
        request = here.request("reads", **more)
        asking = request.definition.model_copy(update={"secrets": [*secrets]})
        order = access_of(request.model_copy(update={"definition": asking}), 60)
        return order.uses if order else None

    assert reads(engine="offline") is None
    assert reads(engine=ENGINE, max_fixes=0) == 2
    assert reads(engine=ENGINE, max_fixes=1, candidates=3) == 12
    assert reads("ONE", "OTHER", engine="offline", max_fixes=0) == 4, "a try-out and the holdout"
    assert reads("ONE", engine=ENGINE, max_fixes=3) == 8 + 5


async def test_a_key_is_read_by_a_token_once_the_vault_is_unsealed(here: Site, bao: Bao) -> None:
    vaulted = Vaulted(here, dict(bao.environment))
    seen: list[TokenInfo] = []

    def model(handler: Handler) -> None:
        seen.extend(vaulted.store.issued())
        ANSWERS(handler)

    with openai_server(model) as server:
        await here.serving(GENESIS_MODEL_URL=server.url, **vaulted.environment)
        bao.seal()
        handle = await here.start(here.request("vaulted", engine=ENGINE))
        assert "is sealed" in await _retried(handle)
        assert server.calls == 0
        bao.unseal()
        result = await asyncio.wait_for(handle.result(), 120)
        assert result.status is ExperimentStatus.MERGED, result.reason
        assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
        repair = server.prompt(1)
    first, second = seen
    assert (first.experiment_id, first.names, first.uses_left) == ("vaulted", [NAME], 7)
    assert second == first.model_copy(update={"uses_left": 6, "expires": second.expires})
    # And what the gates found reached the model: which bar, what was expected there, by which rule.
    assert "conforms: " in repair
    assert "expected to leave the long of bar " in repair
    assert "exit_rules[0]" in repair
    assert list(vaulted.store.issued()) == []
    vaulted.store.close()
    assert here.left_over() == []


async def _retried(handle: Handle) -> str:
    """What the step that is tried again failed with."""
    for _ in range(1200):
        for step in (await handle.describe()).raw_description.pending_activities:
            if step.HasField("last_failure"):
                return step.last_failure.message
        await asyncio.sleep(0.05)
    raise AssertionError("no step failed within a minute")


async def test_a_run_that_is_terminated_leaves_its_token_to_the_sweep(
    here: Site, vault: dict[str, str]
) -> None:
    vaulted = Vaulted(here, vault)
    budgets = Budgets(here.settings.records_url)
    where = {**here.temporal.environment, "GENESIS_TASK_QUEUE": here.queue}
    with openai_server(hangs()) as server:
        await here.serving(GENESIS_MODEL_URL=server.url, **vaulted.environment)
        handle = await here.start(here.request("cut", engine=ENGINE, budget=Budget(calls=3)))
        await here.until(lambda: server.calls, "the model to be asked")
        told = await asyncio.to_thread(starter, here.home, "status", "cut", **where)
        assert "0 of 3 calls spent, 1 reserved, 2 left" in told.stdout, told.said
        await handle.terminate()
        assert [token.experiment_id for token in vaulted.store.issued()] == ["cut"]
        assert budgets.holders() == ["cut"]
        report = await asyncio.wait_for(
            here.client.execute_workflow(
                Sweep.run, SweepRequest(grace=0), id=f"{here.queue}-swept", task_queue=here.queue
            ),
            90,
        )
    assert report.problems == []
    assert ("token", "cut") in {(one.kind, one.experiment_id) for one in report.removed}
    assert list(vaulted.store.issued()) == []
    assert budgets.holders() == []
    vaulted.store.close()
    assert here.left_over() == []
