"""Charts as inline SVG: price with trades, equity beside buy-and-hold, drawdown. One bar, one place, on all three."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from schemas.trading import Side, TradeRow
from services.report.scales import Floats, percent, price, round_ticks, short, thin, time_ticks

WIDTH = 1040
LEFT, RIGHT = 8, 64
CANDLES_UP_TO = 160
DRAWN_TRADES = 400
DRAWN_POINTS = 2000


@dataclass(frozen=True)
class Chart:
    """One figure: SVG, and notes on what was left out of it."""

    title: str
    svg: Markup
    legend: tuple[tuple[str, str], ...]
    """Class and text of each line or marker."""
    notes: tuple[str, ...] = ()


class Plot:
    """A plot's area and its two scales; marks are collected as SVG."""

    def __init__(self, label: str, index: pd.DatetimeIndex, low: float, high: float, height: int) -> None:
        if not math.isfinite(low) or not math.isfinite(high):
            low, high = 0.0, 1.0
        pad = (high - low) * 0.06 or abs(high) * 0.01 or 1.0
        self._low, self._high = low - pad, high + pad
        self._bars, self._height, self._label = len(index), height, label
        self._ticks = time_ticks(index)
        self._marks: list[Markup] = []

    def x(self, bar: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (bar + 0.5) / max(self._bars, 1)

    def y(self, value: float) -> float:
        top, bottom = 10, self._height - 22
        return bottom - (bottom - top) * (value - self._low) / (self._high - self._low)

    def add(self, template: str, *values: object) -> None:
        """SVG, with values that are escaped."""
        self._marks.append(Markup(template).format(*values))  # noqa: S704 – templates are this module's own

    def line(self, values: Floats, kind: str) -> None:
        places = thin(values, DRAWN_POINTS)
        if len(places) == 1:
            self.add(
                '<circle class="{}" r="3" cx="{:.1f}" cy="{:.1f}"/>',
                kind,
                self.x(places[0]),
                self.y(values[places[0]]),
            )
        elif len(places):
            self.add('<path class="{}" d="{}"/>', kind, self.path(places, values))

    def area(self, values: Floats, kind: str) -> None:
        """Between the line and zero."""
        places = thin(values, DRAWN_POINTS)
        if len(places) > 1:
            base = self.y(0.0)
            ends = f"L{self.x(places[-1]):.1f} {base:.1f}L{self.x(places[0]):.1f} {base:.1f}Z"
            self.add('<path class="{}" d="{}{}"/>', kind, self.path(places, values), ends)

    def path(self, places: Sequence[int], values: Floats) -> str:
        return "M" + "L".join(f"{self.x(place):.1f} {self.y(values[place]):.1f}" for place in places)

    def seam(self, bar: int | None) -> None:
        """Where the holdout begins."""
        if bar is None:
            return
        place = self.x(bar - 0.5)
        self.add(
            '<line class="seam" x1="{:.1f}" x2="{:.1f}" y1="10" y2="{}"/>'
            '<text class="seam" x="{:.1f}" y="{}">holdout</text>',
            *(place, place, self._height - 22, place + 4, self._height - 28),
        )

    def svg(self, describe: str, tick: str = "price") -> Markup:
        grid: list[Markup] = []
        for value in round_ticks(self._low, self._high):
            place, text = self.y(value), (
                percent(value).replace(".00 ", " ") if tick == "percent" else short(value)
            )
            grid.append(
                Markup(
                    '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/><text x="{}" y="{:.1f}">{}</text>'
                ).format(LEFT, WIDTH - RIGHT, place, place, WIDTH - RIGHT + 8, place + 4, text)
            )
        for bar, text in self._ticks:
            place = self.x(bar)
            grid.append(
                Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="10" y2="{}"/>').format(
                    place, place, self._height - 22
                )
            )
            if place < WIDTH - RIGHT - 20:
                grid.append(
                    Markup('<text x="{:.1f}" y="{}">{}</text>').format(place + 3, self._height - 6, text)
                )
        return Markup(
            '<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}{}</svg>'
        ).format(
            WIDTH,
            self._height,
            f"{self._label}. {describe}",
            self._label,
            Markup("").join(grid),
            Markup("").join(self._marks),
        )


def price_chart(bars: pd.DataFrame, trades: Sequence[TradeRow], seam: int | None = None) -> Chart:
    """Candles for few bars, else the close; each trade from entry to exit."""
    index = pd.DatetimeIndex(bars.index)
    high, low, close = (bars[name].to_numpy(dtype=np.float64) for name in ("High", "Low", "Close"))
    candles = len(bars) <= CANDLES_UP_TO
    plot = Plot(
        "Price and trades", index, *_range(low if candles else close, high if candles else close), height=330
    )
    if candles:
        _candles(plot, bars)
    else:
        plot.line(close, "price")
    plot.seam(seam)
    drawn = trades[:: math.ceil(len(trades) / DRAWN_TRADES)] if len(trades) > DRAWN_TRADES else trades
    for trade in drawn:
        if 0 <= trade.entry_bar < len(bars) and 0 <= trade.exit_bar < len(bars):
            _trade(plot, trade)
    notes = []
    if len(close) > DRAWN_POINTS and not candles:
        notes.append(
            f"{len(close):,} bars in {DRAWN_POINTS // 4} parts; of each, first, lowest, highest and last are drawn"
        )
    if len(drawn) < len(trades):
        notes.append(f"{len(drawn):,} of {len(trades):,} trades drawn, evenly chosen")
    legend = [("price", "bars" if candles else "close")]
    if trades:
        legend += [("won", "trade with profit"), ("lost", "trade with loss"), ("long", "long entry"),
                   ("short", "short entry"), ("exit", "exit")]  # fmt: skip
    sides = {trade.side for trade in trades}
    legend = [(kind, text) for kind, text in legend if kind not in ("long", "short") or Side(kind) in sides]
    return Chart("Price and trades", plot.svg(f"{len(trades)} trades"), tuple(legend), tuple(notes))


def _candles(plot: Plot, bars: pd.DataFrame) -> None:
    half = max(0.6, min(5.0, 0.3 * (WIDTH - LEFT - RIGHT) / max(len(bars), 1)))
    for bar, (opened, high, low, close) in enumerate(
        bars[["Open", "High", "Low", "Close"]].to_numpy(dtype=np.float64)
    ):
        if not np.isfinite([opened, high, low, close]).all():
            continue
        x, top, bottom = plot.x(bar), plot.y(max(opened, close)), plot.y(min(opened, close))
        plot.add(
            '<path class="candle {}" d="M{:.1f} {:.1f}V{:.1f}M{:.1f} {:.1f}h{:.1f}v{:.1f}h-{:.1f}z"/>',
            "up" if close >= opened else "down",
            *(x, plot.y(high), plot.y(low), x - half, top, 2 * half, max(bottom - top, 0.8), 2 * half),
        )


def _trade(plot: Plot, trade: TradeRow) -> None:
    if not (math.isfinite(trade.entry_price) and math.isfinite(trade.exit_price)):
        return
    x1, y1 = plot.x(trade.entry_bar), plot.y(trade.entry_price)
    x2, y2 = plot.x(trade.exit_bar), plot.y(trade.exit_price)
    rise = 7 if trade.side is Side.LONG else -7
    said = (
        f"{trade.number}. {trade.side}, {price(trade.entry_price)} to {price(trade.exit_price)}, "
        f"{percent(trade.return_pct, sign=True)} ({trade.entry_time} to {trade.exit_time})"
    )
    plot.add(
        '<g class="trade {}"><title>{}</title><path class="span" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>'
        '<path class="entry {}" d="M{:.1f} {:.1f}l4.5 {}h-9z"/>'
        '<circle class="exit" cx="{:.1f}" cy="{:.1f}" r="2.6"/></g>',
        *(
            "won" if trade.profit >= 0 else "lost",
            said,
            x1,
            y1,
            x2,
            y2,
            trade.side.value,
            x1,
            y1,
            rise,
            x2,
            y2,
        ),
    )


def equity_chart(bars: pd.DataFrame, equity: pd.Series, cash: float, seam: int | None = None) -> Chart:
    values = equity.to_numpy(dtype=np.float64)
    held = buy_and_hold(bars, cash)
    plot = Plot("Equity", pd.DatetimeIndex(bars.index), *_range(values, held), height=240)
    plot.seam(seam)
    plot.line(held, "held")
    plot.line(values, "equity")
    return Chart(
        "Equity",
        plot.svg("The account beside buy-and-hold"),
        (("equity", "strategy"), ("held", "buy and hold")),
    )


def drawdown_chart(bars: pd.DataFrame, equity: pd.Series, cash: float, seam: int | None = None) -> Chart:
    values = drawdown(equity.to_numpy(dtype=np.float64))
    held = drawdown(buy_and_hold(bars, cash))
    plot = Plot("Drawdown", pd.DatetimeIndex(bars.index), *_range(values, held, np.zeros(1)), height=170)
    plot.seam(seam)
    plot.line(held, "held")
    plot.area(values, "under")
    plot.line(values, "drawdown")
    legend = (("drawdown", "strategy"), ("held", "buy and hold"))
    return Chart(
        "Drawdown", plot.svg("Distance from the highest equity so far, in percent", "percent"), legend
    )


def buy_and_hold(bars: pd.DataFrame, cash: float) -> Floats:
    """The account's value if all of it had bought at the first close."""
    close = bars["Close"].to_numpy(dtype=np.float64)
    finite = close[np.isfinite(close)]
    return cash * close / finite[0] if len(finite) and finite[0] > 0 else np.full(len(close), np.nan)


def drawdown(values: Floats) -> Floats:
    """Percent below the highest value so far; zero or negative, NaN where the value is."""
    known = np.where(np.isfinite(values), values, np.nan)
    highest: Floats = np.fmax.accumulate(known)
    below = np.full(len(known), np.nan)
    np.divide(100 * (known - highest), highest, out=below, where=highest > 0)
    return below


def _range(*series: Floats) -> tuple[float, float]:
    every = np.concatenate(series)
    finite = every[np.isfinite(every)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
