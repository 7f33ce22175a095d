"""How Temporal is found: by a profile or an address; and the server that is brought up where there is none."""

import asyncio
import os
import urllib.request
from pathlib import Path

import pytest

from services.settings import Settings
from services.temporal.connect import TemporalUnreachable, connection
from services.temporal.server import answers, embedded_server
from tests.support.temporal import Place

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GENESIS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)


async def test_by_a_profile_and_by_the_address_which_goes_before_it(
    temporal: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = tmp_path / "temporal.toml"
    profiles.write_text(
        f'[profile.fleet]\naddress = "{temporal.address}"\nnamespace = "{temporal.namespace}"\n'
        '[profile.gone]\naddress = "127.0.0.1:1"\n'
    )
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profiles))
    monkeypatch.setenv("TEMPORAL_PROFILE", "fleet")
    settings = Settings(home=tmp_path / "home")
    async with connection(settings) as link:
        assert (link.address, link.embedded) == (temporal.address, False)
        assert link.run_url("x").endswith(f"/namespaces/{temporal.namespace}/workflows/x")
    monkeypatch.setenv("TEMPORAL_PROFILE", "gone")
    with pytest.raises(TemporalUnreachable, match=r"127\.0\.0\.1:1 doesn't answer"):
        async with connection(settings):
            pass
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", temporal.namespace)
    async with connection(settings) as link:
        assert link.address == temporal.address
    assert not (tmp_path / "home").exists(), "a server that is named is never replaced by one of our own"


async def test_the_embedded_server_has_a_database_file_and_a_web_ui_and_ends(tmp_path: Path) -> None:
    database = tmp_path / "new" / "temporal.db"
    async with embedded_server(database, port=0, ui_port=0) as server:
        assert database.is_file()
        with await asyncio.to_thread(urllib.request.urlopen, server.ui, timeout=10) as page:
            assert page.status == 200
        assert await answers(server.address)
    assert not await answers(server.address)
