"""Every store there is, each with a place of its own; the vault is a real server."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.records import Records
from services.secrets import SecretStore
from services.secrets.env import EnvStore
from services.secrets.file import FileStore
from services.secrets.login import Server, TokenLogin
from services.secrets.vault import VaultStore
from tests.support.bao import Bao


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Address and token of the server that VAULT_ADDR names, else of one started here."""
    if os.environ.get("VAULT_ADDR"):
        yield dict(os.environ)
        return
    bao = Bao(tmp_path_factory.mktemp("bao"))
    bao.start()
    try:
        yield dict(bao.environment)
    finally:
        bao.stop()


def vault_store(environment: dict[str, str], path: str = "") -> VaultStore:
    """One with secrets and tokens of its own on that server."""
    own = path or f"test-{uuid4().hex[:12]}"
    server, login = Server.of_environment(environment), TokenLogin(environment=environment)
    return VaultStore(server, login, mount="secret", path=own, realm=own)


@pytest.fixture(params=["file", "vault"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecretStore]:
    """A store that is written to."""
    made: SecretStore
    if request.param == "file":
        made = FileStore(tmp_path / "secrets")
    else:
        made = vault_store(request.getfixturevalue("vault"))
    yield made
    made.close()


@pytest.fixture(params=["file", "vault", "env"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecretStore]:
    """A store that holds ONE=1 and OTHER=2."""
    made: SecretStore
    if request.param == "env":
        made = EnvStore(tmp_path / "secrets", {"GENESIS_SECRET_ONE": "1", "GENESIS_SECRET_OTHER": "2"})
    else:
        made = (
            FileStore(tmp_path / "secrets")
            if request.param == "file"
            else vault_store(request.getfixturevalue("vault"))
        )
        made.set("ONE", "1")
        made.set("OTHER", "2")
    yield made
    made.close()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(f"sqlite:///{tmp_path / 'records.db'}")
    made.migrate()
    yield made
    made.close()
