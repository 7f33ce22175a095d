"""What every store promises: secrets with versions in those that are written to, tokens in all of them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic_core import to_json

from schemas.secrets import Grant
from services.secrets import (
    SecretMissing,
    SecretsError,
    SecretsRefused,
    SecretStore,
    SecretsUnavailable,
    Token,
    TokenGone,
)
from services.secrets.contract import KEPT, MOST_BYTES


def grant(*names: str, seconds: float = 60, uses: int | None = None, experiment: str = "one") -> Grant:
    return Grant(experiment_id=experiment, host="worker-1", names=list(names), seconds=seconds, uses=uses)


# Secrets


def test_an_empty_store(store: SecretStore) -> None:
    assert list(store.list()) == []
    assert store.check()
    with pytest.raises(SecretMissing, match="there is no secret ONE"):
        store.get("ONE")
    with pytest.raises(SecretMissing):
        store.rotate("ONE", "value")
    assert list(store.list()) == [], "rotating made nothing"


def test_versions(store: SecretStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    first = store.set("ONE", "alpha")
    assert (first.name, first.version, first.kept) == ("ONE", 1, [1])
    assert first.updated
    assert before < first.updated < datetime.now(UTC) + timedelta(seconds=5)
    assert store.rotate("ONE", "beta").version == 2
    assert (store.get("ONE"), store.get("ONE", 1), store.get("ONE", 2)) == ("beta", "alpha", "beta")
    with pytest.raises(SecretMissing, match="no version 3 of secret ONE"):
        store.get("ONE", 3)
    with pytest.raises(SecretsError, match="has this value already"):
        store.rotate("ONE", "beta")
    (told,) = store.list()
    assert (told.name, told.version, told.kept) == ("ONE", 2, [1, 2])
    assert not any(value in repr(told) for value in ("alpha", "beta"))


def test_a_number_of_versions_is_kept(store: SecretStore) -> None:
    for number in range(1, KEPT + 3):
        info = store.set("ONE", f"value {number}")
    assert info.version == KEPT + 2
    assert info.kept == list(range(3, KEPT + 3))
    assert store.get("ONE", 3) == "value 3"
    with pytest.raises(SecretMissing):
        store.get("ONE", 2)


@pytest.mark.parametrize(
    "value",
    [
        "ключ 🔑 \u202e مفتاح",
        " spaces and\nlines\r\n\ttabs ",
        "\x01\x7f",
        '{"json": "\\u0000"}',
        "=" * 3,
        "é" * (MOST_BYTES // 2),
    ],
    ids=["unicode", "white", "control", "json", "base64", "huge"],
)
def test_values_come_back_as_they_were(store: SecretStore, value: str) -> None:
    store.set("ONE", value)
    assert store.get("ONE") == value
    token = store.issue(grant("ONE"))
    assert store.read("ONE", token) == value


@pytest.mark.parametrize("value", ["", "marker\0marker", "marker\ud800", "marker" * MOST_BYTES])
def test_values_that_cannot_be_kept(store: SecretStore, value: str) -> None:
    for write in (store.set, store.rotate):
        with pytest.raises(SecretsError, match="the value of ONE") as refused:
            write("ONE", value)
        assert "marker" not in str(refused.value)
    assert list(store.list()) == []


NO_NAMES = ["", " ", "A B", "A/B", "../A", "A.B", "1A", "_A", "ключ", "A\n", "A\0", "A" * 65, "A" * 100_000]
OF_THE_SYSTEM = ["PATH", "Path", "HOME", "LD_PRELOAD", "PYTHONPATH", "DYLD_INSERT_LIBRARIES"]


@pytest.mark.parametrize("name", [*NO_NAMES, *OF_THE_SYSTEM], ids=lambda name: ascii(name)[:20])
def test_names_that_cannot_be(store: SecretStore, name: str) -> None:
    token = Token("accessor", store.issue(grant("ONE")).value)
    for ask in (
        lambda: store.get(name),
        lambda: store.set(name, "value"),
        lambda: store.rotate(name, "value"),
        lambda: store.read(name, token),
    ):
        with pytest.raises(
            SecretsError, match=r"can't be a secret's name|means something to the system"
        ) as told:
            ask()
        assert len(str(told.value)) < 300
        assert "\n" not in str(told.value)


def test_a_long_name(store: SecretStore) -> None:
    store.set("A" * 64, "value")
    assert store.get("A" * 64) == "value"
    assert store.read("A" * 64, store.issue(grant("A" * 64))) == "value"


def test_names_differ_by_case(store: SecretStore) -> None:
    store.set("key", "small")
    store.set("KEY", "large")
    assert (store.get("key"), store.get("KEY")) == ("small", "large")
    with pytest.raises(SecretsRefused):
        store.read("key", store.issue(grant("KEY")))


def test_writers_at_once(store: SecretStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        own = pool.map(lambda number: store.set(f"OWN{number}", str(number)), range(8))
        shared = pool.map(lambda number: store.set("SHARED", str(number)).version, range(8))
        assert len(list(own)) == 8
        list(shared)
    assert {info.name: info.version for info in store.list()} == {f"OWN{n}": 1 for n in range(8)} | {
        "SHARED": 8
    }
    assert {store.get("SHARED", number) for number in range(1, 9)} == {str(number) for number in range(8)}


# Tokens


def test_a_token_reads_what_it_is_for_and_nothing_else(any_store: SecretStore) -> None:
    token = any_store.issue(grant("ONE", "ABSENT"))
    assert any_store.read("ONE", token) == "1"
    with pytest.raises(SecretsRefused, match="may not read OTHER"):
        any_store.read("OTHER", token)
    with pytest.raises(SecretMissing):
        any_store.read("ABSENT", token)
    assert any_store.read("ONE", token) == "1", "a refusal ends nothing"


def test_a_token_shows_itself_nowhere(any_store: SecretStore) -> None:
    token = any_store.issue(grant("ONE"))
    value = token.value.get_secret_value()
    assert len(value) >= 20
    assert token.accessor not in value
    shown = [repr(token), str(token), to_json(token).decode(), repr(any_store), repr(vars(any_store))]
    shown += [info.model_dump_json() for info in any_store.issued()]
    assert not [text for text in shown if value in text]
    with pytest.raises(TypeError):
        json.dumps(token)


def test_what_is_known_of_a_token(any_store: SecretStore) -> None:
    token = any_store.issue(grant("OTHER", "ONE", "ONE", seconds=100, uses=3))
    info = any_store.lookup(token.accessor)
    assert info
    assert (info.accessor, info.experiment_id, info.host) == (token.accessor, "one", "worker-1")
    assert (info.names, info.uses_left) == (["ONE", "OTHER"], 3)
    assert timedelta(seconds=90) < info.expires - datetime.now(UTC) <= timedelta(seconds=101)
    other = any_store.issue(grant("ONE", experiment="two"))
    assert [one.accessor for one in any_store.issued()] == [token.accessor, other.accessor]
    assert any_store.lookup("nonsense") is None
    assert any_store.lookup("") is None


def test_a_token_is_used_up(any_store: SecretStore) -> None:
    token = any_store.issue(grant("ONE", uses=3))
    assert any_store.read("ONE", token) == "1"
    with pytest.raises(SecretsRefused, match="may not read OTHER"):
        any_store.read("OTHER", token)
    left = any_store.lookup(token.accessor)
    assert left
    assert left.uses_left == 1
    assert any_store.read("ONE", token) == "1"
    with pytest.raises(TokenGone, match="used up"):
        any_store.read("ONE", token)
    assert any_store.lookup(token.accessor) is None
    assert list(any_store.issued()) == []


def test_uses_are_counted_however_many_read_at_once(any_store: SecretStore) -> None:
    token = any_store.issue(grant("ONE", uses=5))

    def read(_: int) -> bool:
        deadline = time.monotonic() + 20
        while True:
            try:
                return any_store.read("ONE", token) == "1"
            except TokenGone:
                return False
            except SecretsUnavailable:  # OpenBao answers 500 while it removes a token that is used up
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(read, range(12))) == 5


def test_a_token_expires(any_store: SecretStore) -> None:
    token = any_store.issue(grant("ONE", seconds=1))
    lasting = any_store.issue(grant("ONE", seconds=60))
    time.sleep(1.3)
    with pytest.raises(TokenGone, match="has expired"):
        any_store.read("ONE", token)
    with pytest.raises(TokenGone):
        any_store.renew(token.accessor, 60)
    assert any_store.lookup(token.accessor) is None
    assert any_store.revoke(token.accessor) is False
    assert [info.accessor for info in any_store.issued()] == [lasting.accessor]


def test_a_token_is_renewed(any_store: SecretStore) -> None:
    token = any_store.issue(grant("ONE", seconds=2))
    info = any_store.renew(token.accessor, 90)
    assert timedelta(seconds=80) < info.expires - datetime.now(UTC) <= timedelta(seconds=91)
    time.sleep(2.1)
    assert any_store.read("ONE", token) == "1"


def test_a_token_is_revoked_and_again(any_store: SecretStore) -> None:
    token = any_store.issue(grant("ONE"))
    other = any_store.issue(grant("ONE"))
    assert any_store.revoke(token.accessor) is True
    assert any_store.revoke(token.accessor) is False
    assert any_store.revoke("nonsense") is False
    with pytest.raises(TokenGone, match="was revoked"):
        any_store.read("ONE", token)
    with pytest.raises(TokenGone):
        any_store.renew(token.accessor, 60)
    assert any_store.read("ONE", other) == "1"


def test_a_forged_token(any_store: SecretStore) -> None:
    token, other = any_store.issue(grant("ONE")), any_store.issue(grant("OTHER"))
    with pytest.raises(TokenGone):
        any_store.read("ONE", Token("nonsense", type(token.value)("forged")))
    with pytest.raises(SecretsError):  # right accessor, wrong token: nothing is read
        any_store.read("ONE", Token(token.accessor, type(token.value)("forged")))
    with pytest.raises(SecretsError):
        any_store.read("ONE", Token(token.accessor, other.value))


def test_a_token_sees_what_is_rotated(store: SecretStore) -> None:
    store.set("ONE", "alpha")
    token = store.issue(grant("ONE"))
    assert store.read("ONE", token) == "alpha"
    store.rotate("ONE", "beta")
    assert store.read("ONE", token) == "beta"
