"""The keeper: a real process, shared, killed, held up and left alone."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.memory import Recall
from services.memory import Memory, MemoryConfig, MemoryOff, MemoryRefusal, MemoryUnavailable
from services.memory.client import read_lessons
from services.memory.qdrant import lock_holder
from services.settings import Settings
from tests.services.memory.lessons import NONE_COMPARED, NOT_DEFINED, by, lesson, told

ROOT = Path(__file__).parents[3]
LINGER = 0.4


@pytest.fixture
def config(tmp_path: Path) -> MemoryConfig:
    return MemoryConfig(folder=tmp_path / "memory", linger=LINGER)


@pytest.fixture
def memory(config: MemoryConfig) -> Iterator[Memory]:
    with Memory(config, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    """A memory whose keeper has loaded its model."""
    config = MemoryConfig(folder=tmp_path_factory.mktemp("learnt"), linger=LINGER)
    with Memory(config, timeout=60) as made:
        made.learn([told(lesson(worked=1, rules="enter long when: RSI(14) < 30"))])
        yield made


def keepers(folder: Path) -> list[int]:
    """The processes whose working directory it is, by /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (
                    os.readlink(entry / "cwd") == str(folder)
                    and b"keeper" in (entry / "cmdline").read_bytes()
                ):
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended, or isn't ours
    return found


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it didn't come true"
        time.sleep(0.05)


def ask_elsewhere(folder: Path, code: str) -> "subprocess.Popen[str]":
    """Python in another process, with `memory` on the same folder."""
    head = (
        "import sys\nfrom pathlib import Path\nfrom services.memory import Memory, MemoryConfig\n"
        f"memory = Memory(MemoryConfig(folder=Path({str(folder)!r}), linger={LINGER}), timeout=60)\n"
    )
    return subprocess.Popen([sys.executable, "-c", head + code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


# Owners


def test_processes_share_one_memory(learnt: Memory) -> None:
    folder = learnt._config.folder
    with ask_elsewhere(folder, "print([one.id for one in memory.lessons()])") as other:
        assert other.communicate(timeout=60)[0].strip() == f"['{lesson().id}']"
    assert len(keepers(folder)) == 1


def test_many_that_come_first_start_one_keeper(config: MemoryConfig) -> None:
    memories = [Memory(config, timeout=60) for _ in range(6)]
    answers: list[int] = []
    ready = threading.Barrier(len(memories))

    def ask(one: Memory) -> None:
        ready.wait()
        answers.append(one.stats().lessons)

    threads = [threading.Thread(target=ask, args=(one,)) for one in memories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [0] * len(memories)
    assert len(keepers(config.folder)) == 1
    for one in memories:
        one.close()


def test_a_keeper_ends_when_its_clients_are_gone(memory: Memory, config: MemoryConfig) -> None:
    memory.stats()
    (pid,) = keepers(config.folder)
    time.sleep(3 * LINGER)
    assert keepers(config.folder) == [pid], "a client is still there"
    memory.close()
    until(lambda: not keepers(config.folder))
    assert not (config.folder / "keeper.sock").exists()
    assert memory.stats().lessons == 0, "and comes back when it is needed"


def test_a_client_that_was_killed_is_no_reason_to_stay(config: MemoryConfig) -> None:
    with ask_elsewhere(
        config.folder, "memory.stats(); print('asked', flush=True); sys.stdin.read()"
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "asked\n"
        assert keepers(config.folder)
        other.kill()
    until(lambda: not keepers(config.folder))


def test_after_kill_nine_the_next_question_starts_another(memory: Memory, config: MemoryConfig) -> None:
    memory.stats()
    (pid,) = keepers(config.folder)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not keepers(config.folder))
    assert (config.folder / "keeper.sock").exists(), "nobody cleaned up"
    assert memory.stats().lessons == 0
    assert keepers(config.folder) != [pid]


def test_what_was_answered_outlives_kill_nine(learnt: Memory) -> None:
    learnt.learn([told(lesson(NOT_DEFINED))])
    (pid,) = keepers(learnt._config.folder)
    os.kill(pid, signal.SIGKILL)
    assert {one.id for one in learnt.lessons()} == {lesson().id, lesson(NOT_DEFINED).id}
    learnt.forget(lesson(NOT_DEFINED).id)


def test_a_home_that_is_removed_ends_its_keeper(memory: Memory, config: MemoryConfig, tmp_path: Path) -> None:
    memory.stats()
    assert keepers(config.folder)
    config.folder.rename(tmp_path / "elsewhere")
    os.unlink(tmp_path / "elsewhere" / "keeper.sock")
    until(lambda: not keepers(tmp_path / "elsewhere"))


def test_other_settings_are_told_who_holds_the_memory(memory: Memory, config: MemoryConfig) -> None:
    memory.stats()
    (pid,) = keepers(config.folder)
    for change in ({"model": "another"}, {"url": "http://127.0.0.1:9"}):
        with (
            Memory(config.model_copy(update=change), timeout=20) as other,
            pytest.raises(MemoryUnavailable, match=rf"held by process {pid}.*same settings"),
        ):
            other.stats()


def test_storage_that_something_else_holds_is_told_so(memory: Memory, config: MemoryConfig) -> None:
    folder = config.folder / "qdrant"
    folder.mkdir(parents=True)
    (folder / ".lock").write_text("x")
    with (folder / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert lock_holder(folder / ".lock") == f"process {os.getpid()}"
        with pytest.raises(MemoryUnavailable, match=f"held by process {os.getpid()}"):
            memory.stats()
    with Memory(config) as later:
        assert later.stats().lessons == 0


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("ü" * 100)
    with Memory(MemoryConfig(folder=folder, linger=LINGER)) as memory:
        assert memory.stats().lessons == 0


def test_a_folder_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        Memory(MemoryConfig(folder=tmp_path / "file" / "memory")) as memory,
        pytest.raises(MemoryUnavailable, match="file/memory can't be used"),
    ):
        memory.stats()


# Time


def test_a_keeper_that_hangs_costs_its_time_once(config: MemoryConfig) -> None:
    with Memory(config) as first, Memory(config, timeout=1.5) as memory:
        first.stats()
        (pid,) = keepers(config.folder)
        os.kill(pid, signal.SIGSTOP)
        try:
            waits: list[int] = []
            began = time.monotonic()
            with pytest.raises(MemoryUnavailable, match=r"within 1\.5 s"):
                memory.recall(by(NONE_COMPARED), on_wait=lambda: waits.append(1))
            assert 1.4 < time.monotonic() - began < 10
            assert waits, "the step can say that it waits"
            began = time.monotonic()
            with pytest.raises(MemoryUnavailable, match=r"within 1\.5 s"):
                memory.recall(by(NONE_COMPARED))
            assert time.monotonic() - began < 0.5, "nobody waits again"
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_step_that_is_cancelled_stops_waiting(config: MemoryConfig) -> None:
    with Memory(config) as memory:
        memory.stats()
        (pid,) = keepers(config.folder)
        os.kill(pid, signal.SIGSTOP)

        def cancelled() -> None:
            raise InterruptedError("cancelled")

        try:
            with pytest.raises(InterruptedError, match="cancelled"):
                memory.recall(by(NONE_COMPARED), on_wait=cancelled)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert memory.stats().lessons == 0, "it isn't down"


def test_nothing_to_recall_loads_no_model(memory: Memory, config: MemoryConfig) -> None:
    assert memory.recall(by(NONE_COMPARED)) == []
    assert memory.recall(Recall(rules="enter long when: x")) == []
    (pid,) = keepers(config.folder)
    assert "torch" not in Path(f"/proc/{pid}/maps").read_text()


def test_the_worker_s_process_never_loads_it(learnt: Memory) -> None:
    code = (
        "from domain.lessons import *\nfrom schemas.memory import *\n"
        "found = memory.recall(Recall(text=\"'<' not supported between NoneType and float\"))\n"
        "heavy = {'torch', 'sentence_transformers', 'qdrant_client', 'transformers'} & set(sys.modules)\n"
        "print(len(found), sorted(heavy))"
    )
    with ask_elsewhere(learnt._config.folder, code) as other:
        assert other.communicate(timeout=60)[0].strip() == "1 []"


def test_threads_may_ask_at_the_same_time(learnt: Memory) -> None:
    answers: list[int] = []

    def work(number: int) -> None:
        learnt.learn([told(lesson(worked=1), f"thread-{number % 4}#1")])
        answers.append(len(learnt.recall(by(NONE_COMPARED))))

    before = learnt.get(lesson().id).seen
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [1] * 8
    assert learnt.get(lesson().id).seen == before + 4


# What others see


def test_no_secret_reaches_arguments_or_environment(
    config: MemoryConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESIS_QDRANT_API_KEY", "canary-one")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-two")
    with Memory(config.model_copy(update={"api_key": SecretStr("canary-three")})) as memory:
        memory.stats()
        (pid,) = keepers(config.folder)
        for name in ("environ", "cmdline"):
            assert b"canary" not in Path(f"/proc/{pid}/{name}").read_bytes()
        assert "canary" not in (config.folder / "keeper.log").read_text()
    assert config.folder.stat().st_mode & 0o77 == 0
    assert all(file.stat().st_mode & 0o77 == 0 for file in config.folder.rglob("*") if not file.is_socket())


@pytest.mark.parametrize("sent", [b"\n", b"[]\n", b"{}\n", b'{"op": "drop"}\n', b"\xff\xfe\n", b"{"])
def test_nonsense_on_the_socket_harms_nobody(learnt: Memory, sent: bytes) -> None:
    from services.memory.wire import connect

    with connect(learnt._config.folder, 5) as connection:
        connection.sendall(sent)
        connection.shutdown(1)
        connection.settimeout(5)
        connection.recv(1 << 16)
    assert learnt.stats().lessons == 1


# Off


def test_without_the_extra_the_memory_is_off(
    config: MemoryConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("services.memory.embedding.NEEDED", ("qdrant_client", "no_such_package"))
    with Memory(config) as memory:
        with pytest.raises(MemoryOff, match=r"no_such_package not installed.*genesis-experiments\[memory\]"):
            memory.recall(by(NONE_COMPARED))
        for _ in range(3):
            memory.say_once("the memory is off")
    assert not config.folder.exists()
    assert caplog.text.count("the memory is off") == 1


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENESIS_MEMORY", "false")
    with (
        Memory.of(Settings(home=tmp_path / "home")) as memory,
        pytest.raises(MemoryOff, match="GENESIS_MEMORY"),
    ):
        memory.lessons()
    assert not (tmp_path / "home").exists()


# Import


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: Invalid JSON"),
        ("[]", "line 2: Input should be an object"),
        ('{"id": "x"}', "line 2: id: "),
        (lesson().model_dump_json().replace('"seen":1', '"seen":0'), "line 2: seen: "),
        (lesson().model_dump_json().replace('"seen":1', '"seeen":1'), "line 2: seeen: "),
    ],
)
def test_an_import_names_its_first_bad_line(line: str, words: str) -> None:
    with pytest.raises(MemoryRefusal, match=re.escape(words)):
        list(read_lessons([lesson().model_dump_json(), line]))


def test_a_bad_line_imports_nothing(learnt: Memory) -> None:
    good = lesson(NOT_DEFINED).model_dump_json()
    with pytest.raises(MemoryRefusal, match="nothing was imported"):
        learnt.import_([good, "x"], replace=True)
    assert [one.id for one in learnt.lessons()] == [lesson().id]


def test_an_export_comes_back(learnt: Memory) -> None:
    lines = [one.model_dump_json() for one in learnt.export()]
    assert learnt.import_([*lines, ""]) == (0, 0)
    assert learnt.import_(lines, replace=True) == (1, 0)
    assert [one.model_dump_json() for one in learnt.export()] == lines


def test_what_ends_a_keeper_is_in_its_log(tmp_path: Path) -> None:
    """And a socket that another keeper has put in the place of its own stays."""
    code = (
        "from services.memory import keeper\n"
        "def fails(*_):\n"
        "    keeper.os.unlink(keeper.SOCKET)\n"
        "    keeper.socket.socket(keeper.socket.AF_UNIX).bind(keeper.SOCKET)\n"
        "    raise OSError('no more of that')\n"
        "keeper.Keeper.serve = fails\n"
        "keeper.main()\n"
    )
    config = MemoryConfig(folder=tmp_path).model_dump_json()
    started = subprocess.run(
        [sys.executable, "-c", code],
        input=config,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    assert started.stdout.strip() == "ready"
    log = tmp_path / "keeper.log"
    deadline = time.monotonic() + 30
    while keepers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "OSError: no more of that" in log.read_text()
    assert (tmp_path / "keeper.sock").exists()
