import logging
import warnings

import talib
from backtesting import Strategy

log = logging.getLogger("strategy")
logging.basicConfig(level=logging.WARNING, format="%(levelname)s {not a field} %(message)s")


class Careful(Strategy):
    def init(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.adx = self.I(talib.ADX, self.data.High, self.data.Low, self.data.Close, 14)

    def next(self):
        try:
            strength = self.adx[-1]
            if strength != strength:
                raise ValueError("no value yet")
            if strength > 20 and not self.position:
                self.buy(size=0.5)
            elif strength < 18:
                self.position.close()
        except (ValueError, ZeroDivisionError) as error:
            log.info("bar %d: %s", len(self.data), error)
        except Exception:
            log.exception("unexpected")
            raise
        finally:
            assert self.equity > 0, "no money left"
