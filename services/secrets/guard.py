"""The guard: reads secrets on behalf of an experiment, by a token of its own that it holds while the experiment runs.

The token stays in this process. Its accessor is on record as a lease (kind `token`); before there is one, the lease is
named after the experiment and this worker, so that a token issued by a worker that was killed in between is looked for.
A worker that doesn't hold the token has another issued, which ends the earlier ones: at most one lives.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from schemas.records import LeaseRow
from schemas.secrets import Grant, Issued, IssueInput, TokenInfo, TokensGone, TokensRef
from services.records import Records
from services.secrets.contract import (
    SecretMissing,
    SecretsError,
    SecretsRefused,
    SecretStore,
    SecretsUnavailable,
    Token,
    TokenGone,
)

TOKEN = "token"  # noqa: S105 - the lease's kind
KEEP_EVERY = 30.0
"""Seconds between looks at what is to be renewed."""
_TRIES = 4
"""Tokens issued for one read before another worker's doing the same is called trouble."""
_BEING_ISSUED = "@"
"""Stands in the names of leases that are older than their token: `<experiment>@<worker>`."""

_log = logging.getLogger(__name__)


@dataclass
class _Held:
    """An experiment's token, and what is needed to have another."""

    grant: Grant
    until: datetime
    """How long one may live."""
    token: Token
    info: TokenInfo


class Guard:
    """`sandbox` names the secrets that definitions may ask for; `keys_of` tells the names of an engine's keys.

    As a context, it renews what it holds.
    """

    permanent_errors: tuple[type[Exception], ...] = (SecretsError,)
    passing_errors: tuple[type[Exception], ...] = (SecretsUnavailable,)

    def __init__(
        self,
        store: SecretStore,
        records: Records,
        host: str,
        *,
        sandbox: Sequence[str] = (),
        keys_of: Callable[[str], Sequence[str]] = lambda engine: (),
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._store = store
        self._records = records
        self._host = host
        self._sandbox = frozenset(sandbox)
        self._keys_of = keys_of
        self._environment = environment
        self._held: dict[str, _Held] = {}
        self._locks = [threading.RLock() for _ in range(64)]
        self._acting: ContextVar[IssueInput | None] = ContextVar("acting", default=None)
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep_on, name="tokens", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Tokens stay: their experiments go on elsewhere, and have them ended there."""
        self._ended.set()
        self._keeper.join(5)
        self._store.close()

    # -- tokens

    def issue(self, order: IssueInput) -> Issued:
        """The experiment's token: the one held here, living as long as now asked for, or a new one. Idempotent.

        Raises SecretsRefused where the definition asks for what the settings don't allow.
        """
        if refused := sorted(set(order.sandbox) - self._sandbox):
            raise SecretsRefused(
                f"the definition asks for {', '.join(refused)} in its sandbox, which isn't allowed here; take it out "
                "of the definition's secrets, or allow it in GENESIS_SANDBOX_SECRETS"
            )
        names = sorted(self._outside(order).union(order.sandbox))
        if not names:
            return Issued(accessor=None)
        until = datetime.now(UTC) + timedelta(seconds=order.lease_seconds)
        grant = Grant(
            experiment_id=order.experiment_id,
            host=self._host,
            names=names,
            seconds=order.lease_seconds,
            uses=order.uses,
        )
        with self._lock(order.experiment_id):
            held = self._renewed(order.experiment_id, grant, until) or self._issue(grant, until)
        return Issued(accessor=held.token.accessor, expires=held.info.expires)

    def _outside(self, order: IssueInput) -> set[str]:
        """What is read for the experiment's own steps."""
        return {*order.names, *(name for engine in order.engines for name in self._keys_of(engine))}

    def _renewed(self, experiment_id: str, grant: Grant, until: datetime) -> _Held | None:
        held = self._held.get(experiment_id)
        if held is None or held.grant.names != grant.names or held.grant.uses != grant.uses:
            return None
        accessor = held.token.accessor
        self._records.open_lease(TOKEN, accessor, experiment_id, self._host, until)
        try:
            info = self._store.renew(accessor, grant.seconds)
        except TokenGone:
            return None
        self._held[experiment_id] = _Held(grant, until, held.token, info)
        return self._held[experiment_id]

    def _issue(self, grant: Grant, until: datetime) -> _Held:
        """Lease first, then the token; those of before end."""
        experiment_id = grant.experiment_id
        earlier = self._leases(experiment_id)
        first = f"{experiment_id}{_BEING_ISSUED}{self._host}"
        self._records.open_lease(TOKEN, first, experiment_id, self._host, until)
        token = self._store.issue(grant)
        self._records.open_lease(TOKEN, token.accessor, experiment_id, self._host, until)
        info = self._store.lookup(token.accessor)
        if info is None:
            raise SecretsUnavailable(f"the token of {experiment_id} was ended as soon as it was issued")
        self._held[experiment_id] = held = _Held(grant, until, token, info)
        try:
            for lease in earlier:
                self._end(lease.name, but=token.accessor)
        except SecretsRefused as refused:  # our policy is too narrow to look for it: it ends by its time
            _log.warning("an earlier token of %s may live on until it expires: %s", experiment_id, refused)
        else:
            self._records.release_lease(TOKEN, first)
        return held

    def revoke(self, ref: TokensRef) -> TokensGone:
        """End every token of the experiment, whichever worker issued it. Idempotent.

        What the store refuses is told, not raised, and its lease stays for the sweep. Raises SecretsUnavailable.
        """
        revoked, problem = 0, ""
        with self._lock(ref.experiment_id):
            self._held.pop(ref.experiment_id, None)
            for lease in self._leases(ref.experiment_id):
                try:
                    revoked += self._end(lease.name)
                    self._records.release_lease(TOKEN, lease.name)
                except SecretsError as error:
                    problem = str(error)
        return TokensGone(revoked=revoked, problem=problem)

    def remove(self, name: str) -> bool:
        """The sweep's way to end a token, by its lease's name. Idempotent."""
        for experiment_id, held in list(self._held.items()):
            if name == held.token.accessor or name.rpartition(_BEING_ISSUED)[0] == experiment_id:
                self._held.pop(experiment_id, None)
        return self._end(name) > 0

    def holdings(self) -> Sequence[TokenInfo]:
        """Every living token that this deployment issued, leased or not; the store is asked."""
        return self._store.issued()

    def _end(self, name: str, but: str = "") -> int:
        """Revoke what a lease stands for; how many tokens that were."""
        experiment_id, being_issued, _ = name.rpartition(_BEING_ISSUED)
        if not being_issued:
            ended = self._store.revoke(name)
            if but:
                self._records.release_lease(TOKEN, name)
            return int(ended)
        found = [info for info in self._store.issued() if info.experiment_id == experiment_id]
        return sum(self._store.revoke(info.accessor) for info in found if info.accessor != but)

    def _leases(self, experiment_id: str) -> list[LeaseRow]:
        return self._records.leases(kind=TOKEN, experiment=experiment_id)

    def _lock(self, experiment_id: str) -> threading.RLock:
        """One at a time for one experiment; a slow store holds up few others."""
        return self._locks[hash(experiment_id) % len(self._locks)]

    # -- reading

    @contextmanager
    def acting(self, order: IssueInput | None) -> Iterator[None]:
        """Within it `key` and `sandbox_environment` read by the right of this experiment, in this thread and the tasks
        of its event loop. A token is issued where this worker holds none. None gives no right."""
        if order is not None and order.experiment_id not in self._held:
            self.issue(order)
        before = self._acting.set(order)
        try:
            yield
        finally:
            self._acting.reset(before)

    def secret(self, experiment_id: str, name: str) -> str:
        """A value, read by the experiment's token; another is issued where that has ended before its time.

        Raises SecretMissing, SecretsRefused where the token isn't for this name, and TokenGone where the experiment
        holds none: it was revoked, or never issued.
        """
        for _ in range(_TRIES):
            with self._lock(experiment_id):
                held = self._held.get(experiment_id) or self._taken_over(experiment_id)
            try:
                return self._store.read(name, held.token)
            except TokenGone:
                with self._lock(experiment_id):
                    if self._held.get(experiment_id) is held:
                        self._again(held)
        raise SecretsUnavailable(f"another worker takes over the token of {experiment_id} again and again")

    def key(self, name: str) -> str | None:
        """A model's key, for the experiment that is `acting`; where its token isn't for it, or the store hasn't got it,
        the environment's. None where nobody has one."""
        order = self._acting.get()
        if order is not None and name in self._outside(order):
            try:
                return self.secret(order.experiment_id, name)
            except SecretMissing:
                pass
        return self._environment.get(name) or None

    def sandbox_environment(self, names: Sequence[str]) -> dict[str, str]:
        """What a trial's environment is to hold, for the experiment that is `acting`: what its definition asks for.

        SecretsRefused for a name that the settings don't allow.
        """
        order = self._acting.get()
        if not names:
            return {}
        if order is None or not self._sandbox.intersection(order.sandbox).issuperset(names):
            raise SecretsRefused(f"{', '.join(names)}: not for this sandbox; see GENESIS_SANDBOX_SECRETS")
        return {name: self.secret(order.experiment_id, name) for name in names}

    def _taken_over(self, experiment_id: str) -> _Held:
        """A token in place of one that another worker, or an earlier life of this one, issued and alone can use."""
        for lease in reversed(self._leases(experiment_id)):
            info = None if _BEING_ISSUED in lease.name else self._store.lookup(lease.name)
            if info is not None:
                return self._issue(_of(info, lease.expires, self._host), lease.expires)
        raise TokenGone(f"experiment {experiment_id} holds no token that lives; have one issued first")

    def _again(self, held: _Held) -> None:
        """Another in place of one that has ended, unless it was meant to: then its lease is closed."""
        experiment_id = held.grant.experiment_id
        if held.until <= datetime.now(UTC) or not self._leases(experiment_id):
            self._held.pop(experiment_id, None)
            raise TokenGone(f"the token of {experiment_id} was revoked, or its time is over")
        seconds = (held.until - datetime.now(UTC)).total_seconds()
        self._issue(held.grant.model_copy(update={"seconds": seconds, "host": self._host}), held.until)

    # -- renewing

    def keep(self) -> None:
        """Renew what the store lets live shorter than its experiment may need it, once half of that is over."""
        now = datetime.now(UTC)
        for experiment_id, held in list(self._held.items()):
            left, whole = held.info.expires - now, held.info.expires - held.info.issued
            if held.until <= now:
                self._held.pop(experiment_id, None)
            elif held.until - held.info.expires > timedelta(seconds=2) and left < whole / 2:
                self._prolong(experiment_id, held, (held.until - now).total_seconds())

    def _prolong(self, experiment_id: str, held: _Held, seconds: float) -> None:
        try:
            info = self._store.renew(held.token.accessor, seconds)
        except TokenGone:
            return  # revoked elsewhere; or the next read has another issued
        except (SecretsError, SecretsUnavailable) as error:
            _log.warning("the token of %s is not renewed: %s", experiment_id, error)
            return
        with self._lock(experiment_id):
            if self._held.get(experiment_id) is held:
                self._held[experiment_id] = _Held(held.grant, held.until, held.token, info)

    def _keep_on(self) -> None:
        while not self._ended.wait(KEEP_EVERY):
            self.keep()


def _of(info: TokenInfo, until: datetime, host: str) -> Grant:
    seconds = (until - datetime.now(UTC)).total_seconds()
    if seconds <= 0:
        raise TokenGone(f"the time of {info.experiment_id}'s token is over")
    return Grant(
        experiment_id=info.experiment_id, host=host, names=info.names, seconds=seconds, uses=info.uses_left
    )
