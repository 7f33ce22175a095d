"""A definition asks for secrets by name; its trials have them in their environment, and nothing else has."""

import json
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from domain.definitions import check_definition, definition_digest
from schemas.sandbox import Limits, ProviderName, TrialOrder
from services.sandboxes import Sandbox, default_providers
from services.sandboxes.bubblewrap import BubblewrapSandbox
from services.sandboxes.docker import DEFAULT_IMAGE, DockerSandbox
from services.secrets.redaction import redact_trial
from tests.cli.door import ROOT
from tests.support.canary import Canary, children, new_marker
from tests.support.needs import checked

RULES = json.loads((ROOT / "strategies" / "RSI_Reversal.json").read_text())


def test_a_definition_may_ask() -> None:
    plain = check_definition(RULES).definition
    asking = check_definition(RULES | {"secrets": ["DATA_KEY"]}).definition
    assert (plain.secrets, asking.secrets) == ([], ["DATA_KEY"])
    assert definition_digest(plain) != definition_digest(asking)
    for wrong in ("LD_PRELOAD", "a b", "../x", "", "A" * 65, 3):
        with pytest.raises(Exception, match="secrets"):
            check_definition(RULES | {"secrets": [wrong]})


def test_no_definition_that_ships_asks_for_any() -> None:
    for file in sorted((ROOT / "strategies").glob("*.json")):
        assert check_definition(json.loads(file.read_text())).definition.secrets == []


@pytest.fixture(params=["bubblewrap", pytest.param("docker", marks=pytest.mark.docker)])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sandbox]:
    (provider,) = default_providers(tmp_path / "sandboxes", order=[request.param], image=DEFAULT_IMAGE)
    checked(provider)
    name = f"secret-{uuid.uuid4().hex[:8]}"
    yield provider.create(name, limits=Limits(), labels={})
    provider.destroy(name)
    provider.close()


CODE = """
import os
from backtesting import Strategy

class S(Strategy):
    def init(self):
        print("found:", os.environ.get("DATA_KEY"), sorted(name for name in os.environ if "KEY" in name))

    def next(self):
        if FAIL:
            raise ValueError(os.environ["DATA_KEY"])
"""
BARS = "Date,Open,High,Low,Close,Volume\n" + "".join(f"2024-01-{day:02d},1,2,1,2,9\n" for day in range(1, 29))
ORDER = TrialOrder(code="strategy.py", entrypoint="S", data="bars.csv")


@pytest.mark.parametrize("prepared", [False, True])
def test_a_trial_has_it_and_nothing_else_does(sandbox: Sandbox, prepared: bool) -> None:
    canary = Canary(new_marker())
    if prepared:
        sandbox.prepare()
    sandbox.put({"strategy.py": CODE.replace("FAIL", "False").encode(), "bars.csv": BARS.encode()})
    given = sandbox.trial(ORDER, timeout=20, env={"DATA_KEY": canary.marker})
    assert given.error is None
    assert f"found: {canary.marker} ['DATA_KEY']" in given.run.stdout
    redacted = redact_trial(given, {"DATA_KEY": canary.marker})
    assert canary.in_bytes("result", redacted.model_dump_json()) == []
    assert "found: [secret DATA_KEY]" in redacted.run.stdout
    assert redacted.model_copy(update={"run": given.run}) == given, "the rest is as it was"
    without = sandbox.trial(ORDER, timeout=20)
    assert "found: None []" in without.run.stdout
    told = sandbox.run(["env"], timeout=20)
    assert canary.in_bytes("another command", told.stdout) == []
    files = [sandbox.read(entry.path, max_bytes=1 << 20) for entry in sandbox.list() if entry.kind == "file"]
    assert [
        canary.in_bytes("a file", content) for content in files if canary.in_bytes("a file", content)
    ] == []
    assert canary.in_processes(children(os.getpid())) == []


def test_an_error_that_holds_it(sandbox: Sandbox) -> None:
    canary = Canary(new_marker())
    sandbox.put({"strategy.py": CODE.replace("FAIL", "True").encode(), "bars.csv": BARS.encode()})
    secrets = {"DATA_KEY": canary.marker}
    result = sandbox.trial(ORDER, timeout=20, env=secrets)
    assert result.error
    assert canary.in_bytes("error", result.error.message)
    assert canary.in_bytes("error", redact_trial(result, secrets).model_dump_json()) == []


PEERING = """
import os, time
from backtesting import Strategy

def peered(pid, part):
    try:
        return open(f"/proc/{pid}/{part}", "rb").read()
    except OSError as error:
        return str(error).encode()

class S(Strategy):
    def init(self):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        for pid in pids:
            for part in ("environ", "cmdline"):
                print(pid, part, os.getpid(), peered(pid, part))
        print("processes:", len(pids), "has it:", "DATA_KEY" in os.environ, flush=True)
        deadline = time.monotonic() + 20
        while WAITS and not os.path.exists("/tmp/over") and time.monotonic() < deadline:
            time.sleep(0.02)

    def next(self):
        pass
"""


def within(sandbox: Sandbox) -> list[int]:
    """The sandbox's processes, as the host numbers them."""
    if isinstance(sandbox, BubblewrapSandbox):
        return children(sandbox.pid)
    assert isinstance(sandbox, DockerSandbox)
    return children(docker.from_env().api.inspect_container(sandbox.container)["State"]["Pid"])


@pytest.mark.parametrize("prepared", [False, True])
def test_no_process_shows_it_while_the_trial_runs_nor_after(sandbox: Sandbox, prepared: bool) -> None:
    """Neither the harness's server nor a sibling has it in /proc, as seen from outside and from the next trial."""
    canary = Canary(new_marker())
    if prepared:
        sandbox.prepare()
    sandbox.put({"strategy.py": PEERING.replace("WAITS", "True").encode(), "bars.csv": BARS.encode()})
    seen: list[str] = []
    processes: list[int] = []
    looked = threading.Event()

    def look() -> None:
        """Called about once a second while the trial waits."""
        pids = within(sandbox)
        processes.append(len(pids))
        seen.extend(map(str, canary.in_processes({*pids, *children(os.getpid())})))
        looked.set()

    given = sandbox.trial(ORDER, timeout=3, env={"DATA_KEY": canary.marker}, on_wait=look)
    assert looked.is_set()
    assert given.error is not None, "it waited until it was ended"
    assert given.error.type == "Timeout"
    assert max(processes) >= 2, "the server and the trial"
    assert seen == []
    assert "has it: True" in given.run.stdout
    sandbox.put({"strategy.py": PEERING.replace("WAITS", "False").encode(), "bars.csv": BARS.encode()})
    after = sandbox.trial(ORDER, timeout=20)
    assert after.error is None
    assert "has it: False" in after.run.stdout
    assert canary.in_bytes("the next trial", after.model_dump_json()) == []
    assert canary.in_processes([*within(sandbox), *children(os.getpid())]) == []


def test_a_command_of_its_own_is_given_it_alone(sandbox: Sandbox) -> None:
    canary = Canary(new_marker())
    given = sandbox.run(["env"], timeout=20, env={"DATA_KEY": canary.marker})
    assert f"DATA_KEY={canary.marker}" in given.stdout, "and the canary sees it"
    assert canary.in_bytes("env", given.stdout)
    for command in (["env"], ["sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline"]):
        told = sandbox.run(command, timeout=20)
        assert canary.in_bytes("another command", told.stdout + told.stderr) == []


def test_another_sandbox_has_nothing_of_it(sandbox: Sandbox, tmp_path: Path) -> None:
    canary = Canary(new_marker())
    order: list[ProviderName] = ["bubblewrap" if isinstance(sandbox, BubblewrapSandbox) else "docker"]
    (provider,) = default_providers(tmp_path / "others", order=order, image=DEFAULT_IMAGE)
    name = f"sibling-{uuid.uuid4().hex[:8]}"
    sibling = provider.create(name, limits=Limits(), labels={})
    try:
        for one in (sandbox, sibling):
            one.put({"strategy.py": PEERING.replace("WAITS", "False").encode(), "bars.csv": BARS.encode()})
        assert "has it: True" in sandbox.trial(ORDER, timeout=20, env={"DATA_KEY": canary.marker}).run.stdout
        told = sibling.trial(ORDER, timeout=20)
        assert "has it: False" in told.run.stdout
        assert canary.in_bytes("the sibling", told.model_dump_json()) == []
        assert canary.in_processes([*within(sandbox), *within(sibling)]) == []
    finally:
        provider.destroy(name)
        provider.close()
