"""The encrypted file: who may read it, what is noticed, and what a kill in the middle of a write leaves."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from schemas.secrets import Grant
from services.secrets import SecretsCorrupt, SecretsRefused, SecretsUnavailable
from services.secrets import locked as locking
from services.secrets.env import EnvStore
from services.secrets.file import FileStore
from tests.cli.door import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
def store(folder: Path) -> FileStore:
    made = FileStore(folder)
    made.set("ONE", "marker-1")
    return made


def test_looking_makes_nothing(folder: Path) -> None:
    store = FileStore(folder)
    assert list(store.list()) == []
    assert list(store.issued()) == []
    assert "to be made on first use" in store.check()[0]
    assert store.revoke("nonsense") is False
    assert not (folder / "store").exists()
    assert not (folder / "key").exists()


def test_only_the_owner_can_read_and_nothing_in_it_can_be_read(store: FileStore, folder: Path) -> None:
    token = store.issue(Grant(experiment_id="one", names=["ONE"], seconds=60))
    assert (folder.stat().st_mode & 0o777) == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == dict.fromkeys(["store", "key", "store.lock", "key.lock"], 0o600)
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    for told in (b"marker-1", b"ONE", token.value.get_secret_value().encode(), token.accessor.encode()):
        assert told not in everything
    assert (
        store.read("ONE", FileStore(folder).issue(Grant(experiment_id="x", names=["ONE"], seconds=9)))
        == "marker-1"
    )


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o666, 0o604])
@pytest.mark.parametrize("name", ["key", "store"])
def test_a_file_that_others_may_touch_is_refused(
    store: FileStore, folder: Path, name: str, mode: int
) -> None:
    (folder / name).chmod(mode)
    for ask in (
        store.list,
        lambda: store.get("ONE"),
        lambda: store.set("ONE", "2"),
        store.check,
        store.issued,
    ):
        with pytest.raises(SecretsRefused, match=f"chmod 600 {folder / name}") as told:
            ask()
        assert f"{mode:04o}" in str(told.value)
    (folder / name).chmod(0o600)
    assert store.get("ONE") == "marker-1"


def test_a_folder_that_others_may_write_in_is_refused(store: FileStore, folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(SecretsRefused, match="chmod 700"):
        store.get("ONE")
    with pytest.raises(SecretsRefused, match="chmod 700"):
        store.set("ONE", "2")


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [_flip, lambda found: found[:-1], lambda found: found[: len(found) // 2], lambda _: b"", lambda _: b"{}"],
    ids=["flipped", "cut", "halved", "empty", "something else"],
)
def test_a_changed_store_is_noticed(store: FileStore, folder: Path, spoil: object) -> None:
    assert callable(spoil)
    file = folder / "store"
    file.write_bytes(spoil(file.read_bytes()))
    before = file.read_bytes()
    for ask in (lambda: store.get("ONE"), lambda: store.set("ONE", "2"), store.issued):
        with pytest.raises(SecretsCorrupt, match="can't be opened with the key"):
            ask()
    assert file.read_bytes() == before, "nothing is written over what may be mended"


def test_another_s_content_under_the_right_key(store: FileStore, folder: Path) -> None:
    sealed = Fernet((folder / "key").read_bytes()).encrypt(b'{"secrets": "marker"}')
    (folder / "store").write_bytes(sealed)
    with pytest.raises(SecretsCorrupt, match="a newer Genesis") as told:
        store.get("ONE")
    assert "marker" not in str(told.value)
    assert told.value.__cause__ is None


def test_another_key(store: FileStore, folder: Path) -> None:
    key = folder / "key"
    right = key.read_bytes()
    key.write_bytes(Fernet.generate_key())
    with pytest.raises(SecretsCorrupt, match="another key"):
        store.get("ONE")
    for nonsense in (b"", b"marker", b"\xff" * 44):
        key.write_bytes(nonsense)
        with pytest.raises(SecretsRefused, match="holds no key") as told:
            store.get("ONE")
        assert "marker" not in str(told.value)
    key.write_bytes(right + b"\n")
    assert store.get("ONE") == "marker-1"


def test_a_lost_key_is_never_made_anew(store: FileStore, folder: Path) -> None:
    (folder / "key").unlink()
    for ask in (lambda: store.get("ONE"), lambda: store.set("ONE", "2"), store.list):
        with pytest.raises(SecretsRefused, match="GENESIS_SECRETS_KEY_FILE"):
            ask()
    assert not (folder / "key").exists()


def test_a_key_elsewhere(tmp_path: Path) -> None:
    key = tmp_path / "elsewhere" / "key"
    FileStore(tmp_path / "a", key).set("ONE", "1")
    FileStore(tmp_path / "b", key).set("ONE", "2")
    assert (FileStore(tmp_path / "a", key).get("ONE"), FileStore(tmp_path / "b", key).get("ONE")) == (
        "1",
        "2",
    )
    assert not (tmp_path / "a" / "key").exists()
    with pytest.raises(SecretsRefused, match="is not a file"):
        FileStore(tmp_path / "a", tmp_path).get("ONE")


def test_a_place_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretsRefused, match="GENESIS_HOME"):
        FileStore(tmp_path / "file" / "secrets").set("ONE", "1")


def test_who_waits_too_long_for_the_lock_is_told(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 0.1)
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store._changing():
            holding.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    try:
        with pytest.raises(SecretsUnavailable, match="another process has held its lock"):
            store.set("ONE", "2")
        assert store.get("ONE") == "marker-1", "who reads doesn't wait"
    finally:
        done.set()
        thread.join()
    assert store.set("ONE", "2").version == 2


WRITER = """
import sys
from pathlib import Path
from services.secrets.file import FileStore
store = FileStore(Path(sys.argv[1]))
for number in range(100_000):
    store.set(sys.argv[2], f"{sys.argv[2]}-{number}" * 500)
    print(number, flush=True)
"""


def test_killed_writers_lose_nothing_that_they_said_was_written(folder: Path) -> None:
    """Two processes write without a pause, each is killed at some moment; three times over."""
    said = {"ONE": 0, "OTHER": 0}
    for pause in range(3):
        writers = {
            name: subprocess.Popen(
                [sys.executable, "-c", WRITER, str(folder), name], cwd=ROOT, stdout=subprocess.PIPE
            )
            for name in said
        }
        for process in writers.values():
            assert process.stdout is not None
            assert process.stdout.readline(), "it began to write"
        time.sleep(0.017 * pause)
        for process in writers.values():
            process.send_signal(signal.SIGKILL)
        for name, process in writers.items():
            out, _ = process.communicate(timeout=30)
            said[name] = 1 + len(out.split())
            found = FileStore(folder).get(name)
            last = int(found.split(name)[1].strip("-"))
            assert found == f"{name}-{last}" * 500, "whole, or not at all"
            assert last + 1 >= said[name], "what was said to be written is there"
    FileStore(folder).set("AFTER", "1")
    assert sorted(path.name for path in folder.iterdir()) == ["key", "key.lock", "store", "store.lock"]


def test_processes_that_begin_at_once_make_one_key(folder: Path) -> None:
    script = WRITER.replace("100_000", "3")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(folder), f"N{n}"], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        for n in range(4)
    ]
    assert [process.wait(60) for process in writers] == [0] * 4
    assert {info.name: info.version for info in FileStore(folder).list()} == {f"N{n}": 3 for n in range(4)}


# The environment


def test_the_environment_offers_only_what_is_meant(folder: Path) -> None:
    environment = {
        "GENESIS_SECRET_MINE": "marker",
        "GENESIS_SECRET_PATH": "no name of a secret",
        "GENESIS_SECRET_EMPTY": "",
        "OPENAI_API_KEY": "usual",
        "AWS_SECRET_ACCESS_KEY": "not ours",
        "GENESIS_SECRET_GOOGLE_API_KEY": "ours first",
        "GOOGLE_API_KEY": "usual",
    }
    store = EnvStore(folder, environment)
    assert [info.name for info in store.list()] == ["GOOGLE_API_KEY", "MINE", "OPENAI_API_KEY"]
    assert (store.get("MINE"), store.get("OPENAI_API_KEY"), store.get("GOOGLE_API_KEY")) == (
        "marker",
        "usual",
        "ours first",
    )
    for write in (store.set, store.rotate):
        with pytest.raises(SecretsRefused, match="GENESIS_SECRET_MINE"):
            write("MINE", "2")
    token = store.issue(Grant(experiment_id="one", names=["MINE"], seconds=60))
    book = (folder / "tokens.json").read_bytes()
    assert token.value.get_secret_value().encode() not in book
    assert b"marker" not in book
    assert (folder / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert EnvStore(folder, environment).read("MINE", token) == "marker", "over a restart too"
    (folder / "tokens.json").write_text("nonsense")
    with pytest.raises(SecretsCorrupt, match="remove it"):
        store.read("MINE", token)
    assert os.environ.get("GENESIS_SECRET_MINE") is None
