"""The report of an experiment: one HTML file that needs nothing else.

It holds no script and asks the network for nothing; its own content security policy forbids both, so that a name or a
comment that was made to be run stays a text even if it were to slip through the escaping.
"""

from functools import cache

import jinja2
import numpy as np

from services.report.authorship import authorship, lesson_rows
from services.report.charts import Chart, drawdown_chart, equity_chart, price_chart
from services.report.listing import code_lines, diff_lines
from services.report.scales import moment, number, percent, price, quantity
from services.report.tables import (
    OUTCOME,
    STATUS,
    VERDICT,
    headline,
    lineage,
    metric_groups,
    rule_lists,
    settings,
)
from services.report.view import ReportView
from services.report.worth import evidence_facts, window_tables

__all__ = ["ReportView", "render_report"]

SHOWN_TRADES = 1000

_REPLACED = "�"
_UNSHOWABLE = dict.fromkeys(
    [
        *(code for code in range(0x20) if chr(code) not in "\t\n"),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),  # would turn text round
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
    ],
    _REPLACED,
)


def render_report(view: ReportView) -> str:
    """The report as HTML text. Works with whatever is there: an experiment that never ran gives a short report."""
    html = _template().render(
        view=view,
        result=view.result,
        definition=view.definition,
        status=STATUS[view.result.status],
        verdict=VERDICT[view.result.recommendation.verdict] if view.result.recommendation else None,
        headline=headline(view),
        charts=_charts(view),
        metric_groups=metric_groups(view),
        window_tables=window_tables(view),
        evidence=evidence_facts(view),
        authorship=authorship(view),
        lessons=lesson_rows(view.result.lessons),
        trades=list(view.trades[:SHOWN_TRADES]),
        more_trades=max(len(view.trades) - SHOWN_TRADES, 0),
        rule_lists=rule_lists(view.definition),
        settings=settings(view.definition),
        lineage=lineage(view),
        slowest=max((entry.seconds or 0.0 for entry in view.result.timeline), default=0.0),
        code=code_lines(view.code) if view.code else None,
        diff=diff_lines(view.diff) if view.diff else None,
    )
    return html.translate(_UNSHOWABLE)


def _charts(view: ReportView) -> list[Chart]:
    if view.bars is None or view.bars.empty:
        return []
    charts = [price_chart(view.bars, view.trades, view.seam)]
    if view.equity is not None and len(view.equity):
        equity = view.equity
        if len(equity) != len(view.bars):
            raise ValueError(
                f"equity has {len(equity)} values for {len(view.bars)} bars; give one for each bar"
            )
        if np.isfinite(equity.to_numpy(dtype=np.float64)).any():
            charts += [
                equity_chart(view.bars, equity, view.costs.cash, view.seam),
                drawdown_chart(view.bars, equity, view.costs.cash, view.seam),
            ]
    return charts


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("services.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "price": price,
        "moment": moment,
        "quantity": quantity,
    }
    environment.globals |= {"OUTCOME": OUTCOME}
    return environment.get_template("report.html")
