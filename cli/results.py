"""Showing what an experiment came to, or waits for."""

from pathlib import Path

from rich.syntax import Syntax

from cli.output import CommandError, out, print_json, table, visible
from cli.records import open_records, unknown
from schemas.experiment import ExperimentResult, ExperimentStatus, Progress
from schemas.gates import Gate, Outcome
from schemas.holdout import Evidence
from schemas.trading import Metrics
from services.artifacts import Artifacts
from services.settings import Settings

_STYLES = {
    ExperimentStatus.MERGED: "bold green",
    ExperimentStatus.DRY_RUN: "bold cyan",
    ExperimentStatus.ROLLED_BACK: "bold yellow",
    ExperimentStatus.CANCELLED: "bold yellow",
    ExperimentStatus.FAILED: "bold red",
}

METRIC_NAMES = {
    "return_pct": "return %",
    "buy_and_hold_pct": "buy and hold %",
    "cagr_pct": "CAGR %",
    "volatility_pct": "volatility %",
    "sharpe": "Sharpe",
    "sortino": "Sortino",
    "calmar": "Calmar",
    "max_drawdown_pct": "max drawdown %",
    "max_drawdown_bars": "drawdown, bars",
    "exposure_pct": "exposure %",
    "trades": "trades",
    "win_rate_pct": "win rate %",
    "profit_factor": "profit factor",
    "expectancy_pct": "expectancy %",
    "sqn": "SQN",
    "avg_trade_pct": "average trade %",
    "avg_trade_bars": "average trade, bars",
}


def report_path(settings: Settings, experiment_id: str) -> Path | None:
    path = settings.home / "reports" / f"{experiment_id}.html"
    return path if path.is_file() else None


def show_metrics(metrics: Metrics) -> None:
    """Two columns of name and value."""
    cells = [(name, getattr(metrics, key)) for key, name in METRIC_NAMES.items()]
    half = (len(cells) + 1) // 2
    rows = [(*cells[at], *(cells[at + half] if at + half < len(cells) else ("", ""))) for at in range(half)]
    table(["metric", "", "metric", ""], rows)


def show_worth(evidence: Evidence) -> None:
    """The windows side by side, and what the tries make of the result."""
    table(
        [
            "window",
            "from",
            "to",
            "return %",
            "hold %",
            "Sharpe",
            "drawdown %",
            "trades",
            "open before",
            "won %",
        ],
        [
            (
                window.name,
                window.start[:10],
                window.end[:10],
                window.return_pct,
                window.buy_and_hold_pct,
                window.sharpe,
                window.max_drawdown_pct,
                window.trades,
                window.carried,
                window.win_rate_pct,
            )
            for window in evidence.windows
        ],
    )
    made = f" in {evidence.experiments} experiments" if evidence.experiments > 1 else ""
    said = [f"tries: {evidence.tries}{made}"]
    if evidence.opened_before:
        said.append(f"holdout opened before: by {evidence.opened_before}")
    if evidence.deflated_sharpe is not None:
        said.append(f"deflated Sharpe: {evidence.deflated_sharpe:.3f}")
    if evidence.overfitting_probability is not None:
        said.append(
            f"probability of overfitting: {evidence.overfitting_probability:.3f} among {evidence.variants} variants"
        )
    out.print("; ".join(said), markup=False)


def show_result(settings: Settings, result: ExperimentResult, *, as_json: bool) -> None:
    report = report_path(settings, result.experiment_id)
    if as_json:
        print_json(result.model_dump(mode="json") | {"report_path": str(report) if report else None})
        return
    verdict = f"{result.recommendation.verdict}: " if result.recommendation else ""
    reason = result.recommendation.reason if result.recommendation else result.reason
    out.print()
    out.print(f"{result.strategy}: {result.status.replace('_', ' ')}", style=_STYLES.get(result.status))
    out.print(f"{verdict}{reason}", markup=False)
    if result.recommendation and result.reason not in ("", reason):
        out.print(result.reason, markup=False)
    if result.recommendation:
        for item in result.recommendation.adaptations:
            out.print(f"  to adapt: {item}", markup=False)
    out.print()
    if result.metrics:
        show_metrics(result.metrics)
        if result.stressed and result.stressed != result.metrics:
            worse = result.stressed
            out.print(
                f"at twice the costs: return {worse.return_pct:+.2f} %, drawdown {worse.max_drawdown_pct:.2f} %"
            )
        out.print()
    if result.evidence:
        show_worth(result.evidence)
        out.print()
    if result.usage:
        out.print(f"{result.engine or 'no code'}: {result.usage}", markup=False)
    for given in result.lessons:
        helped = {True: "it helped", False: "it didn't help", None: "not judged"}[given.helped]
        said = f"{given.lesson.error_type} at gate {given.lesson.gate}, from {given.lesson.experiment_id}"
        out.print(f"recalled for attempt {given.attempt}: {said}; {helped}", markup=False)
    if result.merged_commit:
        out.print(f"merged as {result.merged_commit}, tagged {result.tag}", markup=False)
    if report:
        out.print(f"report: {report}", markup=False)
    out.print(f"next:   python starter.py show {result.experiment_id}", markup=False)
    if result.trades:
        out.print(f"        python starter.py trades {result.experiment_id}", markup=False)
    if result.merged_commit:
        out.print(f"        python starter.py library versions {result.strategy}", markup=False)
    if any(gate.outcome is Outcome.FAILED and gate.gate is not Gate.VALID for gate in result.gates):
        out.print(f"        python starter.py sandbox preserved {result.experiment_id}", markup=False)


def show_waiting(settings: Settings, waiting: Progress, *, as_json: bool) -> None:
    """What is to be decided, and how."""
    report = report_path(settings, waiting.experiment_id)
    if as_json:
        print_json(waiting.model_dump(mode="json") | {"report_path": str(report) if report else None})
        return
    found = waiting.recommendation
    out.print()
    out.print(f"{waiting.strategy}: waiting for a decision", style="bold yellow")
    if found:
        out.print(f"{found.verdict}: {found.reason}", markup=False)
        for item in found.adaptations:
            out.print(f"  to adapt: {item}", markup=False)
    if report:
        out.print(f"report:  {report}", markup=False)
    if waiting.waiting_until:
        out.print(f"until:   {waiting.waiting_until:%Y-%m-%d %H:%M:%S} UTC, then it is rolled back")
    out.print(f"commit:  {waiting.commit}")
    out.print(f"look:    python starter.py diff {waiting.experiment_id}", markup=False)
    for action in ("approve", "reject"):
        command = f"python starter.py {action} {waiting.experiment_id} --commit {(waiting.commit or '')[:12]}"
        out.print(f"{action + ':':<8} {command}", markup=False)


def show_diff(settings: Settings, experiment_id: str) -> None:
    print_diff(diff_of(settings, experiment_id))


def diff_of(settings: Settings, experiment_id: str) -> str:
    row = open_records(settings).experiment(experiment_id)
    if row is None:
        raise unknown(experiment_id)
    digest = row.artifacts.get("diff")
    if digest is None:
        raise CommandError(f"{experiment_id} has no diff: nothing was written before it ended")
    return Artifacts(settings.home / "artifacts").get(digest).decode(errors="backslashreplace")


def print_diff(text: str) -> None:
    if out.is_terminal:
        out.print(Syntax(visible(text), "diff", background_color="default"))
    else:
        out.print(text, markup=False, end="")
