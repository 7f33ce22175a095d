"""Settings and what the docs say of them."""

import json
import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlmodel import SQLModel

from domain.definitions import check_definition
from schemas.records import Event
from services.records import tables as _tables  # noqa: F401 – they are known once they are imported
from services.settings import Settings

ROOT = Path(__file__).parents[2]


def test_the_docs_list_every_setting_and_no_other() -> None:
    listed = set(
        re.findall(r"^\| `GENESIS_(\w+)`", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    )
    assert listed == {name.upper() for name in Settings.model_fields}


def test_the_docs_list_every_event_and_every_table() -> None:
    records = (ROOT / "docs" / "records.md").read_text()
    listed = {
        name
        for row in re.findall(r"^\| (`.*?) \|", records, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    named = re.search(r"Events: (.*?)\.", Event.__doc__ or "", re.DOTALL)
    assert named
    events = {name.strip() for name in named[1].split(",")}
    assert {"experiment_opened", "swept", "candidate_chosen"} <= events
    assert listed == events | set(SQLModel.metadata.tables)


def test_the_readme_s_definition_is_valid() -> None:
    block = re.search(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block
    checked = check_definition(json.loads(block[1]))
    assert checked.definition.risk_limits.take_profit is not None


def test_homes_keep_apart_unless_a_server_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "GENESIS_TASK_QUEUE"):
        monkeypatch.delenv(name, raising=False)
    one, other = Settings(home=tmp_path / "one"), Settings(home=tmp_path / "other")
    assert one.queue != other.queue
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    assert one.queue == other.queue == "genesis"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENESIS_EXPERIMENT_TIMEOUT_MS", "soon"),
        ("GENESIS_EXPERIMENT_TIMEOUT_MS", "0"),
        ("GENESIS_SANDBOX_PROVIDERS", '["chroot"]'),
        ("GENESIS_HOST", "a/b"),
        ("GENESIS_MAX_SANDBOXES", "0"),
        ("GENESIS_METRICS", "9464"),
        ("GENESIS_METRICS", "localhost:65536"),
    ],
)
def test_a_setting_that_can_t_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.removeprefix("GENESIS_").lower()):
        Settings()


def test_a_host_has_room_for_two_sandboxes_at_least() -> None:
    assert Settings().max_sandboxes == max(2, 2 * len(os.sched_getaffinity(0)))
