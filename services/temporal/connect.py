"""Finding Temporal: the profile or `TEMPORAL_ADDRESS`, else localhost:7233, else a server of our own."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfigProfile

from services.settings import Settings
from services.temporal.core import log_to_python
from services.temporal.server import answers, embedded_server

LOCAL = "localhost:7233"
KEEP_CLOSED_RUNS_DAYS = 30
"""How long the embedded server keeps closed runs; its own default is a day."""


class TemporalUnreachable(RuntimeError):
    """No server answers where one was named; says where and what to do."""


@contextlib.contextmanager
def telling_of_a_server_that_went(client: Client) -> Iterator[None]:
    """Around workers: where the server goes while one begins, the SDK raises a bare RuntimeError, here made
    TemporalUnreachable."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("Worker validation failed"):
            raise
        raise TemporalUnreachable(
            f"the Temporal server at {client.service_client.config.target_host} went away while a worker began; start "
            "it again and repeat this"
        ) from error


@dataclass(frozen=True)
class Connection:
    client: Client
    address: str
    ui: str
    embedded: bool

    def run_url(self, experiment_id: str) -> str:
        return f"{self.ui}/namespaces/{self.client.namespace}/workflows/{experiment_id}"


@contextlib.asynccontextmanager
async def connection(settings: Settings, *, may_embed: bool = True) -> AsyncIterator[Connection]:
    """A connected client; where none is set and none answers, with an embedded server for as long as it is held.

    Raises TemporalUnreachable where a named server doesn't answer, or none does and `may_embed` is false;
    ServerError where the embedded one can't start.
    """
    log_to_python()
    profile = ClientConfigProfile.load()
    if profile.address:
        yield await _connected(profile, settings, profile.address)
    elif await answers(LOCAL):
        yield await _connected(replace(profile, address=LOCAL), settings, LOCAL)
    elif may_embed:
        async with embedded_server(settings.home / "temporal" / "temporal.db") as server:
            client = await Client.connect(server.address, data_converter=pydantic_data_converter)
            await _keep_closed_runs(client)
            yield Connection(client, server.address, server.ui, embedded=True)
    else:
        raise TemporalUnreachable(
            f"no Temporal server answers on {LOCAL}; start one with: python worker.py --dev, or name one with "
            "TEMPORAL_ADDRESS"
        )


async def _connected(profile: ClientConfigProfile, settings: Settings, address: str) -> Connection:
    config = profile.to_client_connect_config()
    try:
        client = await Client.connect(**config, data_converter=pydantic_data_converter)
    except RuntimeError as error:
        raise TemporalUnreachable(
            f"Temporal at {address} doesn't answer ({_why(error)}); is the server up, and are TEMPORAL_ADDRESS, "
            "TEMPORAL_NAMESPACE and the profile right?"
        ) from error
    return Connection(client, address, _ui(settings, address), embedded=False)


def _why(error: Exception) -> str:
    """The transport's own word, out of the dump that the SDK gives of it."""
    found = re.search(r'message: "?([A-Z][^",}]*)', str(error))
    return found[1].strip().lower() if found else str(error).splitlines()[0][:200]


def _ui(settings: Settings, address: str) -> str:
    """The dev server's Web UI is 1,000 ports above its own; elsewhere the setting says."""
    if settings.temporal_ui:
        return settings.temporal_ui.rstrip("/")
    if address.endswith("tmprl.cloud:7233"):
        return "https://cloud.temporal.io"
    host, _, port = address.rpartition(":")
    return f"http://{host}:{int(port) + 1000}" if port.isdecimal() else f"http://{address}:8233"


async def _keep_closed_runs(client: Client) -> None:
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(
                workflow_execution_retention_ttl=Duration(seconds=KEEP_CLOSED_RUNS_DAYS * 24 * 3600)
            ),
        )
    )


async def is_served(client: Client, queue: str) -> bool:
    """Whether somebody polls the task queue for workflows (within the last minutes, as the server remembers it)."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return len(answer.pollers) > 0
