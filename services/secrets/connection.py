"""Calls to Vault and OpenBao: logged in where that is needed, each made once, their errors in our words."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import hvac  # type: ignore[import-untyped]
import requests
from hvac import exceptions as wrong
from pydantic import SecretStr
from requests.adapters import HTTPAdapter

from services.secrets.contract import SecretsError, SecretsRefused, SecretsUnavailable
from services.secrets.login import Login, Server

T = TypeVar("T")

SECONDS = (5.0, 15.0)
"""To connect, and to wait for an answer."""


class Invalid(SecretsRefused):
    """HTTP 400: among others for an accessor that isn't one."""


class NothingThere(SecretsRefused):
    """HTTP 404. With a message there is no such engine; without, nothing lies there."""


class Connection:
    """To one server, with one login. Any number of threads may use it."""

    def __init__(self, server: Server, login: Login) -> None:
        self._server = server
        self._login = login
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))
        self._session.hooks["response"].append(self._look_at)
        self._session.verify = server.verify
        self._mine: SecretStr | None = None

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def method(self) -> str:
        """How we log in, in words."""
        return self._login.method

    def own(self, call: Callable[[Any], T]) -> T:
        """A call with our own credentials. Where our login has ended we log in again, once."""
        mine = self._mine or self._log_in()
        try:
            return self.ask(call, token=mine)
        except (Invalid, NothingThere):
            raise
        except SecretsRefused:
            if self._counts(mine):
                raise
        return self.ask(call, token=self._log_in())

    def _counts(self, mine: SecretStr) -> bool:
        """Whether our login holds, so that a refusal was meant."""
        try:
            self.ask(lambda client: client.auth.token.lookup_self(), token=mine)
        except SecretsRefused:
            return False
        return True

    def _log_in(self) -> SecretStr:
        self._mine = self.ask(self._login.token)
        return self._mine

    def ask(self, call: Callable[[Any], T], *, token: SecretStr | None = None) -> T:
        """One call, without a token as anyone may make it. Its errors are in our words, and not chained: the client's
        carry the request, token and all."""
        client = hvac.Client(
            url=self._server.url,
            token=token.get_secret_value() if token else "",
            namespace=self._server.namespace or None,
            session=self._session,
            timeout=SECONDS,
        )
        try:
            return call(client)
        except requests.Timeout:
            told: Exception = SecretsUnavailable(
                f"{self._server.url} didn't answer in time; is it overloaded?"
            )
        except requests.exceptions.SSLError:
            told = SecretsRefused(
                f"{self._server.url} shows a certificate that isn't trusted here; name its CA in VAULT_CACERT"
            )
        except requests.ConnectionError:
            told = SecretsUnavailable(f"{self._server.url} doesn't answer; is it up, and VAULT_ADDR right?")
        except requests.RequestException as error:
            told = SecretsRefused(
                f"{self._server.url} can't be asked ({type(error).__name__}); is VAULT_ADDR right?"
            )
        except (wrong.Forbidden, wrong.Unauthorized):
            told = SecretsRefused(
                f"{self._server.url} refuses us: the {self._login.method} login is wrong or has ended, or its policy "
                "is too narrow (docs/secrets.md has one that does)"
            )
        except wrong.InvalidPath as error:
            told = NothingThere(f"{_brief(error)}; is GENESIS_VAULT_MOUNT right?" if error.errors else "")
        except wrong.InvalidRequest as error:
            told = Invalid(f"{self._server.url} can't do that: {_brief(error)}")
        except wrong.VaultError as error:
            told = SecretsRefused(f"{self._server.url} can't do that: {_brief(error)}")
        raise told

    def _look_at(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Answers that say: not now. Seen here, where the header with the time to wait still is."""
        code = response.status_code
        if response.url.partition("?")[0].endswith("/sys/health") or (code not in (412, 429) and code < 500):
            return
        said = {
            429: "limits the rate of requests",
            501: "is not initialized; run its operator init",
            503: "is sealed or in standby; unseal it" if "sealed" in response.text else "is in maintenance",
        }.get(code, f"fails just now (HTTP {code})")
        raise SecretsUnavailable(f"{self._server.url} {said}", _seconds(response.headers.get("Retry-After")))

    def part(self, answer: Any, *keys: str) -> Any:
        """What an answer holds there. SecretsRefused where it isn't what such a server answers."""
        for key in keys:
            answer = answer.get(key) if isinstance(answer, dict) else None
        if answer is None or (keys[-1] == "data" and not isinstance(answer, dict)):
            raise SecretsRefused(
                f"{self._server.url} answers something else than a vault would; is it a Vault or OpenBao, "
                "and VAULT_ADDR right?"
            )
        return answer

    def close(self) -> None:
        """Ends our login, where we logged in."""
        mine, self._mine = self._mine, None
        if mine is not None and self._login.ends_with_us:
            with suppress(SecretsError, SecretsUnavailable):  # then it ends by its time, and nobody has it
                self.ask(lambda client: client.auth.token.revoke_self(), token=mine)
        self._session.close()


def as_json(answer: Any) -> Any:
    """What an answer holds: the client leaves that of others than 200 undecoded, and what is no JSON."""
    if isinstance(answer, requests.Response):
        try:
            return answer.json()
        except ValueError:
            return None
    return answer


def _brief(error: Any) -> str:
    return " ".join(", ".join(error.errors or []).split())[:300] or type(error).__name__


def _seconds(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:  # it may be a date
        return None
    return found if 0 <= found <= 3600 else None
