"""The Temporal server of docker-compose.temporal.yml: experiments run on it, and are there after it was restarted."""

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import docker
import pytest

from schemas.experiment import ExperimentStatus
from services.temporal.server import binary, free_port
from tests.support.needs import missing
from tests.support.site import ROOT, site
from tests.support.temporal import Place

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

FILE = ROOT / "docker-compose.temporal.yml"
Compose = Callable[..., None]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """In place of the one that the file names, so that no registry is asked: the same program, and nothing else."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        missing(f"no Docker daemon answers: {error}")
    tag = f"genesis-test-temporal:{uuid.uuid4().hex[:8]}"
    context = io.BytesIO()
    recipe = b'FROM scratch\nCOPY temporal /temporal\nENV USER=root HOME=/tmp\nWORKDIR /tmp\nENTRYPOINT ["/temporal"]\n'
    with tarfile.open(fileobj=context, mode="w") as tar:
        about = tarfile.TarInfo("Dockerfile")
        about.size = len(recipe)
        tar.addfile(about, io.BytesIO(recipe))
        tar.add(binary(), "temporal")
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
    yield tag
    client.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def place() -> Place:
    return Place(f"127.0.0.1:{free_port()}")


@pytest.fixture(scope="module")
def ui_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def compose(image: str, place: Place, ui_port: int) -> Iterator[Compose]:
    program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    if subprocess.run([*program, "version"], capture_output=True, check=False).returncode:
        missing(
            "neither docker-compose nor docker's plugin `compose` is there: apt-get install docker-compose"
        )
    environment = os.environ | {
        "TEMPORAL_IMAGE": image,
        "TEMPORAL_PORT": place.address.rpartition(":")[2],
        "TEMPORAL_UI_PORT": str(ui_port),
    }
    project = f"genesis-test-{uuid.uuid4().hex[:8]}"

    def run(*words: str) -> None:
        done = subprocess.run(
            [*program, "-f", str(FILE), "-p", project, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    try:
        yield run
    finally:
        run("down", "--volumes", "--timeout", "1")


async def test_experiments_run_on_it_and_outlive_it(
    compose: Compose, place: Place, ui_port: int, tmp_path: Path
) -> None:
    compose("up", "-d")
    await place.answering()
    here = await site(tmp_path / "home", place)
    await here.serving()
    try:
        assert (await here.run(here.request("composed"))).status is ExperimentStatus.MERGED
    finally:
        here.end_workers()
    with await asyncio.to_thread(urlopen, f"http://127.0.0.1:{ui_port}/") as page:
        assert page.status == 200
    compose("restart", "--timeout", "1")
    await place.answering()
    client = await place.client()
    history = await client.get_workflow_handle("composed").fetch_history()
    assert history.events[-1].HasField("workflow_execution_completed_event_attributes")
