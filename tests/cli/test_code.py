"""code check and code format."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command

CLEAN = """import talib
from backtesting import Strategy


class Quiet(Strategy):
    def init(self):
        self.average = self.I(talib.SMA, self.data.Close, 10)

    def next(self):
        if not self.position:
            self.buy()
"""


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    file = tmp_path / "clean.py"
    file.write_text(CLEAN)
    return file


def test_secrets_of_the_definition_may_be_read(command: Command, tmp_path: Path) -> None:
    reading = tmp_path / "reading.py"
    reading.write_text(f'from os import environ\n\nKEY = environ["DATA_KEY"]\n{CLEAN}')
    assert command("code", "check", reading).code == 1
    assert command("code", "check", reading, "--secret", "DATA_KEY").code == 0
    told = command("code", "check", reading, "--secret", "OTHER", "--secret", "THIRD")
    assert told.code == 1
    assert f"{reading}:3:15: error environment: 'DATA_KEY' is no secret of the definition" in told.stdout


def test_findings_by_line_with_why_and_instead(command: Command, tmp_path: Path, clean: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(CLEAN + "\n\nimport os\n\nos.system('true')\n")
    told = command("code", "check", clean, bad)
    assert told.code == 1
    assert f"{bad}:14:1: error import: the module 'os' may not be imported" in told.stdout
    assert "why: " in told.stdout
    assert "instead: " in told.stdout
    assert str(clean) not in told.stdout
    found = command("code", "check", clean, bad, "--json").json
    assert found["clean"] is False
    assert found["files"][0]["findings"] == []
    assert {finding["line"] for finding in found["files"][1]["findings"]} >= {14}


def test_clean_code_and_its_entrypoint(command: Command, clean: Path) -> None:
    assert command("code", "check", clean).code == 0
    assert command("code", "check", clean, "--entrypoint", "Quiet", "--json").json["clean"] is True
    assert command("code", "check", clean, "--entrypoint", "Loud").code == 1


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"def f(:\n", b"", b"\x00\x00"])
def test_what_is_no_code_is_told_and_never_raised(command: Command, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.py"
    file.write_bytes(content)
    told = command("code", "check", file, "--json")
    assert told.code in (1, 2)
    assert told.json["clean"] is False


def test_files_that_cannot_be_read_do_not_hide_the_others(command: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import os\n")
    told = command("code", "check", tmp_path, tmp_path / "none.py", "/dev/null", bad, "--json")
    assert told.code == 2
    assert [("error" in each) for each in told.json["files"]] == [True, True, True, False]


def test_format_in_place_and_only_once(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "ugly.py"
    file.write_text("import os\nimport abc\nx={  'a':1 }\n")
    file.chmod(0o640)
    assert command("code", "format", "--check", file).code == 1
    diff = command("code", "format", "--diff", file)
    assert diff.code == 0
    assert '+x = {"a": 1}' in diff.stdout
    assert file.read_text().startswith("import os\n"), "neither of the two writes"
    assert command("code", "format", file, "--json").json["changed"] == 1
    assert file.read_text() == 'import abc\nimport os\n\nx = {"a": 1}\n'
    assert file.stat().st_mode & 0o777 == 0o640
    assert command("code", "format", file, "--json").json["changed"] == 0
    assert command("code", "format", "--check", file).code == 0


def test_what_cannot_be_formatted_is_left_alone(command: Command, tmp_path: Path, clean: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")
    told = command("code", "format", broken, clean, tmp_path / "none.py", "--json")
    assert told.code == 2
    assert "line 1" in told.json["files"][0]["error"]
    assert told.json["files"][1]["changed"] is False
    assert broken.read_text() == "def f(:\n"
