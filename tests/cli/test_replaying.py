"""Finding and reading histories, apart from the experiments that made them."""

import json
from pathlib import Path

import pytest

from services.settings import Settings
from services.temporal.replaying import HistoryError, exported_file, read_history
from tests.cli.door import ROOT, starter

RECORDED = sorted((ROOT / "tests" / "replay").glob("*.json"))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b'{"events": 3}', b'{"events": [{"eventId": "x"}]}', b"\xff\x00"]
)
def test_what_is_no_history(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "h.json"
    file.write_bytes(content)
    with pytest.raises(HistoryError, match=r"h\.json"):
        read_history(file, "x")


def test_only_files_of_the_folder_are_taken(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "histories").mkdir()
    (tmp_path / "records.json").touch()
    (tmp_path / "histories" / "x.json").touch()
    assert exported_file(settings, "x") == tmp_path / "histories" / "x.json"
    assert exported_file(settings, "../records") is None
    assert exported_file(settings, "y") is None


def test_a_recorded_history_holds_without_any_server(tmp_path: Path) -> None:
    told = starter(tmp_path, "replay", "--file", RECORDED[0], TEMPORAL_ADDRESS="127.0.0.1:1")
    assert told.code == 0, told.said
    assert told.stdout.startswith("holds: ")
    assert len(json.loads(RECORDED[0].read_text())["events"]) > 10


def test_the_event_that_differs_is_named(tmp_path: Path) -> None:
    """A history in which the fourth step was another one: today's code would not have led there."""
    history = json.loads(RECORDED[0].read_text())
    scheduled = [e for e in history["events"] if "activityTaskScheduledEventAttributes" in e]
    scheduled[3]["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "bake_a_cake"
    file = tmp_path / "other.json"
    file.write_text(json.dumps(history))
    differs = starter(tmp_path, "replay", "--file", file, "--json")
    assert differs.code == 1, differs.said
    assert differs.json["holds"] is False
    assert differs.json["event"]["id"] == int(scheduled[3]["eventId"])
    assert differs.json["event"]["type"] == "activity_task_scheduled"
    assert "'bake_a_cake'" in differs.json["problem"]
    text = starter(tmp_path, "replay", "--file", file)
    assert f"at event {scheduled[3]['eventId']}, activity_task_scheduled" in text.stdout


def test_a_run_that_had_not_begun(tmp_path: Path) -> None:
    history = json.loads(RECORDED[0].read_text())
    del history["events"][1:]
    file = tmp_path / "short.json"
    file.write_text(json.dumps(history))
    told = starter(tmp_path, "replay", "--file", file, "--json")
    assert told.code == 2
    assert "before the workflow's first task" in told.json["error"]
