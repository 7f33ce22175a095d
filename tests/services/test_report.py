"""The report: one file, complete, inert whatever stands in it, and right in what it draws."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.windows import measure_knowledge, measure_windows
from schemas.budget import Amounts, Balance, Budget
from schemas.definition import StrategyDefinition
from schemas.experiment import (
    ExperimentResult,
    ExperimentStatus,
    Recommendation,
    Step,
    TimelineEntry,
    Verdict,
)
from schemas.gates import Gate, GateResult, Outcome
from schemas.holdout import Evidence, HoldoutReport
from schemas.market import DataSet
from schemas.memory import GivenLesson, LessonRef
from schemas.trading import Costs, Metrics, Side, TradeRow
from schemas.usage import Usage
from services.report import ReportView, render_report
from services.report.charts import DRAWN_TRADES, buy_and_hold, drawdown
from services.report.scales import moment, number, percent, price, quantity, round_ticks, thin, time_ticks

DIGEST = "0123456789abcdef" * 4
COMMIT = "c0ffee" * 6 + "c0de"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
VOID = {"meta", "br", "link", "img", "input", "hr", "path", "line", "circle", "rect"}


class Page(HTMLParser):
    """Parses strictly enough to catch what a browser would mend: every tag closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> without a beginning"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def make_bars(count: int, freq: str = "D") -> pd.DataFrame:
    index = pd.date_range("2020-01-01", periods=count, freq=freq, tz="UTC", name="Date").as_unit("us")
    close = 100 + 10 * np.sin(np.arange(count) / 7) + np.arange(count) * 0.01
    return pd.DataFrame(
        {"Open": close - 0.5, "High": close + 1, "Low": close - 1, "Close": close, "Volume": 1000.0},
        index=index,
    )


def make_trades(count: int, bars: int) -> list[TradeRow]:
    return [
        TradeRow(
            number=i + 1,
            side=Side.LONG if i % 2 else Side.SHORT,
            size=10.5,
            entry_time="2020-01-02T00:00:00Z",
            entry_bar=i % max(bars - 1, 1),
            entry_price=101.25,
            entry_rule="entry_rules[0]: RSI(14) < 30",
            exit_time="2020-01-05T15:30:00Z",
            exit_bar=min(i % max(bars - 1, 1) + 3, bars - 1),
            exit_price=102.75,
            exit_rule="exit_rules[0]: RSI(14) > 70",
            profit=1234.5 if i % 3 else -77.25,
            return_pct=1.48 if i % 3 else -0.5,
        )
        for i in range(count)
    ]


METRICS = Metrics(
    bars=300, start="2020-01-01T00:00:00Z", end="2020-10-26T00:00:00Z", equity_final=1_096_572.37, return_pct=9.657,
    buy_and_hold_pct=535.5, cagr_pct=1.09, volatility_pct=5.96, sharpe=0.18, sortino=None, calmar=0.07,
    max_drawdown_pct=-14.83, max_drawdown_bars=420, exposure_pct=24.67, trades=4, win_rate_pct=75.0,
    profit_factor=None, expectancy_pct=0.67, sqn=0.47, best_trade_pct=13.39, worst_trade_pct=-29.08,
    avg_trade_pct=0.38, avg_trade_bars=11.25, max_trade_bars=60, max_wins_in_row=7, max_losses_in_row=3,
)  # fmt: skip


def make_view(
    bars: int = 300, trades: int = 4, mark: str = "", status: ExperimentStatus = ExperimentStatus.MERGED
) -> ReportView:
    """A whole report; `mark` is put into every text that others write."""
    frame = make_bars(bars)
    rows = [replace_rule(row, mark) for row in make_trades(trades, bars)]
    definition = StrategyDefinition.model_validate(
        {
            "name": "RSI_Reversal",
            "symbol": "GOOG",
            "description": f"Buys low.{mark}",
            "notes": f"First try.{mark}",
            "tags": [f"reversion{mark}"],
            "parameters": {"oversold": 30, "least_volume": 1234567.5},
            "indicators": {"rsi": f"RSI(14){mark}"},
            "entry_rules": [f"rsi < oversold{mark}"],
            "exit_rules": [f"rsi > 70{mark}"],
            "risk_limits": {"stop_loss": "2%", "trailing_stop": "3 ATR(14)", "max_holding_bars": 40},
        }
    )
    gates = [
        GateResult(gate=Gate.VALID, outcome=Outcome.PASSED, summary=f"no findings{mark}", seconds=0.05),
        GateResult(
            gate=Gate.CONFORMS,
            outcome=Outcome.FAILED,
            summary=f"1 trade differs{mark}",
            details=[f"bar 17: expected entry{mark}"],
        ),
        GateResult(gate=Gate.TRADES, outcome=Outcome.NOT_RUN, summary="not asked"),
    ]
    result = ExperimentResult(
        experiment_id="RSI_Reversal-1",
        strategy=f"RSI_Reversal{mark}",
        status=status,
        reason=f"All went well.{mark}",
        recommendation=Recommendation(
            verdict=Verdict.MERGE_WITH_ADAPTATIONS,
            reason=f"One bound was missed.{mark}",
            adaptations=[f"trade more{mark}"],
        ),
        attempts=2,
        judged_commit=COMMIT,
        merged_commit=COMMIT[::-1].replace("f", "a"),
        tag=f"strategies/RSI_Reversal/v1{mark}",
        gates=gates,
        metrics=METRICS,
        code=DIGEST,
        timeline=[
            TimelineEntry(step=Step.GENERATE, started=NOW, seconds=0.25, summary=f"34 lines{mark}"),
            TimelineEntry(step=Step.TRY_OUT, attempt=2, started=NOW + timedelta(seconds=1), seconds=None),
        ],
    )
    data = DataSet(
        digest=DIGEST, name=f"prices.csv{mark}", bars=bars, start="2020-01-01T00:00:00Z", end="2020-10-26T00:00:00Z",
        interval="1d", warnings=[f"3 bars are missing{mark}"],
    )  # fmt: skip
    return ReportView(
        result=result,
        definition=definition,
        costs=Costs(cash=10_000, commission=0.002),
        data=data,
        bars=frame,
        equity=pd.Series(np.linspace(10_000, 10_966, bars), index=frame.index),
        trades=rows,
        code=f'import talib\n\n\nclass A:\n    """Text."""\n\n    x = 1  # why{mark}\n',
        diff=f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old{mark}\n+new{mark}\n same\n",
        lineage=[(f"engine{mark}", f"offline{mark}")],
    )


def replace_rule(row: TradeRow, mark: str) -> TradeRow:
    return row.model_copy(update={"entry_rule": row.entry_rule + mark, "exit_rule": row.exit_rule + mark})


def assert_inert(html: str) -> Page:
    """Nothing runs, nothing is fetched."""
    page = Page(html)
    assert not set(page.tags) & {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "img",
        "form",
        "base",
        "foreignobject",
        "a:",
    }
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in (
            "src",
            "srcset",
            "xlink:href",
            "action",
            "formaction",
            "background",
            "data",
            "poster",
        )
        if name == "href":
            assert value.startswith("#"), value
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html
    return page


def test_whole_report() -> None:
    html = render_report(make_view())
    page = assert_inert(html)
    words = page.words
    for text in (
        "RSI_Reversal", "merged", "Recommendation: merge with adaptations.", "One bound was missed.", "trade more",
        "All went well.", "Buys low.", "First try.", "reversion",
        "+9.66 %", "buy and hold +535.50 %", "−14.83 %", "1,096,572.37", "63,550.00", "75.00 %", "11.2", "420",
        "rsi < oversold", "rsi > 70", "oversold", "stop loss 2%", "3 ATR(14)", "40 bars", "95 (percent of equity)",
        "1234567.5",
        "conforms failed 1 trade differs bar 17: expected entry", "valid passed no findings", "trades not run",
        "2020-01-05 15:30", "101.25", "10.5", "1,234.50", "−77.25", "+1.48 %", "entry_rules[0]: RSI(14) < 30",
        COMMIT, DIGEST, "strategies/RSI_Reversal/v1", "cash 10,000.00, commission 0.2 % of each side", "attempts 2",
        "3 bars are missing", "2026-01-31 12:00:00", "0.250", "attempt 2", "34 lines", "offline",
    ):  # fmt: skip
        assert text in words, text
    assert len(page.ids) == len(set(page.ids))
    anchors = {value[1:] for _, name, value in page.attributes if name == "href"}
    assert anchors <= set(page.ids)
    assert anchors == {"charts", "gates", "metrics", "trades", "definition", "lineage", "code", "diff"}
    assert len(html) < 200_000


def weighed(mark: str = "", failed: bool = False) -> ReportView:
    """A report with an opened holdout: of 300 bars the last 60."""
    view = make_view(mark=mark)
    assert view.bars is not None
    trades = [row.plain() for row in view.trades]
    gate = GateResult(
        gate=Gate.CONFORMS,
        outcome=Outcome.FAILED if failed else Outcome.PASSED,
        summary=f"as implied{mark}",
        details=[f"bar 250: nothing was to be bought{mark}"] if failed else [],
    )
    evidence = Evidence(
        tries=4,
        experiments=2,
        opened_before=1,
        deflated_sharpe=0.4321,
        variants=3,
        overfitting_probability=0.25,
        windows=measure_windows(trades, view.bars, view.costs, held=60),
    )
    holdout = HoldoutReport(whole=DIGEST, first=240, bars=60, gates=[gate], trades=DIGEST)
    result = view.result.model_copy(update={"holdout": holdout, "evidence": evidence})
    return replace(view, result=result, seam=240)


def test_windows_and_tries_are_shown_side_by_side() -> None:
    html = render_report(weighed())
    words = assert_inert(html).words
    for text in (
        "What it is worth", "60 bars from bar 240, opened once at the decision: every gate passed",
        "in one experiment: what was seen there", "4 of this strategy on this data, in 2 experiments",
        "0.432, the probability", "0.250 among 3 variants", "Before and in the holdout", "Walk forward",
        "figure in-sample out-of-sample all", "figure 1/5 2/5 3/5 4/5 5/5", "from 2020-01-01 2020-08-28",
        "bars 240 60 300", "All of it before the holdout.", "Holdout return", "in 60 bars",
    ):  # fmt: skip
        assert text in words, text
    assert html.count('<line class="seam"') == 3  # on each chart
    assert render_report(make_view()).count('class="seam"') == 0


def test_a_holdout_that_failed_says_where() -> None:
    words = assert_inert(render_report(weighed(failed=True))).words
    assert "opened once at the decision: conforms failed" in words
    assert "conforms as implied bar 250: nothing was to be bought" in words


def test_texts_of_a_holdout_stay_texts() -> None:
    mark = '<script>alert("x")</script>'
    assert_inert(render_report(weighed(mark=mark, failed=True)))


def modelled(mark: str = "") -> ReportView:
    """A report on code that a model wrote with what was recalled, on data that begins before its knowledge ends."""
    view = weighed(mark=mark)
    assert view.bars is not None
    assert view.result.evidence is not None
    cutoff = date(2020, 6, 1)
    known = measure_knowledge([row.plain() for row in view.trades], view.bars, view.costs, cutoff)
    lessons = [
        GivenLesson(
            attempt=number,
            lesson=LessonRef(
                id="0" * 8 + "-0000-4000-8000-" + "0" * 11 + str(number),
                gate=Gate.RUNS,
                error_type="ZeroDivisionError",
                summary=f"division by zero{mark}",
                similarity=0.8123,
                worked=number,
                failed=1,
                fixed=number > 1,
                experiment_id="EARLIER-7",
            ),
            helped=helped,
        )
        for number, helped in ((1, None), (2, True), (3, False))
    ]
    result = view.result.model_copy(
        update={
            "engine": f"openai:gpt-x{mark}",
            "usage": Usage(calls=3, input_tokens=9000, output_tokens=1200, usd=0.0456),
            "lessons": lessons,
            "evidence": view.result.evidence.model_copy(update={"cutoff": cutoff, "knowledge": known}),
        }
    )
    balance = Balance(
        limit=Budget(usd=0.5),
        spent=Amounts(tokens=10_200, usd=0.0456, calls=3),
        reserved=Amounts(),
        left=Budget(usd=0.4544),
    )
    return replace(view, result=result, balance=balance)


def test_who_wrote_it_what_it_cost_and_what_was_recalled() -> None:
    page = assert_inert(render_report(modelled()))
    for text in (
        "Models and memory", "written by openai:gpt-x", "3 calls", "$0.0456", "What the model may have known",
        "ends on 2020-06-01",
        "1 runs ZeroDivisionError: division by zero 0.81 never fixed EARLIER-7 not judged",
        "2 runs ZeroDivisionError: division by zero 0.81 worked 2, failed 1 EARLIER-7 yes",
        "3 runs ZeroDivisionError: division by zero 0.81 worked 3, failed 1 EARLIER-7 no",
    ):  # fmt: skip
        assert text in page.words, text
    assert {"worth", "authorship"} <= {value[1:] for _, name, value in page.attributes if name == "href"}
    assert "Models and memory" not in render_report(weighed())


def test_texts_of_lessons_and_engines_stay_texts() -> None:
    assert_inert(render_report(modelled(mark='"><script>alert("x")</script>')))


def test_where_nothing_was_held_back_the_report_says_so() -> None:
    view = weighed()
    assert view.result.evidence is not None
    windows = view.result.evidence.windows[2:]
    evidence = view.result.evidence.model_copy(
        update={"windows": windows, "overfitting_probability": None, "deflated_sharpe": None}
    )
    result = view.result.model_copy(update={"holdout": None, "evidence": evidence})
    words = assert_inert(render_report(replace(view, result=result, seam=None))).words
    for text in ("none; every bar was known", "All bars", "can't be computed", "needs at least two"):
        assert text in words, text
    assert "holdout, opened" not in words
    assert "opened before" not in words


def test_code_and_diff_line_by_line() -> None:
    html = render_report(make_view())
    assert html.count('<span class="line">') == 7
    assert '<span class="add">+new' in html
    assert '<span class="del">-old' in html
    assert '<span class="head">--- a/x' in html
    assert '<span class="same"> same' in html


def test_leading_blank_lines_keep_line_numbers() -> None:
    html = render_report(replace(make_view(), code="\n\n\nx = 1\n\n\n"))
    assert html.count('<span class="line">') == 4


MARKS = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</title></style></svg><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;script&gt;&#60;b&#62;",
    "<!-- --!><b>",
    "]]><b onclick=x>",
    "javascript:alert(1)//\x00\x1b[31m\u202e\x9b",
]


@pytest.mark.parametrize("mark", MARKS)
def test_hostile_texts_stay_texts(mark: str) -> None:
    page = assert_inert(render_report(make_view(mark=mark)))
    shown = re.sub(r"[\x00\x1b\u202e\x9b]", "�", mark)
    assert page.words.count(re.sub(r"\s+", " ", shown)) >= 20
    assert page.tags == assert_inert(render_report(make_view(mark=" "))).tags or "\n" in mark


def test_control_characters_and_surrogates_do_not_break_the_file() -> None:
    view = make_view(mark="\x00\x08\u202e\u2066\x9b")
    html = render_report(replace(view, code="x = '\ud800\x00'\n", diff="+\udfff\n"))
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", html)
    html.encode("utf-8")


def test_nothing_but_a_result() -> None:
    """An experiment whose machinery broke before it made anything."""
    view = make_view()
    result = ExperimentResult(
        experiment_id="x-1", strategy="X", status=ExperimentStatus.FAILED, reason="no sandbox works here"
    )
    html = render_report(ReportView(result=result, definition=view.definition))
    words = assert_inert(html).words
    for text in (
        "failed",
        "There is no recommendation.",
        "no sandbox works here",
        "No gate was asked.",
        "There are no trades.",
    ):
        assert text in words
    assert "<svg" not in html


@pytest.mark.parametrize("bars", [1, 2, 3, 160, 161])
@pytest.mark.parametrize("trades", [0, 1])
def test_few_bars_few_trades(bars: int, trades: int) -> None:
    html = render_report(make_view(bars=bars, trades=trades))
    assert_inert(html)
    assert "nan" not in html.split('<section id="charts">')[1].split("</section>")[0].lower()
    assert html.count('<svg viewBox="0 0 1040') == 3
    assert ("candle" in html.split("</style>")[1]) is (bars <= 160)
    assert html.count('class="trade ') == trades


@pytest.mark.parametrize("status", list(ExperimentStatus))
def test_every_status(status: ExperimentStatus) -> None:
    assert_inert(render_report(make_view(bars=5, status=status)))


def test_a_hundred_thousand_bars_and_ten_thousand_trades() -> None:
    html = render_report(make_view(bars=100_000, trades=10_000))
    words = assert_inert(html).words
    assert len(html) < 1_500_000
    assert "100,000 bars in 500 parts; of each, first, lowest, highest and last are drawn" in words
    assert "400 of 10,000 trades drawn, evenly chosen" in words
    assert "9,000 more trades are not shown" in words
    assert html.count('class="trade ') == DRAWN_TRADES


def test_values_that_are_missing() -> None:
    view = make_view(bars=30)
    assert view.bars is not None
    assert view.equity is not None
    bars, equity = view.bars.copy(), view.equity.copy()
    bars.iloc[3:6, :] = np.nan
    equity.iloc[0:4] = np.nan
    equity.iloc[10] = np.inf
    charts = render_report(replace(view, bars=bars, equity=equity)).split('<section id="charts">')[1]
    assert not re.search(r"\bnan\b|\binf\b", charts.split("</section>")[0])
    all_missing = replace(view, equity=equity * np.nan)
    assert render_report(all_missing).count('<svg viewBox="0 0 1040') == 1


def test_trades_outside_the_bars_are_listed_but_not_drawn() -> None:
    view = make_view(bars=10)
    stray = make_trades(1, 10)[0].model_copy(update={"exit_bar": 99, "entry_price": float("nan")})
    html = render_report(replace(view, trades=[stray]))
    assert 'class="trade ' not in html
    assert "–" in Page(html).words


def test_equity_of_another_length_is_refused() -> None:
    view = make_view(bars=10)
    assert view.equity is not None
    with pytest.raises(ValueError, match="equity has 9 values for 10 bars"):
        render_report(replace(view, equity=view.equity.iloc[:9]))


def test_same_view_same_bytes() -> None:
    assert render_report(make_view()) == render_report(make_view())


# --- what is drawn


def test_the_highest_and_lowest_survive_thinning() -> None:
    values = np.random.default_rng(1).normal(size=50_000).cumsum()
    values[12_345], values[45_678] = 1e6, -1e6
    places = thin(values, 2000)
    assert len(places) <= 2000
    assert {0, 12_345, 45_678, 49_999} <= set(places)
    assert places == sorted(places)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(), max_size=300), st.integers(4, 100))
def test_thinning_keeps_extremes_and_skips_what_cannot_be_drawn(raw: list[float], most: int) -> None:
    values = np.array(raw, dtype=np.float64)
    places = thin(values, most)
    finite = values[np.isfinite(values)]
    assert np.isfinite(values[places]).all()
    assert len(places) <= max(most, 4)
    if len(finite):
        assert values[places].max() == finite.max()
        assert values[places].min() == finite.min()


def test_drawdown_and_buy_and_hold() -> None:
    assert drawdown(np.array([100.0, 120.0, 90.0, np.nan, 150.0])).tolist()[:3] == [0, 0, -25]
    assert np.isnan(drawdown(np.array([100.0, np.nan]))[1])
    bars = make_bars(3).assign(Close=[50.0, 60.0, 40.0])
    assert buy_and_hold(bars, 1000).tolist() == [1000, 1200, 800]


def test_a_chart_shows_values_where_they_are() -> None:
    """The highest close is drawn highest: SVG's y falls."""
    view = make_view(bars=500, trades=0)
    assert view.bars is not None
    path = re.search(r'<path class="price" d="M([^"]+)"', render_report(view))
    assert path
    points = [tuple(map(float, point.split())) for point in path[1].split("L")]
    assert len(points) == 500
    ys = np.array([y for _, y in points])
    assert int(ys.argmin()) == int(view.bars["Close"].to_numpy().argmax())
    assert np.all(np.diff([x for x, _ in points]) > 0)


@pytest.mark.parametrize(
    ("freq", "count", "first"),
    [("D", 2000, "2021"), ("D", 200, "Feb 2020"), ("h", 100, "2 Jan"), ("h", 9, "01:00"), ("D", 1, "1 Jan 2020"),
     ("YE", 60, "2021"), ("min", 3, "1 Jan 00:00")],
)  # fmt: skip
def test_time_ticks(freq: str, count: int, first: str) -> None:
    index = pd.date_range("2020-01-01", periods=count, freq=freq, tz="UTC")
    ticks = time_ticks(index)
    assert ticks[0][1] == first
    assert 1 <= len(ticks) <= 10


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_round_ticks_lie_within(low: float, span: float) -> None:
    ticks = round_ticks(low, low + span)
    assert len(ticks) <= 12
    assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in ticks)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (number(None), "–"),
        (number(float("nan")), "–"),
        (number(float("inf")), "∞"),
        (number(-1234.567), "−1,234.57"),
        (number(7), "7"),
        (percent(12.345, sign=True), "+12.35 %"),
        (percent(-0.5, sign=True), "−0.50 %"),
        (percent(None), "–"),
        (price(1.07219), "1.07219"),
        (price(564.216), "564.22"),
        (price(43120.5), "43,120.50"),
        (quantity(1204.0), "1,204"),
        (quantity(0.25), "0.25"),
        (moment("2004-08-19T00:00:00Z"), "2004-08-19"),
        (moment("2004-08-19T10:00:00Z"), "2004-08-19 10:00"),
        (moment("2004-08-19T15:30:00+00:00"), "2004-08-19 15:30"),
        (moment("2004-08-19T15:30:07Z"), "2004-08-19 15:30:07"),
        (moment("soon"), "soon"),
    ],
)
def test_numbers_as_texts(shown: str, text: str) -> None:
    assert shown == text
