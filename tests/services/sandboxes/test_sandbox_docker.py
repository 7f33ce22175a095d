"""What only Docker has: containers that end with their owner, and refusals of its own."""

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from backtesting.test import GOOG

from schemas.sandbox import Limits, TrialOrder
from services.sandboxes import SandboxLost, SandboxManager, SandboxUnavailable, default_providers
from services.sandboxes import docker as docker_provider
from services.sandboxes.docker import DEFAULT_IMAGE, DockerProvider, DockerSandbox
from services.sandboxes.leased import OWNER as OWNER_LABEL
from services.sandboxes.leased import this_process
from services.sandboxes.statefiles import process_start
from services.settings import Settings
from tests.services.sandboxes.test_sandbox_trials import RSI, csv_of
from tests.support.needs import checked

pytestmark = [pytest.mark.docker, pytest.mark.timeout(90)]
ROOT = Path(__file__).resolve().parents[3]

OWNER = """
import sys
from schemas.sandbox import Limits
from services.sandboxes.docker import DockerProvider
sandbox = DockerProvider().create(sys.argv[1], limits=Limits(), labels={"owned": sys.argv[1]})
print(sandbox.run(["echo", "alive"], timeout=20).stdout, flush=True)
sandbox.run(["sleep", "300"], timeout=400)
"""


@pytest.fixture
def provider() -> Iterator[DockerProvider]:
    made = checked(DockerProvider())
    yield made
    made.close()


def wait_until_gone(container: str) -> None:
    deadline = time.monotonic() + 20
    while docker.from_env().api.containers(all=True, filters={"id": container}):
        assert time.monotonic() < deadline, "an ended container was never removed"
        time.sleep(0.02)


def test_a_killed_owner_leaves_no_container(provider: DockerProvider) -> None:
    name = f"owned-{uuid.uuid4().hex[:8]}"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, name], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "alive\n"
    assert [info.sandbox_id for info in provider.list({"owned": name})] == [name]
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 20
    while provider.list({"owned": name}):
        assert time.monotonic() < deadline, "a container outlived its owner"
        time.sleep(0.05)


def test_a_container_that_the_daemon_lists_and_does_not_have(
    provider: DockerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash of the daemon, until it starts again."""
    name = f"ghost-{uuid.uuid4().hex[:8]}"
    sandbox = provider.create(name, limits=Limits(), labels={})
    assert isinstance(sandbox, DockerSandbox)
    listed = docker_provider.list_containers(docker.from_env(), {"id": sandbox.container})
    provider.destroy(name)
    wait_until_gone(sandbox.container)
    monkeypatch.setattr(docker_provider, "list_containers", lambda *_: listed)
    another = DockerProvider()
    assert [info.sandbox_id for info in another.list()] == [name]
    assert another.destroy(name)
    assert another.list() == []
    assert not another.destroy(name)


def test_the_container_is_locked_down(provider: DockerProvider) -> None:
    name = f"locked-{uuid.uuid4().hex[:8]}"
    sandbox = provider.create(name, limits=Limits(processes=20, cpus=0.5), labels={})
    assert isinstance(sandbox, DockerSandbox)
    about = docker.from_env().api.inspect_container(sandbox.container)
    host, config = about["HostConfig"], about["Config"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert (host["Privileged"], host["Binds"], about["Mounts"]) == (False, None, [])
    assert host["SecurityOpt"] == [
        "no-new-privileges"
    ]  # and the daemon's default seccomp profile, which nothing lifts
    assert about["Image"] == config["Image"] == provider.image().split()[-1]
    assert config["Image"].startswith("sha256:")
    status = sandbox.run(["cat", "/proc/1/status"], timeout=20).stdout
    assert "Seccomp:\t2" in status  # the harness too, which the filter of its own children spares
    assert [text for text in provider.weaknesses() if "seccomp" in text] == []
    assert (host["PidsLimit"], host["NanoCpus"]) == (21, 500_000_000)
    assert host["Memory"] == host["MemorySwap"] > 0
    assert (config["User"], config["OpenStdin"], config["StdinOnce"]) == ("65534:65534", True, True)
    assert host["LogConfig"]["Type"] == "none"
    provider.destroy(name)
    wait_until_gone(sandbox.container)


def test_what_is_missing_is_named(provider: DockerProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        SandboxUnavailable, match=r"genesis-nowhere:1 is not there; build it with 'make sandbox-image'"
    ):
        DockerProvider("genesis-nowhere:1").check()
    with pytest.raises(SandboxUnavailable, match=r"no runtime 'nowhere'; it has .*runc"):
        DockerProvider(runtime="nowhere").check()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(SandboxUnavailable, match="point DOCKER_HOST at a daemon"):
        DockerProvider().check()


def test_an_image_of_another_version_is_refused(
    provider: DockerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sandboxes.image.harness_digest", lambda: "0" * 64)
    with pytest.raises(SandboxUnavailable, match="another version of Genesis"):
        DockerProvider().check()


def test_no_network_is_joined_even_for_an_instant(provider: DockerProvider) -> None:
    """By the daemon's own account: it never connected the container to any network but, at most, the one named none."""
    client = docker.from_env()
    began = int(time.time()) - 1
    name = f"apart-{uuid.uuid4().hex[:8]}"
    sandbox = provider.create(name, limits=Limits(), labels={})
    assert isinstance(sandbox, DockerSandbox)
    assert set(client.api.inspect_container(sandbox.container)["NetworkSettings"]["Networks"]) <= {"none"}
    assert client.api.inspect_container(sandbox.container)["NetworkSettings"]["IPAddress"] == ""
    provider.destroy(name)
    events = client.events(since=began, until=int(time.time()) + 1, filters={"type": "network"}, decode=True)
    own = [event for event in events if event["Actor"]["Attributes"].get("container") == sandbox.container]
    assert {event["Actor"]["Attributes"]["name"] for event in own} <= {"none"}


def test_a_tag_that_is_moved_changes_nothing(provider: DockerProvider) -> None:
    """The image is resolved to its digest, and the digest is what is checked and run."""
    client = docker.from_env()
    tag = f"genesis-test-{uuid.uuid4().hex[:8]}:latest"
    image = client.images.get(DEFAULT_IMAGE)
    image.tag(tag)
    by_tag = DockerProvider(tag)
    try:
        assert by_tag.image() == f"docker {tag} {image.id}"
        by_digest = DockerProvider(str(image.id))
        by_digest.check()
        sandbox = by_digest.create(f"digest-{uuid.uuid4().hex[:8]}", limits=Limits(), labels={})
        assert sandbox.run(["true"], timeout=20).ok
        by_digest.close()
    finally:
        client.images.remove(tag, noprune=True)
    with pytest.raises(SandboxUnavailable, match="is not there"):
        by_tag.create("never", limits=Limits(), labels={})


@pytest.mark.parametrize("state", ["created", "exited"])
def test_a_container_that_runs_no_more_is_listed_and_swept(
    provider: DockerProvider, tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash between two calls, or of the daemon: it was never started, or nobody removed it at its end."""
    monkeypatch.setattr(socket, "gethostname", lambda: "of-this-test")  # no other test's sweep may be quicker
    with subprocess.Popen(["true"]) as ended:
        start = process_start(ended.pid)
    own = f"dead-{uuid.uuid4().hex[:8]}"
    owners = {own: f"{socket.gethostname()}:{ended.pid}:{start}", f"{own}-kept": this_process()}
    api = docker.from_env().api
    made = {}
    for name, owner in owners.items():
        labels = {"genesis.sandbox": name, "genesis.created": "1.5", f"genesis.label.{OWNER_LABEL}": owner}
        labels["genesis.label.test"] = own
        made[name] = api.create_container(DEFAULT_IMAGE, ["{"], labels=labels, network_disabled=True)["Id"]
        if state == "exited":
            api.start(made[name])  # its argument is no configuration: it ends at once
            api.wait(made[name])
    try:
        assert {
            about["State"]
            for about in api.containers(all=True, filters={"label": f"genesis.label.test={own}"})
        } == {state}
        assert {info.sandbox_id for info in provider.list({"test": own})} == {*owners}
        manager = SandboxManager([provider], tmp_path, ready=0)
        assert own in {info.sandbox_id for info in manager.cleanup()}
        assert [info.sandbox_id for info in provider.list({"test": own})] == [f"{own}-kept"]
        with pytest.raises(docker.errors.NotFound):
            api.inspect_container(made[own])
        assert provider.destroy(f"{own}-kept")
        assert not provider.destroy(f"{own}-kept")
    finally:
        for container in made.values():
            with suppress(docker.errors.NotFound):
                api.remove_container(container, force=True)


def test_a_destroyed_name_is_free_and_not_listed(provider: DockerProvider) -> None:
    """Though the daemon takes its time to remove the container."""
    name = f"again-{uuid.uuid4().hex[:8]}"
    containers = []
    for _ in range(3):
        sandbox = provider.create(name, limits=Limits(), labels={"again": name})
        assert isinstance(sandbox, DockerSandbox)
        pid = docker.from_env().api.inspect_container(sandbox.container)["State"]["Pid"]
        containers.append(sandbox.container)
        assert sandbox.run(["sh", "-c", "sleep 300 & echo up"], timeout=20).stdout == "up\n"
        assert provider.destroy(name)
        assert process_start(pid) is None or inside(pid) == []
        assert not sandbox.alive
        assert provider.list({"again": name}) == []
        assert not provider.destroy(name)
    for container in containers:
        wait_until_gone(container)


def inside(pid: int) -> list[str]:
    """The children of a container's first process."""
    with suppress(OSError):
        return [
            child
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


@pytest.mark.usefixtures("provider")  # for its check
def test_close_waits_for_what_is_being_removed() -> None:
    provider = DockerProvider()
    names = [f"closing-{uuid.uuid4().hex[:8]}" for _ in range(3)]
    containers = []
    for name in names:
        sandbox = provider.create(name, limits=Limits(), labels={})
        assert isinstance(sandbox, DockerSandbox)
        containers.append(sandbox.container)
    provider.destroy(names[0])
    provider.close()
    assert [docker.from_env().api.containers(all=True, filters={"id": one}) for one in containers] == [
        [],
        [],
        [],
    ]


def test_the_runtime_of_the_setting_runs_the_same_trial(
    provider: DockerProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "runsc" not in docker.from_env().info()["Runtimes"]:
        pytest.skip("runsc is not a runtime of this Docker daemon (docs/sandboxes.md says how)")
    monkeypatch.setenv("GENESIS_SANDBOX_RUNTIME", "runsc")
    settings = Settings(home=tmp_path)
    (gvisor,) = default_providers(
        tmp_path, order=["docker"], image=settings.sandbox_image, runtime=settings.sandbox_runtime
    )
    order = TrialOrder(code="strategy.py", entrypoint="Reversal", data="bars.csv", commission=0.002)
    told = {}
    for made, runtime in ((provider, docker.from_env().info()["DefaultRuntime"]), (gvisor, "runsc")):
        sandbox = made.create(f"trial-{uuid.uuid4().hex[:8]}", limits=Limits(), labels={})
        assert isinstance(sandbox, DockerSandbox)
        about = docker.from_env().api.inspect_container(sandbox.container)
        assert about["HostConfig"]["Runtime"] == runtime
        sandbox.prepare()
        sandbox.put({"strategy.py": RSI.encode(), "bars.csv": csv_of(GOOG)})
        results = [sandbox.trial(order, timeout=40) for _ in range(2)]  # made ahead; forked as it is ordered
        assert all(result.trades for result in results), results
        told[runtime] = [result.model_dump(exclude={"run"}) for result in results]
        made.destroy(sandbox.info.sandbox_id)
    gvisor.close()
    (plain, again), (apart, apart_again) = told.values()
    assert plain == again == apart == apart_again


def test_one_that_is_busy_is_destroyed_all_the_same(provider: DockerProvider) -> None:
    """Its harness takes no order while it carries out another: the daemon ends it."""
    name = f"busy-{uuid.uuid4().hex[:8]}"
    sandbox = provider.create(name, limits=Limits(), labels={})
    assert isinstance(sandbox, DockerSandbox)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(sandbox.run, ["sleep", "300"], timeout=400)
        time.sleep(0.3)
        assert provider.destroy(name)
        with pytest.raises(SandboxLost):
            call.result(timeout=10)
    wait_until_gone(sandbox.container)
