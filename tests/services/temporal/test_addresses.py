"""Addresses and ports as people and machines give them."""

import socket
from pathlib import Path

import pytest
from temporalio.service import RPCError, RPCStatusCode

from services.settings import Settings
from services.temporal import connect, server
from tests.support.temporal import Place


@pytest.mark.parametrize(
    ("address", "ui"),
    [
        ("localhost:7233", "http://localhost:8233"),
        ("[::1]:9000", "http://[::1]:10000"),
        ("temporal.example.org", "http://temporal.example.org:8233"),
        ("ns.a1b2c.tmprl.cloud:7233", "https://cloud.temporal.io"),
    ],
)
def test_where_the_web_ui_is_taken_to_be(address: str, ui: str) -> None:
    assert connect._ui(Settings(), address) == ui


def test_a_port_beyond_the_last_is_taken_for_a_taken_one() -> None:
    assert 0 < server.free_port(65_535 + 1000) <= 65_535


class _Client:
    """A server that takes connections and is not well."""

    def __init__(self, said: bool | RPCError) -> None:
        self.service_client = self
        self._said = said

    async def check_health(self, **_: object) -> bool:
        if isinstance(self._said, RPCError):
            raise self._said
        return self._said


@pytest.mark.parametrize(
    ("said", "well"),
    [(True, True), (False, False), (RPCError("starting", RPCStatusCode.UNAVAILABLE, b""), False)],
)
async def test_a_server_answers_once_it_is_well(
    said: bool | RPCError, well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Writer:
        def close(self) -> None:
            """Nothing is open."""

    async def opened(*_: object) -> tuple[None, Writer]:
        return None, Writer()

    async def connected(*_: object, **__: object) -> _Client:
        return _Client(said)

    monkeypatch.setattr("asyncio.open_connection", opened)
    monkeypatch.setattr("temporalio.client.Client.connect", connected)
    assert await server.answers("127.0.0.1:1") is well


@pytest.mark.server
async def test_a_server_that_does_not_know_the_namespace_does_not_answer_for_it(temporal: Place) -> None:
    assert await server.answers(temporal.address)
    assert await server.answers(temporal.address, temporal.namespace)
    assert not await server.answers(temporal.address, "nowhere")


async def test_a_port_that_somebody_takes_meanwhile_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two starters begin at the same time: both saw that the port is free."""
    asked, free_port = [], server.free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        def seems_free(preferred: int = 0) -> int:
            asked.append(preferred)
            return port if len(asked) == 1 else free_port(preferred)

        monkeypatch.setattr(server, "free_port", seems_free)
        async with server.embedded_server(tmp_path / "temporal.db", port=port) as found:
            assert found.address != f"127.0.0.1:{port}"
            assert await server.answers(found.address, "default")
    assert asked[0] == asked[2] == port
