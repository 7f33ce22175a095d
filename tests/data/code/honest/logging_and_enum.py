import logging
from enum import Enum, auto

import talib as ta
from backtesting import Strategy

logger = logging.getLogger(__name__)


class Regime(Enum):
    CALM = auto()
    WILD = auto()

    def __str__(self):
        return self.name.lower()


class VolatilityRegime(Strategy):
    """ATR in percent decides the regime; `__init__` is left alone."""

    period = 14

    def init(self):
        logger.info("starting %s", self.__class__.__name__)
        self.natr = self.I(ta.NATR, self.data.High, self.data.Low, self.data.Close, timeperiod=self.period)
        self.sma = self.I(ta.SMA, self.data.Close, timeperiod=50)
        self.regime = None

    def classify(self):
        return Regime.WILD if self.natr[-1] > 3.0 else Regime.CALM

    def next(self):
        regime = self.classify()
        if regime is not self.regime:
            logger.debug("bar %d: %s", len(self.data), regime)
            self.regime = regime
        if regime is Regime.CALM and self.data.Close[-1] > self.sma[-1] and not self.position:
            self.buy(size=0.8, sl=self.data.Close[-1] * 0.9)
        elif regime is Regime.WILD and self.position:
            self.position.close()
