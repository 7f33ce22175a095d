"""The vault itself: sealed, restarted, slow, strict; and how a worker proves who it is. All on real servers."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import hvac  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from schemas.secrets import Grant
from services.secrets import (
    SecretMissing,
    SecretsCorrupt,
    SecretsError,
    SecretsRefused,
    SecretsUnavailable,
    TokenGone,
)
from services.secrets import connection as connecting
from services.secrets.login import AppRoleLogin, KubernetesLogin, Login, Server, TokenLogin
from services.secrets.vault import VaultStore
from tests.cli.door import ROOT
from tests.services.secrets.conftest import vault_store
from tests.support.bao import Bao


def grant(*names: str, experiment: str = "one", seconds: float = 60) -> Grant:
    return Grant(experiment_id=experiment, host="worker-1", names=list(names), seconds=seconds)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """A server of our own that keeps what it knows, to be sealed and restarted."""
    bao = Bao(tmp_path_factory.mktemp("lasting"), dev=False)
    bao.start()
    yield bao
    bao.stop()


def admin(vault: dict[str, str]) -> Any:
    return hvac.Client(url=vault["VAULT_ADDR"], token=vault["VAULT_TOKEN"])


# Not now


def test_sealed_and_unsealed(lasting: Bao) -> None:
    store = vault_store(dict(lasting.environment))
    store.set("ONE", "alpha")
    token = store.issue(grant("ONE"))
    lasting.seal()
    for ask in (
        lambda: store.get("ONE"),
        lambda: store.set("ONE", "beta"),
        lambda: store.read("ONE", token),
        lambda: store.issue(grant("ONE")),
        lambda: store.revoke(token.accessor),
        store.list,
        store.issued,
    ):
        with pytest.raises(SecretsUnavailable, match="is sealed"):
            ask()
    lasting.unseal()
    assert store.read("ONE", token) == "alpha"
    store.close()


def test_a_restart(lasting: Bao) -> None:
    store = vault_store(dict(lasting.environment))
    store.set("ONE", "alpha")
    token = store.issue(grant("ONE"))
    lasting.stop()
    with pytest.raises(SecretsUnavailable, match="doesn't answer"):
        store.read("ONE", token)
    with pytest.raises(SecretsUnavailable, match="doesn't answer"):
        store.revoke(token.accessor)
    lasting.start()
    with pytest.raises(SecretsUnavailable, match="is sealed"):
        store.read("ONE", token)
    lasting.unseal()
    assert store.read("ONE", token) == "alpha"
    assert [info.accessor for info in store.issued()] == [token.accessor]
    assert store.revoke(token.accessor) is True
    store.close()


def test_rate_limited(lasting: Bao) -> None:
    store = vault_store(dict(lasting.environment))
    store.set("ONE", "alpha")
    quota = f"q{uuid4().hex[:8]}"
    limit = {"path": "secret", "rate": 1, "interval": "60s"}
    lasting.client.adapter.post(f"/v1/sys/quotas/rate-limit/{quota}", json=limit)
    try:
        with pytest.raises(SecretsUnavailable, match="limits the rate"):  # noqa: PT012
            for _ in range(5):
                store.get("ONE")
    finally:
        lasting.client.adapter.delete(f"/v1/sys/quotas/rate-limit/{quota}")
    assert store.get("ONE") == "alpha"
    store.close()


class _Moody(BaseHTTPRequestHandler):
    """Answers with what it is told to; counts."""

    code: ClassVar[int] = 200
    retry_after: ClassVar[str] = ""
    body: ClassVar[bytes] = b'{"errors": ["marker"]}'
    delay: ClassVar[float] = 0.0
    asked: ClassVar[int] = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        time.sleep(self.delay)
        with suppress(ConnectionError):  # who asked has given up
            self.send_response(self.code)
            if self.retry_after:
                self.send_header("Retry-After", self.retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

    do_LIST = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def moody() -> Iterator[tuple[type[_Moody], VaultStore]]:
    kind = type("Moody", (_Moody,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    at = {"VAULT_ADDR": f"http://127.0.0.1:{server.server_port}", "VAULT_TOKEN": "t"}
    store = vault_store(at)
    yield kind, store
    store.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "retry_after", "seconds"),
    [
        *(
            (429, "7", 7.0),
            (429, "", None),
            (503, "0.5", 0.5),
            (500, "", None),
            (502, "1", 1.0),
            (504, "", None),
        ),
        *((412, "", None), (501, "", None), (429, "Wed, 21 Oct 2026 07:28:00 GMT", None), (429, "-1", None)),
        (429, "nan", None),
    ],
)
def test_what_a_retry_may_cure(
    moody: tuple[type[_Moody], VaultStore], code: int, retry_after: str, seconds: float | None
) -> None:
    kind, store = moody
    kind.code, kind.retry_after = code, retry_after
    with pytest.raises(SecretsUnavailable) as told:
        store.get("ONE")
    assert told.value.retry_after == seconds
    assert kind.asked == 1, "nobody but Temporal retries"


def test_a_server_that_is_too_slow(
    moody: tuple[type[_Moody], VaultStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, store = moody
    kind.delay = 0.5
    monkeypatch.setattr(connecting, "SECONDS", (0.2, 0.2))
    with pytest.raises(SecretsUnavailable, match="didn't answer in time"):
        store.get("ONE")
    assert kind.asked == 1


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"{}", b'{"data": null}', b"[]", b'{"data": {"data": 3}}', b""]
)
def test_something_else_answers(moody: tuple[type[_Moody], VaultStore], body: bytes) -> None:
    kind, store = moody
    kind.body = body
    for ask in (lambda: store.get("ONE"), store.list, store.issued, store.check):
        with pytest.raises(SecretsRefused, match="is it a Vault or OpenBao"):
            ask()


def test_no_certificate_we_trust(vault: dict[str, str]) -> None:
    port = vault["VAULT_ADDR"].rpartition(":")[2]
    store = vault_store({"VAULT_ADDR": f"https://127.0.0.1:{port}", "VAULT_TOKEN": "t"})
    with pytest.raises((SecretsRefused, SecretsUnavailable)):
        store.get("ONE")
    store.close()


# Not for us


def test_a_wrong_token_of_our_own(vault: dict[str, str]) -> None:
    store = vault_store(vault | {"VAULT_TOKEN": "marker-wrong"})
    for ask in (store.list, store.check, lambda: store.get("ONE"), lambda: store.issue(grant("ONE"))):
        with pytest.raises(SecretsRefused, match="the token login is wrong or has ended") as told:
            ask()
        assert "marker" not in str(told.value)
        assert told.value.__cause__ is None
    store.close()


def test_our_own_token_expires(vault: dict[str, str]) -> None:
    short = admin(vault).auth.token.create(ttl="1s", policies=["root"])["auth"]["client_token"]
    store = vault_store(vault | {"VAULT_TOKEN": short})
    store.set("ONE", "1")
    time.sleep(1.2)
    with pytest.raises(SecretsRefused, match="has ended"):
        store.get("ONE")
    store.close()


def test_no_such_mount_or_not_of_version_2(vault: dict[str, str]) -> None:
    own = f"v1-{uuid4().hex[:8]}"
    admin(vault).sys.enable_secrets_engine("kv", path=own, options={"version": "1"})
    for mount, says in ((own, "no KV engine of version 2"), ("nowhere", "no KV engine")):
        store = VaultStore(
            Server.of_environment(vault),
            TokenLogin(environment=vault),
            mount=mount,
            path="genesis",
            realm="x",
        )
        with pytest.raises(SecretsRefused, match=says) as told:
            store.check()
        assert "GENESIS_VAULT_MOUNT" in str(told.value)
        store.close()
    admin(vault).sys.disable_secrets_engine(own)


def test_what_others_wrote(vault: dict[str, str]) -> None:
    store = vault_store(vault)
    path = store._path
    kv = admin(vault).secrets.kv.v2
    kv.create_or_update_secret(path=f"{path}/OTHER_FIELD", secret={"key": "marker"}, mount_point="secret")
    kv.create_or_update_secret(path=f"{path}/a folder/x", secret={"value": "1"}, mount_point="secret")
    kv.create_or_update_secret(path=f"{path}/GONE", secret={"value": "1"}, mount_point="secret")
    kv.delete_latest_version_of_secret(path=f"{path}/GONE", mount_point="secret")
    assert [info.name for info in store.list()] == ["OTHER_FIELD"]
    with pytest.raises(SecretsCorrupt, match="field 'value'") as told:
        store.get("OTHER_FIELD")
    assert "marker" not in str(told.value)
    with pytest.raises(SecretMissing):
        store.get("GONE")
    assert store.set("GONE", "again").version == 2
    store.close()


def test_deployments_on_one_server_keep_apart(vault: dict[str, str]) -> None:
    ours, theirs = vault_store(vault), vault_store(vault)
    token = theirs.issue(grant("ONE"))
    assert list(ours.issued()) == []
    assert ours.lookup(token.accessor) is None
    assert theirs.lookup(token.accessor)
    ours.close()
    theirs.close()


def test_our_tokens_can_do_nothing_but_read(vault: dict[str, str]) -> None:
    store = vault_store(vault)
    store.set("ONE", "1")
    token = store.issue(grant("ONE"))
    holder = hvac.Client(url=vault["VAULT_ADDR"], token=token.value.get_secret_value())
    kv, path = holder.secrets.kv.v2, f"{store._path}/ONE"
    for ask in (
        lambda: kv.create_or_update_secret(path=path, secret={"value": "2"}, mount_point="secret"),
        lambda: kv.delete_metadata_and_all_versions(path=path, mount_point="secret"),
        lambda: kv.list_secrets(path=store._path, mount_point="secret"),
        lambda: holder.auth.token.renew_self(),
        lambda: holder.auth.token.create(),
        lambda: holder.auth.token.list_accessors(),
    ):
        with pytest.raises(hvac.exceptions.Forbidden):
            ask()
    store.close()


# Logging in


@pytest.fixture
def narrow(vault: dict[str, str]) -> str:
    """The policy and the token role that docs/secrets.md gives, set up; the policy's name."""
    text = (ROOT / "docs" / "secrets.md").read_text()
    block = re.search(r"```hcl\n(.*?)```", text, re.DOTALL)
    role = re.search(r"bao write auth/token/roles/genesis (.*)", text)
    assert block
    assert role
    client = admin(vault)
    client.sys.create_or_update_policy(name="genesis", policy=block[1])
    settings = dict(part.split("=") for part in role[1].split())
    client.adapter.post("/v1/auth/token/roles/genesis", json=settings)
    return "genesis"


def logged_in(vault: dict[str, str], login: Login, role: str = "genesis") -> VaultStore:
    realm = uuid4().hex[:12]
    server = Server.of_environment({"VAULT_ADDR": vault["VAULT_ADDR"]})
    return VaultStore(server, login, mount="secret", path="genesis", realm=realm, token_role=role)


def use(store: VaultStore) -> None:
    """All that a worker and the command line do."""
    name = f"N{uuid4().hex[:8]}"
    assert store.set(name, "alpha").version == 1
    assert store.rotate(name, "beta").version == 2
    assert name in [info.name for info in store.list()]
    token = store.issue(grant(name))
    assert store.read(name, token) == "beta"
    with pytest.raises(SecretsRefused, match="may not read"):
        store.read("OTHER", token)
    store.renew(token.accessor, 90)
    assert [info.accessor for info in store.issued()] == [token.accessor]
    assert store.check()
    assert store.revoke(token.accessor) is True
    with pytest.raises(TokenGone):
        store.read(name, token)


def app_role(vault: dict[str, str], policy: str, folder: Path, **more: Any) -> AppRoleLogin:
    client, mount = admin(vault), f"approle-{uuid4().hex[:8]}"
    client.sys.enable_auth_method("approle", path=mount)
    client.auth.approle.create_or_update_approle(
        "genesis", token_policies=[policy], mount_point=mount, **more
    )
    role_id = client.auth.approle.read_role_id("genesis", mount_point=mount)["data"]["role_id"]
    secret_id = client.auth.approle.generate_secret_id("genesis", mount_point=mount)["data"]["secret_id"]
    file = folder / "secret-id"
    file.write_text(secret_id + "\n")
    return AppRoleLogin(role_id, file, mount)


def test_a_token_with_the_documented_policy(vault: dict[str, str], narrow: str) -> None:
    own = admin(vault).auth.token.create(policies=[narrow], ttl="1h")["auth"]["client_token"]
    store = logged_in(vault, TokenLogin(environment={"VAULT_TOKEN": own}))
    use(store)
    store.close()
    assert admin(vault).auth.token.lookup(own), "what we didn't make we don't end"


def test_app_role(vault: dict[str, str], narrow: str, tmp_path: Path) -> None:
    login = app_role(vault, narrow, tmp_path)
    store = logged_in(vault, login)
    use(store)
    token = store.issue(grant("ONE"))
    mine = store._connection._mine
    assert mine
    store.close()
    with pytest.raises(hvac.exceptions.VaultError):
        admin(vault).auth.token.lookup(mine.get_secret_value())
    other = logged_in(vault, login)
    assert admin(vault).auth.token.lookup_accessor(token.accessor), "an experiment's token outlives the login"
    other.close()


def test_a_login_that_ends_is_renewed(vault: dict[str, str], narrow: str, tmp_path: Path) -> None:
    store = logged_in(vault, app_role(vault, narrow, tmp_path, token_ttl="1s", token_max_ttl="1s"))
    store.set("ONE", "1")
    time.sleep(1.2)
    assert store.get("ONE") == "1"
    store.close()


def test_a_refusal_that_is_meant_is_no_reason_to_log_in_again(
    vault: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = logged_in(vault, app_role(vault, "default", tmp_path))
    logins = []
    before = store._connection._log_in
    monkeypatch.setattr(store._connection, "_log_in", lambda: logins.append(1) or before())
    for _ in range(3):
        with pytest.raises(SecretsRefused, match=r"docs/secrets\.md"):
            store.get("ONE")
    assert len(logins) == 1
    store.close()


def test_wrong_credentials(vault: dict[str, str], narrow: str, tmp_path: Path) -> None:
    login = app_role(vault, narrow, tmp_path)
    assert login.file
    right = login.file.read_text()
    login.file.write_text("marker-wrong")
    with pytest.raises(SecretsRefused) as told:
        logged_in(vault, login).get("ONE")
    assert "marker" not in str(told.value)
    login.file.write_text("")
    with pytest.raises(SecretsRefused, match="is empty"):
        logged_in(vault, login).get("ONE")
    login.file.unlink()
    with pytest.raises(SecretsRefused, match="GENESIS_VAULT_CREDENTIAL_FILE"):
        logged_in(vault, login).get("ONE")
    login.file.write_text(right)
    with pytest.raises(SecretMissing):
        logged_in(vault, login).get(f"N{uuid4().hex[:8]}")


def test_a_token_role_that_is_too_loose(vault: dict[str, str]) -> None:
    client, role = admin(vault), f"r{uuid4().hex[:8]}"
    client.adapter.post(
        f"/v1/auth/token/roles/{role}", json={"allowed_policies_glob": "genesis-*", "orphan": False}
    )
    store = logged_in(vault, TokenLogin(environment=vault), role)
    with pytest.raises(SecretsRefused, match="orphan=true"):
        store.issue(grant("ONE"))
    assert list(store.issued()) == [], "the one that was made was ended"
    store.close()


class _Reviewer(BaseHTTPRequestHandler):
    """The part of a Kubernetes API that vaults ask: whose is this service account's token?"""

    accepted: ClassVar[str] = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fine = self.path.endswith("/tokenreviews") and asked["spec"]["token"] == self.accepted
        user = {
            "username": "system:serviceaccount:lab:genesis",
            "uid": "u-1",
            "groups": ["system:serviceaccounts"],
        }
        status = (
            {"authenticated": True, "user": user, "audiences": asked["spec"].get("audiences")}
            if fine
            else {"authenticated": False, "error": "unknown"}
        )
        body = json.dumps(
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}
        ).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _jwt() -> str:
    """Signed as a service account's token is; the reviewer decides on it."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    now = int(time.time())
    claims = {
        "iss": "https://kubernetes.default.svc.cluster.local",
        "sub": "system:serviceaccount:lab:genesis",
        "aud": ["https://kubernetes.default.svc.cluster.local"],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "kubernetes.io": {"namespace": "lab", "serviceaccount": {"name": "genesis", "uid": "u-1"}},
    }
    signed = part({"alg": "RS256", "typ": "JWT", "kid": "test"}) + b"." + part(claims)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _authority() -> str:
    """Some CA's certificate: a server that doesn't run in the cluster wants one named."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_kubernetes(vault: dict[str, str], narrow: str, tmp_path: Path) -> None:
    """A real server, which asks a stand-in for the cluster's API."""
    file = tmp_path / "token"
    file.write_text(_jwt())
    reviewer = type("Reviewer", (_Reviewer,), {"accepted": file.read_text()})
    cluster = ThreadingHTTPServer(("127.0.0.1", 0), reviewer)
    thread = threading.Thread(target=cluster.serve_forever, args=(0.05,))
    thread.start()
    client, mount = admin(vault), f"k8s-{uuid4().hex[:8]}"
    try:
        client.sys.enable_auth_method("kubernetes", path=mount)
        client.auth.kubernetes.configure(
            kubernetes_host=f"http://127.0.0.1:{cluster.server_port}",
            token_reviewer_jwt=_jwt(),
            kubernetes_ca_cert=_authority(),
            disable_local_ca_jwt=True,
            mount_point=mount,
        )
        client.auth.kubernetes.create_role(
            "genesis", ["genesis"], ["lab"], policies=[narrow], mount_point=mount
        )
        store = logged_in(vault, KubernetesLogin("genesis", file, mount))
        use(store)
        store.close()
        file.write_text(_jwt())
        with pytest.raises((SecretsError, SecretsUnavailable)) as told:
            logged_in(vault, KubernetesLogin("genesis", file, mount)).get("ONE")
        assert file.read_text() not in str(told.value)
    finally:
        cluster.shutdown()
        thread.join()
        cluster.server_close()


def test_where_the_server_is() -> None:
    assert Server.of_environment(
        {"VAULT_ADDR": "https://v:8200/", "BAO_NAMESPACE": "a", "VAULT_CACERT": "/ca"}
    ) == Server("https://v:8200", "a", "/ca")
    assert Server.of_environment({"BAO_ADDR": "http://b"}).url == "http://b"
    for wrong in (
        {},
        {"VAULT_ADDR": ""},
        {"VAULT_ADDR": "v:8200"},
        {"VAULT_ADDR": "https://me:marker@v:8200"},
    ):
        with pytest.raises(SecretsRefused, match="VAULT_ADDR") as told:
            Server.of_environment(wrong)
        assert "marker" not in str(told.value)
