"""What the Temporal Web UI shows of a run: the whole story, in Markdown."""

from schemas.experiment import ExperimentStatus, Progress
from schemas.gates import Outcome
from schemas.sweep import SweepReport, Swept

MOST_SWEPT = 50
"""Lines of a sweep's list; the result has all of them."""

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
    if progress.in_line:
        lines += [f"Waiting for a sandbox: {progress.in_line}.", ""]
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


def sweep_details(report: SweepReport) -> str:
    """What the Temporal Web UI shows of a sweep."""
    lines = [
        f"**Removed {len(report.removed)}**, kept {len(report.kept)}; {report.open_experiments} open experiments"
    ]
    lines += ["", *_swept("Removed", report.removed), *_swept("Kept", report.kept)]
    if report.silent_hosts:
        lines += [f"No answer from: {', '.join(report.silent_hosts)}", ""]
    if report.more:
        lines += [f"{report.more} more are left for the next sweep.", ""]
    lines += [f"- {problem}" for problem in report.problems]
    return "\n".join(lines)


def _swept(title: str, found: list[Swept]) -> list[str]:
    if not found:
        return []
    lines = [f"{title}:", *(f"- {one.kind} `{one.name}`: {one.reason}" for one in found[:MOST_SWEPT])]
    more = len(found) - MOST_SWEPT
    return [*lines, *([f"- … and {more} more"] if more > 0 else []), ""]
