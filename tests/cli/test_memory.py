"""The commands on the memory, with a real keeper on a home of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.memory import SHORT
from schemas.memory import Lesson
from services.memory import Memory, MemoryConfig
from tests.cli.conftest import Command
from tests.services.memory.lessons import FIX, NOT_DEFINED, lesson

NONE, NAME = lesson(worked=2, seen=3, code="if self.rsi < 30:"), lesson(NOT_DEFINED, fix="")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    home = tmp_path_factory.mktemp("memory") / "home"
    with Memory(MemoryConfig(folder=home / "memory", linger=0.4)) as made:
        yield made


@pytest.fixture
def memory(kept: Memory, command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `memory …` on a home with two lessons."""
    monkeypatch.setenv("GENESIS_HOME", str(kept._config.folder.parent))
    kept.import_([NONE.model_dump_json(), NAME.model_dump_json()], replace=True)
    return lambda *given: command("memory", *given)


def test_list_shows_the_most_frequent_first(memory: Command) -> None:
    found = memory("list", "--json")
    assert found.code == 0, found.said
    assert [one["id"] for one in found.json["lessons"]] == [NONE.id, NAME.id]
    shown = memory("list")
    assert shown.code == 0, shown.said
    assert shown.stdout.index(NONE.id[:SHORT]) < shown.stdout.index(NAME.id[:SHORT])
    assert memory("list", "--error-type", "NameError", "--json").json["lessons"][0]["id"] == NAME.id
    assert memory("list", "--limit", 1, "--json").json["more"] is True
    assert "of this kind" in memory("list", "--gate", "conforms").stdout


def test_a_gate_that_isn_t_is_refused_with_those_that_are(memory: Command) -> None:
    found = memory("list", "--gate", "flies")
    assert found.code == 2
    assert "no gate 'flies'" in found.stderr
    assert "conforms" in found.stderr


def test_search_finds_by_meaning(memory: Command) -> None:
    found = memory("search", "comparing None with a float in TypeError", "--json")
    assert found.code == 0, found.said
    assert found.json["lessons"][0]["id"] == NONE.id
    assert found.json["lessons"][0]["similarity"] > 0.55
    assert memory("search", "a recipe for soup", "--json").json["lessons"] == []
    assert "lower --threshold" in memory("search", "a recipe for soup").stdout
    assert len(memory("search", "a recipe for soup", "--threshold", -1, "--json").json["lessons"]) == 2
    assert NONE.id[:SHORT] in memory("search", "TypeError '<' not supported NoneType float").stdout


def test_show_tells_all_of_one(memory: Command) -> None:
    assert Lesson.model_validate(memory("show", NONE.id[:6], "--json").json) == NONE
    shown = memory("show", NONE.id)
    assert shown.code == 0, shown.said
    for text in (
        "TypeError",
        "3 times; fix worked 2",
        "if self.rsi < 30:",
        "+        if self.rsi[-1] < 30",
        "exp-1",
    ):
        assert text in shown.stdout
    assert "never fixed" in memory("show", NAME.id).stdout


def test_forget_removes_one(memory: Command) -> None:
    assert memory("forget", NAME.id, "--json").json["forgotten"]["id"] == NAME.id
    assert len(memory("list", "--json").json["lessons"]) == 1
    gone = memory("forget", NAME.id)
    assert gone.code == 2
    assert "there is no lesson" in gone.stderr


def test_stats_count(memory: Command) -> None:
    found = memory("stats", "--json").json
    assert (found["lessons"], found["with_fix"], found["seen"], found["worked"]) == (2, 1, 4, 2)
    assert "all-MiniLM-L6-v2, 384 dimensions" in memory("stats").stdout


def test_an_export_can_be_imported(memory: Command, tmp_path: Path) -> None:
    file = tmp_path / "lessons.jsonl"
    assert memory("export", file, "--json").json == {"lessons": 2, "file": str(file)}
    lines = file.read_text().splitlines()
    assert {Lesson.model_validate_json(line).id for line in lines} == {NONE.id, NAME.id}
    assert memory("export").stdout.splitlines() == lines
    assert [json.loads(line)["id"] for line in memory("export", "-").stdout.splitlines()] == [
        one["id"] for one in memory("export", "--json").json["lessons"]
    ]
    memory("forget", NONE.id)
    assert memory("import", file, "--json").json == {"new": 1, "raised": 0}
    assert memory("import", file, "--json").json == {"new": 0, "raised": 0}
    assert memory("import", file, "--replace", "--json").json == {"new": 2, "raised": 0}
    assert memory("show", NONE.id, "--json").json["fix"] == FIX
    assert sorted(tmp_path.iterdir()) == [file, *sorted(p for p in tmp_path.iterdir() if p != file)]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no json\n", "line 1"), (b"\xff\xfe", "not UTF-8"), (None, "no such file")],
)
def test_what_can_t_be_imported_is_named(
    memory: Command, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "given.jsonl"
    if content is not None:
        file.write_bytes(content)
    found = memory("import", file)
    assert found.code == 2, found.said
    assert words in found.stderr
    assert memory("stats", "--json").json["lessons"] == 2


def test_an_export_into_nowhere_is_refused(memory: Command, tmp_path: Path) -> None:
    found = memory("export", tmp_path / "none" / "lessons.jsonl")
    assert found.code == 2
    assert "there is no folder" in found.stderr
    assert memory("import", tmp_path).code == 2


@pytest.mark.parametrize(
    "given", [("show", "zzz"), ("forget", "zzz"), ("search", " "), ("search",), ("list", "--limit", "0")]
)
def test_bad_input_exits_two(memory: Command, given: tuple[str, ...]) -> None:
    found = memory(*given)
    assert found.code == 2
    assert "Traceback" not in found.stderr


def test_a_memory_that_is_off_or_down_exits_one(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESIS_MEMORY", "false")
    off = command("memory", "list", "--json")
    assert off.code == 1, off.said
    assert "GENESIS_MEMORY" in off.json["error"]
    monkeypatch.setenv("GENESIS_MEMORY", "true")
    home.mkdir(parents=True)
    (home / "memory").write_text("not a folder")
    down = command("memory", "stats")
    assert down.code == 1, down.said
    assert "can't be used" in down.stderr


def test_alone_it_shows_its_commands(command: Command) -> None:
    found = command("memory")
    assert found.code == 2
    assert "export" in found.stdout


def test_hostile_lessons_don_t_reach_the_terminal(memory: Command, kept: Memory) -> None:
    bad = lesson(
        code="\x1b]0;title\x07", fix="+\x1b[31m", strategy="\u202eevil", experiment_id="[red]e[/red]"
    )
    kept.import_([bad.model_dump_json()])
    shown = memory("show", bad.id)
    assert shown.code == 0, shown.said
    assert "\x1b]" not in shown.stdout
    assert "\u202e" not in shown.stdout
    assert "[red]e[/red]" in shown.stdout
