"""HashiCorp Vault and OpenBao: secrets in a KV v2 engine, tokens by the server's own token auth.

A secret NAME lies at `<mount>/<path>/NAME`, field `value`. A token's policy allows reading just its names; it is named
after what it says (`genesis-<hash>`), so that the same needs share one, and none has to be removed. Tokens are orphans:
they outlive the login of who issued them, and are listed and revoked by accessor and the metadata they carry.
"""

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hvac import exceptions as wrong  # type: ignore[import-untyped]
from pydantic import SecretStr

from schemas.secrets import Grant, SecretInfo, TokenInfo
from services.secrets.connection import Connection, Invalid, NothingThere, as_json
from services.secrets.contract import (
    SecretMissing,
    SecretsCorrupt,
    SecretsError,
    SecretsRefused,
    Token,
    checked_name,
    checked_value,
    forbidden,
    gone,
    missing,
    same_value,
)
from services.secrets.login import Login, Server

FIELD = "value"
_LABEL = "genesis_"
"""What begins the metadata of our tokens: realm, experiment, host, names."""


class VaultStore:
    """Secrets below `path` of the KV v2 engine at `mount`.

    `realm` tells this deployment's tokens from those of others on the same server. With `token_role`, tokens are issued
    by that token role, which must allow policies `genesis-*` and make orphans; else by `create-orphan` (needs sudo).
    """

    name = "vault"

    def __init__(
        self, server: Server, login: Login, *, mount: str, path: str, realm: str, token_role: str = ""
    ) -> None:
        self._connection = Connection(server, login)
        self._own = self._connection.own
        self._part = self._connection.part
        self._mount, self._path, self._realm, self._token_role = mount, path.strip("/"), realm, token_role

    # -- secrets

    def check(self) -> Sequence[str]:
        health = self._connection.ask(lambda client: as_json(client.sys.read_health_status(method="GET")))
        release = self._part(health, "version")
        mine = self._part(self._own(lambda client: client.auth.token.lookup_self()), "data")
        at = f"/v1/sys/internal/ui/mounts/{self._mount}"
        try:
            engine = self._part(self._own(lambda client: client.adapter.get(at)), "data")
        except SecretsRefused:  # said also of what isn't there
            engine = {}
        if engine.get("type") != "kv" or (engine.get("options") or {}).get("version") != "2":
            raise SecretsRefused(
                f"{self._connection.url} shows us no KV engine of version 2 at '{self._mount}'; name one in "
                "GENESIS_VAULT_MOUNT"
            )
        ends = f"for {mine['ttl']} s" if mine.get("ttl") else "without an end"
        return [
            f"{self._connection.url} answers, version {release}",
            f"logged in by {self._connection.method} {ends}, policies {', '.join(mine.get('policies') or [])}",
            f"{self._mount}/{self._path} holds {len(self._names())}",
        ]

    def get(self, name: str, version: int | None = None) -> str:
        return self._own(lambda client: self._read(client, name, version))

    def set(self, name: str, value: str) -> SecretInfo:
        checked_value(checked_name(name), value)
        return self._put(name, value)

    def rotate(self, name: str, value: str) -> SecretInfo:
        checked_value(checked_name(name), value)
        if self.get(name) == value:
            raise same_value(name)
        return self._put(name, value)

    def list(self) -> Sequence[SecretInfo]:
        found = [self._info(name) for name in self._names()]
        return [info for info in found if info is not None]

    # -- tokens

    def issue(self, grant: Grant) -> Token:
        names = sorted(set(grant.names))
        asked: dict[str, Any] = {
            "policies": [self._policy(names)],
            "ttl": f"{math.ceil(grant.seconds)}s",
            "num_uses": grant.uses or 0,
            "no_default_policy": True,
            "renewable": True,
            "display_name": "genesis",
            "meta": {
                f"{_LABEL}realm": self._realm,
                f"{_LABEL}experiment": grant.experiment_id,
                f"{_LABEL}host": grant.host,
                f"{_LABEL}names": ",".join(names),
            },
        }

        def create(client: Any) -> Any:
            if self._token_role:
                return client.auth.token.create(role_name=self._token_role, **asked)
            return client.auth.token.create_orphan(**asked)

        auth = self._part(self._own(create), "auth")
        token = Token(self._part(auth, "accessor"), SecretStr(self._part(auth, "client_token")))
        if not auth.get("orphan", True):
            self.revoke(token.accessor)
            raise SecretsRefused(
                f"the token role '{self._token_role}' makes tokens that end with our login; set orphan=true on it"
            )
        return token

    def read(self, name: str, token: Token) -> str:
        checked_name(name)
        try:
            return self._connection.ask(lambda client: self._read(client, name, None), token=token.value)
        except SecretsRefused:
            # The server says the same of a token that is gone, or used up and about to go, as of one that may not.
            info = self.lookup(token.accessor)
            if info is None or name in info.names:
                raise gone(token.accessor) from None
            raise forbidden(name, token.accessor) from None

    def renew(self, accessor: str, seconds: float) -> TokenInfo:
        order = {"accessor": accessor, "increment": f"{math.ceil(seconds)}s"}
        try:
            self._own(lambda client: client.adapter.post("/v1/auth/token/renew-accessor", json=order))
        except Invalid:
            raise gone(accessor) from None
        info = self.lookup(accessor)
        if info is None:
            raise gone(accessor)
        return info

    def revoke(self, accessor: str) -> bool:
        try:
            answer = self._own(lambda client: client.auth.token.revoke_accessor(accessor))
        except Invalid:
            return False
        return not (
            isinstance(answer, dict) and answer.get("warnings")
        )  # "No token found with this accessor"

    def lookup(self, accessor: str) -> TokenInfo | None:
        try:
            data = self._part(self._own(lambda client: client.auth.token.lookup_accessor(accessor)), "data")
        except Invalid:
            return None
        meta = data.get("meta") or {}
        if meta.get(f"{_LABEL}realm") != self._realm:
            return None
        issued = datetime.fromtimestamp(data["creation_time"], UTC)
        return TokenInfo(
            accessor=accessor,
            experiment_id=meta.get(f"{_LABEL}experiment", ""),
            host=meta.get(f"{_LABEL}host", ""),
            names=[name for name in meta.get(f"{_LABEL}names", "").split(",") if name],
            issued=issued,
            expires=datetime.now(UTC) + timedelta(seconds=data["ttl"]),
            uses_left=data["num_uses"] or None,
        )

    def issued(self) -> Sequence[TokenInfo]:
        """Looks at every token of the server: its API has no other way. Needs sudo on auth/token/accessors."""
        accessors = self._part(self._own(lambda client: client.auth.token.list_accessors()), "data", "keys")
        found = [info for accessor in accessors if (info := self.lookup(accessor)) is not None]
        return sorted(found, key=lambda info: (info.experiment_id, info.issued))

    def close(self) -> None:
        self._connection.close()

    # -- requests

    def _read(self, client: Any, name: str, version: int | None) -> str:
        where = f"{self._path}/{checked_name(name)}"
        try:
            answer = client.secrets.kv.v2.read_secret_version(
                path=where, version=version, mount_point=self._mount, raise_on_deleted_version=True
            )
        except wrong.InvalidPath as error:
            if error.errors:
                raise
            raise missing(name, version, self.name) from None
        value = self._part(answer, "data", "data").get(FIELD)
        if not isinstance(value, str):
            raise SecretsCorrupt(
                f"{self._mount}/{where} has no text in its field '{FIELD}'; write it with: secrets set {name}"
            )
        return value

    def _put(self, name: str, value: str) -> SecretInfo:
        self._own(
            lambda client: client.secrets.kv.v2.create_or_update_secret(
                path=f"{self._path}/{name}", secret={FIELD: value}, mount_point=self._mount
            )
        )
        info = self._info(name)
        if info is None:
            raise SecretMissing(
                f"{name} was written and removed at once by another; look at who else writes there"
            )
        return info

    def _names(self) -> Sequence[str]:
        """Names below our path; what else lies there is no secret of ours."""
        try:
            answer = self._own(
                lambda client: client.secrets.kv.v2.list_secrets(path=self._path, mount_point=self._mount)
            )
        except NothingThere as nothing:
            if str(nothing):
                raise
            return []
        return sorted(key for key in self._part(answer, "data", "keys") if _is_name(key))

    def _info(self, name: str) -> SecretInfo | None:
        try:
            answer = self._own(
                lambda client: client.secrets.kv.v2.read_secret_metadata(
                    path=f"{self._path}/{name}", mount_point=self._mount
                )
            )
        except NothingThere:
            return None
        kept = {
            int(number): one["created_time"]
            for number, one in self._part(answer, "data", "versions").items()
            if not one["destroyed"] and not one["deletion_time"]
        }
        if not kept:
            return None
        return SecretInfo(name=name, version=max(kept), kept=sorted(kept), updated=_moment(kept[max(kept)]))

    def _policy(self, names: Sequence[str]) -> str:
        """The policy that allows reading these names and nothing else; written, as it may have been changed."""
        rules = "\n".join(
            f'path "{self._mount}/data/{self._path}/{name}" {{ capabilities = ["read"] }}' for name in names
        )
        policy = f"genesis-{hashlib.sha256(rules.encode()).hexdigest()[:20]}"
        self._own(lambda client: client.sys.create_or_update_policy(name=policy, policy=rules))
        return policy


def _is_name(key: str) -> bool:
    try:
        return bool(checked_name(key))
    except SecretsError:
        return False


def _moment(text: str) -> datetime:
    """As the server writes times: nanoseconds, more than Python reads."""
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}+00:00")
