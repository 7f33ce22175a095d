"""validate, export-schemas, show-schema, import."""

import json
import shutil
from pathlib import Path

import pytest

from services.definitions import load_definition
from tests.cli.conftest import Command
from tests.cli.door import ROOT

OLD = ROOT / "tests" / "data" / "algoagent"


def test_every_shipped_definition_is_valid(command: Command) -> None:
    names = sorted(path.stem for path in (ROOT / "strategies").glob("*.json"))
    told = command("validate", *names, "--json")
    assert told.code == 0, told.said
    assert [(each["name"], each["valid"]) for each in told.json["definitions"]] == [(n, True) for n in names]


def test_all_files_are_told_and_all_problems_of_each(command: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(
        json.dumps({"name": "class", "symbol": "GOOG", "entry_rules": ["RSJ(14) < 30"], "exit_rulez": []})
    )
    told = command("validate", "RSI_Reversal", bad, "RSI_Reversl", "--json")
    assert told.code == 2
    good, broken, unknown = told.json["definitions"]
    assert good["valid"] is True
    assert len(good["definition_sha256"]) == 64
    assert [problem["path"] for problem in broken["problems"]] >= ["entry_rules[0]"]
    paths = {problem["path"]: problem for problem in broken["problems"]}
    assert {"name", "exit_rulez", "entry_rules[0]"} <= set(paths)
    assert "did you mean exit_rules?" in paths["exit_rulez"]["message"]
    assert "RSI" in paths["entry_rules[0]"]["message"]
    assert "did you mean RSI_Reversal?" in unknown["problems"][0]["message"]
    text = command("validate", "RSI_Reversal", bad)
    assert text.code == 2
    assert "valid: RSI_Reversal" in text.stdout
    assert str(bad) in text.stderr
    assert "exit_rulez" in text.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x00\x01\xff\xfe" * 50, "UTF-8"),
        (b'{"name": "x", ', "cut off"),
        (b"[1, 2]", "an object with keys"),
        (b"[" * 100_000, "too deeply"),
        ("{'name': 'é'}".encode("utf-16"), "UTF-16"),
        (b" " * (2 << 20), "MiB"),
    ],
)
def test_files_that_hold_no_definition(command: Command, tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    told = command("validate", file, "--json")
    assert told.code == 2
    assert words in json.dumps(told.json["definitions"][0]["problems"])


def test_things_that_are_no_files(command: Command, tmp_path: Path) -> None:
    for thing in (tmp_path, Path("/dev/null"), tmp_path / "none.json"):
        told = command("validate", f"{thing}/" if thing.is_dir() else thing, "--json")
        assert told.code == 2
        assert told.json["valid"] is False


def test_a_name_cannot_recolour_the_terminal(command: Command) -> None:
    told = command("validate", "\x1b[31mred\x1b]0;title\x07\u202eevil")
    assert told.code == 2
    assert "\x1b" not in told.stderr
    assert "\u202e" not in told.stderr
    assert "\\x1b[31mred" in told.stderr


def test_schemas_are_exported_once(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    first = command("export-schemas", folder, "--json").json
    assert "StrategyDefinition.json" in first["written"]
    assert sorted(path.name for path in folder.iterdir()) == first["written"]
    (folder / "StrategyDefinition.json").write_text("{}")
    again = command("export-schemas", folder, "--json").json
    assert again["written"] == ["StrategyDefinition.json"]
    occupied = tmp_path / "file"
    occupied.touch()
    assert "not a directory" in command("export-schemas", occupied, "--json").json["error"]


def test_show_schema(command: Command) -> None:
    shown = command("show-schema", "StrategyDefinition")
    assert shown.json["title"] == "StrategyDefinition"
    assert "entry_rules" in shown.json["properties"]
    assert command("show-schema", "strategydefinition", "--json").json == shown.json
    assert "ExperimentRequest" in command("show-schema", "--json").json["schemas"]
    refused = command("show-schema", "StrategyDef", "--json")
    assert refused.code == 2
    assert "did you mean StrategyDefinition?" in refused.json["error"]
    assert "did you mean Finding?" in command("show-schema", "Fidning", "--json").json["error"]


def test_import_writes_a_definition_that_is_valid(command: Command, tmp_path: Path) -> None:
    told = command("import", OLD / "complete_rsi.json", "-o", tmp_path / "out", "--json")
    assert told.code == 0, told.said
    (document,) = told.json["documents"]
    checked = load_definition(Path(document["definition"]))
    assert checked.definition.name == "rsi_reversal_01"
    assert document["understood"]
    assert {"path", "text", "to"} == set(document["carried"][0])
    text = command("import", OLD / "complete_rsi.json", "-o", tmp_path / "other")
    assert "understood" in text.stdout
    assert "stop loss 2%" in text.stdout
    assert "assumed" in text.stdout


def test_import_says_what_was_not_understood_and_exits_1_where_nothing_came_of_it(
    command: Command, tmp_path: Path
) -> None:
    told = command("import", OLD / "nonsense.json", "-o", tmp_path, "--json")
    assert told.code == 1
    (document,) = told.json["documents"]
    assert document["definition"] is None
    assert document["problems"]
    assert document["not_understood"]
    assert "name" in document["draft"]
    assert list(tmp_path.glob("*.json")) == []
    text = command("import", OLD / "nonsense.json", "-o", tmp_path)
    assert "not understood" in text.stdout
    assert "no definition" in text.stderr


def test_import_overwrites_only_when_told_to(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "rsi_reversal_01.json"
    target.write_text("mine")
    refused = command("import", OLD / "complete_rsi.json", "-o", tmp_path, "--json")
    assert refused.code == 2
    assert "--force" in refused.json["documents"][0]["error"]
    assert target.read_text() == "mine"
    assert command("import", OLD / "complete_rsi.json", "-o", tmp_path, "--force").code == 0
    assert load_definition(target).definition.name == "rsi_reversal_01"


def test_two_documents_of_one_name_are_not_written_over_each_other(command: Command, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    shutil.copy(OLD / "complete_rsi.json", copy)
    told = command("import", OLD / "complete_rsi.json", copy, "-o", tmp_path / "out", "--force", "--json")
    assert told.code == 2
    assert "from another document of that name" in told.json["documents"][1]["error"]
    assert told.json["imported"] == 1


def test_import_goes_on_after_a_file_that_cannot_be_read(command: Command, tmp_path: Path) -> None:
    canonical = ROOT / "strategies" / "RSI_Reversal.json"
    told = command(
        *("import", tmp_path / "none.json", canonical, OLD / "complete_rsi.json"),
        *("-o", tmp_path / "out", "--json"),
    )
    assert told.code == 2
    missing, already, fine = told.json["documents"]
    assert "no such file" in missing["error"]
    assert "canonical definition already" in already["error"]
    assert Path(fine["definition"]).is_file()


def test_import_into_a_folder_that_cannot_be_written(command: Command) -> None:
    told = command("import", OLD / "complete_rsi.json", "-o", "/proc/nothing", "--json")  # not even by root
    assert told.code == 2
    assert "can't write" in told.json["documents"][0]["error"]


def test_import_into_what_is_no_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = command("import", OLD / "complete_rsi.json", "-o", tmp_path / "file", "--json")
    assert told.code == 2
    assert "not a directory" in told.json["error"]
