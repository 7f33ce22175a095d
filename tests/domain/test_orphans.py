"""What the sweep may remove."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from domain.orphans import why_kept, why_orphan
from schemas.sweep import Holding, RunState

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

Known = Literal["open", "ended", "unknown"]


@pytest.mark.parametrize("until", [None, NOW - HOUR, NOW + HOUR], ids=["no lease", "ended", "leased"])
@pytest.mark.parametrize("state", ["open", "ended", "unknown"])
@pytest.mark.parametrize("kind", ["branch", "sandbox", "record", "workspace", "token"])
def test_only_what_has_no_open_run(kind: str, state: Known, until: datetime | None) -> None:
    holding = Holding(kind=kind, name="n", experiment_id="e", leased_until=until)
    why = why_orphan(holding, RunState(experiment_id="e", state=state, how="timed_out"), NOW)
    if state == "ended":
        assert why == "its run has ended (timed out)"
    elif state == "unknown" and until == NOW - HOUR:
        assert why == "Temporal knows no such run, and its lease ended at 2026-01-31 11:00:00 UTC"
    else:
        assert why is None


def test_why_something_of_an_unknown_run_is_kept() -> None:
    holding = Holding(kind="branch", name="n", experiment_id="e")
    assert "library cleanup" in why_kept(holding)
    leased = holding.model_copy(update={"leased_until": NOW})
    assert "kept until its lease ends, at 2026-01-31 12:00:00 UTC" in why_kept(leased)
