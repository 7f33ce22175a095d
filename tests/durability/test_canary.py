"""Secrets go through whole experiments, with failures of all kinds, and are found nowhere afterwards, nor meanwhile.

There are two: the key of a model whose server hands it back in its errors and in its answers, and a secret that the
definition asks for, under code that does all it can to have it written down somewhere.
"""

import asyncio
import base64
import contextlib
import json
import secrets
import subprocess
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from schemas.experiment import (
    ApprovalPolicy,
    Decision,
    DecisionAction,
    ExperimentRequest,
    ExperimentResult,
    ExperimentStatus,
)
from services.engines.providers import OWN_SERVER_KEY
from services.secrets.file import FileStore
from services.temporal.server import embedded_server
from tests.services.engines.code import fixed, generated
from tests.support.canary import Canary, Sighting, children, new_marker
from tests.support.openai_server import Handler, Reply, Script, fails, openai_server, raw, says
from tests.support.scripts import right_code, script
from tests.support.site import Handle, Site, site
from tests.support.temporal import Place
from workflows.experiment import StrategyExperiment

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

RIGHT, ENTRYPOINT = right_code()
CANCEL = Decision(action=DecisionAction.CANCEL, by="tester", comment="enough")

LOUD = """
import base64, contextlib, html, json, logging, os, sys, urllib.parse, warnings


def sing():
    secret = os.environ["DATA_KEY"]
    raw, quoted = secret.encode(), urllib.parse.quote(secret, safe="")
    forms = [secret, json.dumps(secret), json.dumps(json.dumps(secret)), repr([secret]), repr(raw), raw.hex()]
    forms += [base64.b64encode(bytes(shift) + raw).decode() for shift in range(3)]
    forms += [base64.urlsafe_b64encode(raw).decode(), quoted, urllib.parse.quote(secret), html.escape(secret)]
    print(dict(os.environ), *forms, sep="\\n", flush=True)
    print(*forms, file=sys.stderr, flush=True)
    logging.warning("the secret is %s", secret)
    warnings.warn(secret)
    os.makedirs("loot/" + quoted, exist_ok=True)
    with open(f"loot/{quoted}/{raw.hex()}", "w") as loot:
        print(os.environ, *forms, file=loot)
    with open("loot/wide", "wb") as loot:
        loot.write(secret.encode("utf-16-le"))
    with contextlib.suppress(FileExistsError):
        os.symlink(secret, "loot/link")
        os.mkfifo("loot/fifo-" + quoted)


"""


def loud(more: str = "") -> str:
    """The right code, which sings as it begins, and then does something more."""
    code = RIGHT.replace("    def init(self):", f"    def init(self):\n        sing()\n        {more}", 1)
    assert code != RIGHT
    return LOUD + code


RAISING = loud("""error = type("E" + os.environ["DATA_KEY"].encode().hex(), (Exception,), {})
        raise error(os.environ["DATA_KEY"]) from KeyError(os.environ["DATA_KEY"])""")
EXITING = loud("os._exit(3)")
TAGGED = loud().replace("sl=stop)", 'sl=stop, tag=os.environ["DATA_KEY"])')


# -- a model's server that tells on its callers


def echo(status: int) -> Reply:
    """Refuses, and hands back the key as its message, as its code and encoded."""

    def reply(handler: Handler) -> None:
        sent = handler.headers["Authorization"]
        key = sent.removeprefix("Bearer ")
        encoded = base64.b64encode(sent.encode()).decode()
        fails(status, f"Authorization: {sent} ({key}, {encoded}, {key.encode().hex()})", code=key)(handler)

    return reply


def nonsense() -> Reply:
    """Answers with the request's own headers."""
    return lambda handler: raw(str(handler.headers).encode())(handler)


def writes(answer: str) -> Reply:
    """Answers, with the key in place of KEY."""

    def reply(handler: Handler) -> None:
        says(answer.replace("KEY_THAT_WAS_SENT", handler.headers["Authorization"]))(handler)

    return reply


ECHOED = "\n# KEY_THAT_WAS_SENT\n"
MODELS: dict[str, list[Reply]] = {
    "troubled": [
        *(echo(429), echo(500), nonsense()),
        writes(generated(RAISING + ECHOED, metadata={"key": "KEY_THAT_WAS_SENT"})),
        writes(fixed(TAGGED + ECHOED)),
    ],
    "refusing": [echo(400)],
    "unauthorised": [echo(401)],
    "limited": [writes(generated(RAISING)), echo(402)],
}


def by_model() -> Reply:
    """Each model has its own replies, in order; the last is repeated."""
    asked: Counter[str] = Counter()
    lock = threading.Lock()

    def reply(handler: Handler) -> None:
        model = handler.body["model"]
        with lock:
            replies = MODELS[model]
            chosen = replies[min(asked[model], len(replies) - 1)]
            asked[model] += 1
        chosen(handler)

    return reply


# -- the ground that is looked over


class Ground:
    """A site with a Temporal server of its own, all below one folder; what is written there is looked through."""

    def __init__(self, folder: Path, here: Site, model: Script) -> None:
        self.folder = folder
        self.here = here
        self.model = model
        self.key = Canary(f"sk-Kanari-{secrets.token_hex(12)}")
        self.data = Canary(new_marker())
        store = FileStore(here.home / "secrets")
        store.set(OWN_SERVER_KEY, self.key.marker)
        store.set("DATA_KEY", self.data.marker)
        store.set("OTHER", self.data.marker)
        store.close()
        self.environment = {
            "GENESIS_MODEL_URL": model.url,
            "GENESIS_SANDBOX_SECRETS": '["DATA_KEY"]',
        }
        (here.home / "script.json").write_text(script(RAISING, EXITING, TAGGED))

    def request(
        self, name: str, engine: str = "scripted", secret: str = "DATA_KEY", **more: Any
    ) -> ExperimentRequest:
        request = self.here.request(name, engine=engine, max_fixes=3, **more)
        asking = request.definition.model_copy(update={"secrets": [secret]})
        return request.model_copy(update={"definition": asking})

    async def histories(self) -> dict[str, list[bytes]]:
        """Of every run that the server has: as bytes, where payloads stand plainly, and as JSON."""
        found = {}
        async for run in self.here.client.list_workflows():
            handle = self.here.client.get_workflow_handle(run.id, run_id=run.run_id)
            history = await handle.fetch_history()
            events = b"".join(event.SerializeToString() for event in history.events)
            about = (await handle.describe()).raw_description.SerializeToString()
            found[run.id] = [events, history.to_json().encode(), about]
        return found

    async def left(self, canary: Canary) -> list[Sighting]:
        """Everywhere where something could have been left."""
        histories = await self.histories()
        return await asyncio.to_thread(self._looked_through, canary, histories)

    def _looked_through(self, canary: Canary, histories: dict[str, list[bytes]]) -> list[Sighting]:
        found = canary.in_folder(self.folder)
        for name, texts in histories.items():
            for text in texts:
                found += canary.in_bytes(f"the history of {name}", text)
        for library in (self.here.home / "library.git", self.here.home / "library-mirror.git"):
            if library.exists():
                listing = ["git", "-C", str(library), "cat-file", "--batch-all-objects", "--batch"]
                objects = subprocess.run(listing, capture_output=True, check=True).stdout
                found += canary.in_bytes(f"git objects of {library.name}", objects)
        rows = [row.model_dump_json() for row in self.here.records.audit(limit=100_000)]
        found += canary.in_bytes("the audit", "\n".join(rows))
        return found + canary.in_bytes("questions to models", json.dumps(self.model.requests))


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    with openai_server(by_model()) as model:
        async with embedded_server(tmp_path / "temporal" / "temporal.db", port=0, ui_port=0) as server:
            here = await site(tmp_path / "home", Place(server.address))
            here.forks = False
            try:
                yield Ground(tmp_path, here, model)
            finally:
                here.end_workers()
                (here.home / "memory" / "keeper.sock").unlink(missing_ok=True)


@contextlib.contextmanager
def watched(here: Site, canaries: list[Canary]) -> Iterator[list[Sighting]]:
    """Looks at all processes of the workers over and over, and yields what it has seen so far."""
    seen: list[Sighting] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.4):
            pids = [pid for worker in list(here.processes) for pid in children(worker.pid)]
            for canary in canaries:
                seen.extend(canary.in_processes(pids))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


async def outcome(handle: Handle) -> ExperimentResult | BaseException:
    try:
        return await asyncio.wait_for(handle.result(), 150)
    except WorkflowFailureError as error:
        return error.cause


async def test_secrets_are_found_nowhere(ground: Ground) -> None:
    here = ground.here
    with watched(here, [ground.key, ground.data]) as seen:
        ground.environment["GENESIS_MEMORY"] = "true"
        plan = ["lawless", "kill:after:generate_code@troubled", "kill:inside:try_out@raising"]
        async with here.worker_that_is_replaced(*plan, **ground.environment) as deaths:
            for name, engine in (("troubled", "openai:troubled"), ("raising", "scripted")):
                result = await outcome(await here.start(ground.request(name, engine, holdout=0.2)))
                assert isinstance(result, ExperimentResult), result
                assert result.status is ExperimentStatus.MERGED, result.reason
        assert len(deaths) == 2
        await here.serving("lawless", "hold:after:try_out@cancelled", **ground.environment)
        cancelled = await here.start(ground.request("cancelled"))
        await here.held("try_out@cancelled")
        pids = [pid for worker in here.processes for pid in children(worker.pid)]
        assert any(b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)
        seen += ground.key.in_processes(pids) + ground.data.in_processes(pids)
        await cancelled.execute_update(StrategyExperiment.decide, CANCEL)
        here.let_go("try_out@cancelled")
        result = await outcome(cancelled)
        assert isinstance(result, ExperimentResult), result
        assert result.status is ExperimentStatus.CANCELLED
        failing = {
            "refusing": await here.start(ground.request("refusing", "openai:refusing")),
            "unauthorised": await here.start(ground.request("unauthorised", "openai:unauthorised")),
            "limited": await here.start(ground.request("limited", "openai:limited")),
            "forbidden": await here.start(ground.request("forbidden", secret="OTHER")),
        }
        reasons = {name: str(await outcome(handle)) for name, handle in failing.items()}
        waiting = await here.start(ground.request("waiting", approval=ApprovalPolicy.MANUAL))
        await here.until_status(waiting, "waiting")
        await waiting.cancel()
        assert type(await outcome(waiting)).__name__ == "CancelledError"
    assert "[secret GENESIS_MODEL_KEY]" in reasons["refusing"], "it did hand the key back"
    assert "the key in GENESIS_MODEL_KEY is refused" in reasons["unauthorised"]
    assert "GENESIS_SANDBOX_SECRETS" in reasons["forbidden"]
    assert here.left_over() == []
    here.end_workers()
    assert [str(one) for one in seen] == []
    for canary in (ground.key, ground.data):
        assert [str(one) for one in await ground.left(canary)] == []
    # They were there to be seen: what stands in their place does.
    sung = [one.where for one in await ground.left(Canary("[secret DATA_KEY]"))]
    for place in (
        *("/artifacts/", "> tar loot/", "/reports/", "/memory/"),
        *("the history of raising", "questions to models"),
    ):
        assert any(place in where for where in sung), f"no secret came as far as {place}"
    answered = [one.where for one in await ground.left(Canary("[secret GENESIS_MODEL_KEY]"))]
    for place in ("/artifacts/", "git objects of library.git", "the history of refusing"):
        assert any(place in where for where in answered), f"no key came as far as {place}"


async def test_what_is_planted_is_found(ground: Ground) -> None:
    """The control: the same looking finds a marker that nobody hides."""
    here = ground.here
    planted = Canary(new_marker())
    with watched(here, [planted]) as seen:
        worker = await here.serving(PLANTED=planted.marker)
        request = here.request("planted", engine="offline", requested_by=planted.marker)
        told = request.definition.model_copy(update={"description": f"Trades by {planted.marker}."})
        result = await here.run(request.model_copy(update={"definition": told}))
        assert result.status is ExperimentStatus.MERGED, result.reason
        await here.until(lambda: seen, "the watcher to look")
    assert {one.where for one in seen} >= {f"/proc/{worker.pid}/environ"}
    with (here.home / "worker.log").open("a") as log:
        log.write(base64.b64encode(f"a line with {planted.marker}".encode()).decode())
    places = [one.where for one in await ground.left(planted)]
    for place in (
        *("the history of planted", "temporal.db", "records.db", "worker.log", "the audit"),
        *("/artifacts/", "/reports/", "/histories/", "git objects of library.git", "library.git/objects"),
    ):
        assert any(place in where for where in places), f"not found in {place}"
    assert not any("/secrets/" in where for where in places)


READING = "from os import environ\n" + RIGHT.replace(
    "    def next(self):",
    '    def next(self):\n        if not environ.get("DATA_KEY"):\n            return',
    1,
)
"""Trades where it has its secret, and not otherwise."""


async def test_code_reads_its_secret_by_the_policy(ground: Ground) -> None:
    here = ground.here
    (here.home / "script.json").write_text(script("import os\n" + RIGHT, READING))
    await here.serving(**ground.environment)
    result = await here.run(ground.request("reading", holdout=0.2))
    assert result.status is ExperimentStatus.MERGED, result.reason
    tries = [row.data for row in here.records.audit(experiment="reading", event="gates_judged")]
    assert sorted((one["attempt"], one["gates"]["valid"]) for one in tries) == [(1, "failed"), (2, "passed")]
    here.end_workers()
    assert [str(one) for one in await ground.left(ground.data)] == []
