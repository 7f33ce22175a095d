"""schemas/json is what the shapes say today."""

import json
from pathlib import Path

import pytest

from schemas.base import Shape
from services.schema_export import export_schemas, public_shapes, schema_files, schema_of

EXPORTED = Path(__file__).parents[2] / "schemas" / "json"


def test_the_exported_schemas_are_up_to_date() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in EXPORTED.glob("*.json")}
    wanted = schema_files()
    assert sorted(there) == sorted(wanted), "run: make schemas, and remove what no shape makes"
    changed = [name for name in wanted if there[name] != wanted[name]]
    assert changed == [], "run: make schemas"


def test_every_shape_is_there_and_refuses_unknown_keys() -> None:
    shapes = public_shapes()
    assert {"StrategyDefinition", "ExperimentRequest", "ExperimentResult", "Event", "RunResult"} <= set(
        shapes
    )
    assert Shape not in shapes.values()
    for name, shape in shapes.items():
        schema = schema_of(shape)
        assert schema["title"] == name
        assert schema["additionalProperties"] is False


def test_required_fields_are_those_without_a_default() -> None:
    schema = schema_of(public_shapes()["StrategyDefinition"])
    assert schema["required"] == ["name", "symbol"]
    assert "RSI" not in json.dumps(schema["properties"]["symbol"])


def test_files_end_in_a_line_end_and_are_written_once(tmp_path: Path) -> None:
    written, kept = export_schemas(tmp_path)
    assert (len(written), kept) == (len(public_shapes()), [])
    assert all((tmp_path / name).read_bytes().endswith(b"}\n") for name in written)
    (tmp_path / "mine.txt").touch()
    assert export_schemas(tmp_path) == ([], written)
    assert (tmp_path / "mine.txt").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        export_schemas(tmp_path / "file" / "folder")
