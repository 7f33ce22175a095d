"""The papers of an experiment: its report and its diff, as artifacts, and the report under a name a person finds."""

from pathlib import Path

from domain.scoring import equity_curve
from schemas.steps import ReportInput, ReportOutput
from schemas.trading import Trade, TradeRow
from services.artifacts import Artifacts
from services.authoring import code_path
from services.library import Library
from services.market_data import MarketData
from services.report import ReportView, render_report


class Reporter:
    def __init__(self, artifacts: Artifacts, library: Library, market: MarketData, folder: Path) -> None:
        self._artifacts = artifacts
        self._library = library
        self._market = market
        self._folder = folder

    def write(self, order: ReportInput) -> ReportOutput:
        """Render what is known by now; written again, the newer replaces the older."""
        request, result = order.request, order.result
        code = self._artifacts.get(result.code).decode() if result.code else None
        diff = self._diff(order)
        rows = (
            [TradeRow.model_validate(row) for row in self._artifacts.get_json(result.trades)]
            if result.trades
            else []
        )
        bars = self._market.bars(request.data.digest)
        trades = [
            Trade(
                side=row.side,
                size=row.size,
                entry_bar=row.entry_bar,
                exit_bar=row.exit_bar,
                entry_price=row.entry_price,
                exit_price=row.exit_price,
            )
            for row in rows
        ]
        lineage = [
            ("Engine", request.engine),
            ("Asked by", request.requested_by),
            ("Approval", request.approval),
        ]
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
            lineage=lineage,
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
