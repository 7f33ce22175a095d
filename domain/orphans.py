"""Which holdings have no open experiment: what the sweep may remove."""

from datetime import datetime

from schemas.sweep import Holding, RunState


def why_orphan(holding: Holding, run: RunState, now: datetime) -> str | None:
    """Why the holding may be removed; None where it may not.

    Where Temporal doesn't know the run, the lease decides: the records may be shared with another Temporal, or with an
    embedded one that isn't up, in which the experiment is open.
    """
    match run.state:
        case "open":
            return None
        case "ended":
            return f"its run has ended ({run.how.replace('_', ' ')})"
    if holding.leased_until is not None and holding.leased_until < now:
        return (
            f"Temporal knows no such run, and its lease ended at {holding.leased_until:%Y-%m-%d %H:%M:%S} UTC"
        )
    return None


def why_kept(holding: Holding) -> str:
    """Why something of a run that Temporal doesn't know is kept."""
    if holding.leased_until is None:
        return (
            "Temporal knows no such run, and these records no lease: another Genesis may have made it; old branches go "
            "with: starter.py library cleanup"
        )
    return f"Temporal knows no such run; kept until its lease ends, at {holding.leased_until:%Y-%m-%d %H:%M:%S} UTC"
