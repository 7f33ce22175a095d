"""What the Temporal Web UI shows of a run: the whole story, in Markdown."""

from schemas.experiment import ExperimentStatus, Progress
from schemas.gates import Outcome

_SIGNS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.NOT_RUN: "·"}


def current_details(progress: Progress) -> str:
    lines = [f"**{progress.strategy}** · {progress.status} · step *{progress.step}*", ""]
    if progress.status is ExperimentStatus.WAITING and progress.waiting_until:
        lines += [
            f"Waiting for a decision on commit `{progress.commit}` "
            f"until {progress.waiting_until:%Y-%m-%d %H:%M:%S} UTC.",
            "Send the signal `approve` or `reject`, empty or as "
            '`{"commit": "…", "by": "your name", "comment": "…"}`.',
            "",
        ]
    if progress.recommendation:
        lines += [f"Recommendation: **{progress.recommendation.verdict}**: {progress.recommendation.reason}"]
        lines += [f"- {item}" for item in progress.recommendation.adaptations]
        lines += [""]
    if progress.gates:
        lines += ["| gate | | |", "| --- | --- | --- |"]
        lines += [
            f"| {gate.gate} | {_SIGNS[gate.outcome]} | {gate.summary.replace('|', '/')} |"
            for gate in progress.gates
        ]
        lines += [""]
    for entry in progress.timeline:
        took = "…" if entry.seconds is None else f"{entry.seconds:.2f} s"
        attempt = f" (attempt {entry.attempt})" if entry.attempt > 1 else ""
        lines += [f"- {entry.step}{attempt}: {took} {entry.summary}".rstrip()]
    if progress.notices:
        lines += ["", "Notices:", *(f"- {notice}" for notice in progress.notices)]
    return "\n".join(lines)
