"""What a sweep looks at, where there is more than it can take at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.sweep import SweepRequest
from services import sweeping
from services.library import Library
from services.records import Records
from services.sandboxes import SandboxManager
from services.sweeping import Sweeper


def test_what_stands_behind_the_first_is_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it each time: the first ones may have to be kept for long."""
    monkeypatch.setattr(sweeping, "MOST", 3)
    records = Records(f"sqlite:///{tmp_path / 'records.db'}")
    records.migrate()
    library = Library(tmp_path / "library.git")
    for name in ("b1", "b2"):
        branch = f"ai/generate/RSI_Reversal/{name}"
        library.commit_files(
            branch=branch, files={"a": "a"}, message="a", trailers={"Experiment-Id": name}, key=name
        )
    for number in range(4):
        expires = datetime.now(UTC) + timedelta(hours=number)
        records.open_lease("workspace", f"w{number}", "open", "h-1", expires)
    with SandboxManager([], tmp_path / "leases", ready=0) as manager:
        sweeper = Sweeper(records, library, manager, "h-1")
        looks = [sweeper.look(SweepRequest(grace=0)) for _ in range(60)]
        assert {len(look.found) for look in looks} == {look.more for look in looks} == {3}
        assert {holding.experiment_id for look in looks for holding in look.found} == {"open", "b1", "b2"}
        assert len({holding.name for look in looks for holding in look.found}) == 6
        monkeypatch.setattr(sweeping, "MOST", 6)
        whole = sweeper.look(SweepRequest(grace=0))
        assert (len(whole.found), whole.more) == (6, 0)
    records.close()
