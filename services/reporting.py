"""The papers of an experiment: its report and its diff, as artifacts, and the report under a name a person finds."""

from pathlib import Path

from domain.scoring import equity_curve
from schemas.steps import ReportInput, ReportOutput
from schemas.trading import TradeRow
from services.artifacts import Artifacts
from services.authoring import code_path
from services.budget import Budgets
from services.library import Library
from services.market_data import MarketData
from services.report import ReportView, render_report


class Reporter:
    def __init__(
        self, artifacts: Artifacts, library: Library, market: MarketData, budgets: Budgets, folder: Path
    ) -> None:
        self._artifacts = artifacts
        self._library = library
        self._market = market
        self._budgets = budgets
        self._folder = folder

    def write(self, order: ReportInput) -> ReportOutput:
        """Render what is known by now; written again, the newer replaces the older."""
        request, result = order.request, order.result
        code = self._artifacts.get(result.code).decode() if result.code else None
        diff = self._diff(order)
        opened = result.holdout if result.holdout and result.holdout.trades else None
        traded = opened.trades if opened else result.trades
        rows = [TradeRow.model_validate(row) for row in self._artifacts.get_json(traded)] if traded else []
        bars = self._market.bars(opened.whole if opened else request.data.digest)
        trades = [row.plain() for row in rows]
        lineage = [
            ("Engine", ", ".join(dict.fromkeys(request.writers))),
            ("Asked by", request.requested_by),
            ("Approval", request.approval),
        ]
        if request.fork:
            lineage.append(("Forked from", str(request.fork)))
        if order.sandbox:
            lineage.append(("Sandbox", f"{order.sandbox.provider}: {order.sandbox.image}"))
        if result.code:
            lineage.append(("File", code_path(result.strategy)))
        view = ReportView(
            result=result,
            definition=request.definition,
            costs=request.costs,
            data=request.data,
            bars=bars,
            equity=(
                equity_curve(trades, bars, request.costs) if order.report and order.report.metrics else None
            ),
            trades=rows,
            code=code,
            diff=diff,
            balance=self._budgets.balance(request.experiment_id, order.budget) if result.usage else None,
            lineage=lineage,
            seam=opened.first if opened else None,
        )
        html = render_report(view).encode()
        self._publish(f"{request.experiment_id}.html", html)
        return ReportOutput(
            report=self._artifacts.put(html),
            diff=self._artifacts.put(diff.encode()) if diff is not None else None,
        )

    def _diff(self, order: ReportInput) -> str | None:
        """Against the library while the branch is there; afterwards what was kept."""
        if order.result.diff:
            return self._artifacts.get(order.result.diff).decode()
        return self._library.diff_against_main(order.branch_commit) if order.branch_commit else None

    def _publish(self, name: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = self._folder / f".{name}.tmp"
        scratch.write_bytes(data)
        scratch.replace(self._folder / name)
