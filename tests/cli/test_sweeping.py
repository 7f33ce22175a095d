"""`starter.py sweep`: it sweeps now, and tells what it did."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.library import Library
from services.records import Records
from services.settings import Settings
from tests.cli.door import starter

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


def test_it_removes_what_nobody_holds_and_tells_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    records, library = Records(settings.records_url), Library(settings.library_location)
    records.migrate()
    now = datetime.now(UTC)
    for name, expires in (("gone", now - timedelta(minutes=1)), ("stays", now + timedelta(hours=1))):
        branch = f"ai/generate/RSI_Reversal/{name}"
        library.commit_files(
            branch=branch, files={"a.txt": name}, message="a", trailers={"Experiment-Id": name}, key=name
        )
        records.open_lease("branch", branch, name, "host-1", expires)

    young = starter(tmp_path, "sweep")
    assert (young.code, "nothing to remove" in young.stdout) == (0, True), young.said

    swept = starter(tmp_path, "sweep", "--grace", 0, "--json")
    assert swept.code == 0, swept.said
    (removed,) = swept.json["removed"]
    assert (removed["kind"], removed["experiment_id"]) == ("branch", "gone")
    assert "its lease ended" in removed["reason"]
    assert [one["experiment_id"] for one in swept.json["kept"]] == ["stays"]

    again = starter(tmp_path, "sweep", "--grace", 0)
    assert "nothing to remove" in again.stdout, again.said
    assert "kept until its lease ends" in again.stdout, again.said
    assert [branch.experiment_id for branch in library.branches()] == ["stays"]


def test_a_grace_that_can_t_be_is_refused(tmp_path: Path) -> None:
    refused = starter(tmp_path, "sweep", "--grace", "-1")
    assert refused.code == 2, refused.said
    assert "--grace" in refused.stderr
