"""Buys what has fallen below its band.

Usage, in a notebook:

```python
bt = Backtest(data, Banded)
bt.run()
```

> Quoted: the band is two deviations wide.
~~~
Not a fence of the code either.
~~~
"""
import talib
from backtesting import Strategy


class Banded(Strategy):
    """
    ```
    lower band  ->  buy
    middle band ->  close
    ```
    """

    def init(self):
        self.upper, self.middle, self.lower = self.I(talib.BBANDS, self.data.Close, 20, 1.5, 1.5)

    def next(self):
        if not self.position and self.data.Close[-1] < self.lower[-1]:
            self.buy(size=0.9)
        elif self.position and self.data.Close[-1] > self.middle[-1]:
            self.position.close()
