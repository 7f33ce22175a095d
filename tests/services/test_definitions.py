"""Definitions from files, and the ones that ship."""

import json
import os
from pathlib import Path

import pytest
from backtesting.test import BTCUSD, EURUSD, GOOG

from domain.definitions import DefinitionError, definition_digest
from domain.expected import expected_trades
from schemas.trading import Costs
from services.definitions import MAX_BYTES, definition_names, load_definition

ROOT = Path(__file__).parents[2] / "strategies"
GOOD = {
    "name": "Good",
    "symbol": "GOOG",
    "entry_rules": ["Close > SMA(20)"],
    "exit_rules": ["Close < SMA(20)"],
}
YAML = """
name: Good
symbol: GOOG
entry_rules:
  - Close > SMA(20)
exit_rules:
  - Close < SMA(20)
"""


def refused(path: Path) -> str:
    with pytest.raises(DefinitionError) as error:
        load_definition(path)
    assert error.value.source == str(path)
    assert len(str(error.value)) < 3000
    return str(error.value)


def write(folder: Path, content: str | bytes, name: str = "Good.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Good.json", json.dumps(GOOD)),
        ("Good.JSON", json.dumps(GOOD)),
        ("Good.json", "\ufeff" + json.dumps(GOOD)),
        ("Good.yaml", YAML),
        ("Good.yml", YAML),
        ("Good.yaml", "\ufeff---\r\n" + YAML.replace("\n", "\r\n")),
        ("Good.yaml", json.dumps(GOOD)),
        ("Good.txt", json.dumps(GOOD)),
        ("Good.txt", YAML),
        ("Good", YAML),
    ],
)
def test_json_and_yaml_mean_the_same(tmp_path: Path, name: str, content: str) -> None:
    expected = load_definition(write(tmp_path, json.dumps(GOOD), "other.json")).definition
    read = load_definition(write(tmp_path, content, name)).definition
    assert read == expected
    assert definition_digest(read) == definition_digest(expected)


def test_yaml_dates_are_dates(tmp_path: Path) -> None:
    path = write(tmp_path, YAML + "start_date: 2005-01-31\ncreated: '2026-01-01'\n", "Good.yaml")
    assert str(load_definition(path).definition.start_date) == "2005-01-31"


def test_a_name_finds_its_file(tmp_path: Path) -> None:
    write(tmp_path, YAML, "Good.yml")
    assert load_definition("Good", tmp_path).definition.name == "Good"
    assert definition_names(tmp_path) == ["Good"]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DefinitionError, match=r"did you mean RSI_Reversal\? There are ADX_Trend, "):
        load_definition("RSI_Reversl", ROOT)
    with pytest.raises(DefinitionError, match="no strategy of that name"):
        load_definition("Qqqqqq", ROOT)


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    assert definition_names(tmp_path / "nowhere") == []
    with pytest.raises(DefinitionError, match="there are none"):
        load_definition("Good", tmp_path / "nowhere")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, YAML, "Good.yml")
    write(tmp_path, json.dumps(GOOD), "Good.json")
    with pytest.raises(DefinitionError, match=r"holds Good\.json and Good\.yml; remove one"):
        load_definition("Good", tmp_path)


def test_by_name_the_file_must_hold_that_name(tmp_path: Path) -> None:
    write(tmp_path, json.dumps(GOOD | {"name": "Other"}), "Good.json")
    with pytest.raises(DefinitionError, match="so its name must be Good"):
        load_definition("Good", tmp_path)
    assert load_definition(tmp_path / "Good.json").definition.name == "Other"


@pytest.mark.parametrize(
    "name", ["", "\0", "Good\0.json", "../Good", "a/b", "Good.json", "x" * 5000, "x" * 5000 + ".json", "."]
)
def test_strange_names_are_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DefinitionError):
        load_definition(name, "strategies")


# ------------------------------------------------------------------ files that can't be read

TEXT = json.dumps(GOOD, indent=2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"", "the file is empty"),
        ("a.yaml", b" \n\n", "the file is empty"),
        ("a.json", TEXT[: len(TEXT) // 2], "the file seems to be cut off"),
        ("a.json", TEXT.replace('"GOOG",', '"GOOG"'), "line 4: not JSON, column 3: Expecting ',' delimiter"),
        ("a.json", TEXT + "x", "not JSON"),
        ("a.json", "// no\n" + TEXT, "line 1: not JSON"),
        (
            "a.json",
            TEXT.replace('"symbol"', '"name"'),
            "this key stands twice in one object; keep one (found 'name')",
        ),
        ("a.json", '{"name": NaN}', "not a number that JSON knows; write a finite one (found NaN)"),
        ("a.json", '{"name": ' + "9" * 5000 + "}", "a number can't be read"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", "[]", "a definition is an object"),
        ("a.json", "5", "a definition is an object"),
        ("a.json", '{"name": "\\ud800"}', "half of a character"),
        ("a.json", TEXT.encode("utf-16"), "in UTF-16; save it as UTF-8"),
        ("a.json", TEXT.replace("Good", "Gööd").encode("latin-1"), "line 2 is not UTF-8 (byte 0xf6)"),
        ("a.json", b" " * (MAX_BYTES + 1), "more than 1 MiB"),
        ("a.yaml", "name: [1, 2", "line 2: not YAML, column 1: did not find expected"),
        ("a.yaml", "name: Good\n\tsymbol: x", "line 2: not YAML"),
        (
            "a.yaml",
            YAML + "name: Again\n",
            "line 8: this key stands twice in one mapping; keep one (found 'name')",
        ),
        ("a.yaml", "a: &x [1]\nb: *x\n", "line 2: aliases are not allowed; write the value out (found *x)"),
        ("a.yaml", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "aliases are not allowed"),
        ("a.yaml", "a: !!python/object/apply:os.system [x]\n", "tags are not allowed"),
        ("a.yaml", "a: !!binary eA==\n", "tags are not allowed"),
        ("a.yaml", YAML + "---\n" + YAML, "a file holds one definition"),
        ("a.yaml", "[" * 5000, "nested too deeply"),
        ("a.yaml", "a: " + "{b: " * 40 + "1" + "}" * 40, "nested too deeply"),
        ("a.yaml", "start_date: 2005-13-45\n", "a value can't be read"),
        ("a.yaml", "a: \0\n", "not YAML"),
        ("a.yaml", "just words", "a definition is an object"),
        ("a.yaml", "on: 1\n" + YAML, "this key is not a text (found True)"),
        ("a.yaml", YAML + "parameters: {n: 1e3}\n", "parameters.n: a number is needed (found '1e3')"),
        ("a.yaml", YAML + "parameters: {n: .inf}\n", "parameters.n: a finite number is needed (found inf)"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    assert said in refused(write(tmp_path, content, name))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path / "nowhere.json")
    assert "this is not a file" in refused(tmp_path)
    fifo = tmp_path / "fifo.json"
    os.mkfifo(fifo)
    assert "this is not a file" in refused(fifo)
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    assert "can't be read" in refused(loop)


def test_problems_name_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(GOOD | {"entry_rules": ["RIS(14) < 30"]}))
    assert refused(path).startswith(f"{path}: 1 problem\n  entry_rules[0]: 'RIS' is not an indicator\n")


# ------------------------------------------------------------------ what ships

SHIPPED = definition_names(ROOT)
BARS = {"GOOG": GOOG, "EURUSD": EURUSD, "BTCUSD": BTCUSD}


def test_enough_ship_and_of_different_kinds() -> None:
    assert len(SHIPPED) >= 12
    assert "RSI_Reversal" in SHIPPED
    loaded = [load_definition(name, ROOT).definition for name in SHIPPED]
    assert {definition.symbol for definition in loaded} == set(BARS)
    assert len({tag for definition in loaded for tag in definition.tags}) >= 8
    assert len([definition for definition in loaded if "plain English" in definition.tags]) >= 2
    assert any(definition.short_entry_rules for definition in loaded)
    assert any(definition.position_sizing.mode == "risk_percent" for definition in loaded)
    assert any(definition.risk_limits.trailing_stop for definition in loaded)
    assert any(definition.risk_limits.max_holding_bars for definition in loaded)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_that_ships_is_whole_described_and_trades(name: str) -> None:
    checked = load_definition(name, ROOT)
    definition = checked.definition
    assert definition.description
    assert not [note for note in checked.notes if "not used" in note]
    trades = expected_trades(definition, checked.rulebook, BARS[definition.symbol], Costs())
    assert len(trades) >= 5
    assert {trade.side for trade in trades} == {"long", "short"} if definition.short_entry_rules else {"long"}
