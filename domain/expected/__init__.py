"""The independent reading: which trades a definition's rules imply, without backtesting.py and without generated code.

The order of events is the one in docs/rules.md:

- The first decision is taken one bar after every indicator that the definition mentions has its first value; one that
  never gets a value lets nothing be decided.
- At each close: trailing stops are moved; then an open position ends by its first exit rule that holds, by
  `max_holding_bars` (bar N after the entry is the one it leaves on), or because the other side signals; then a side that
  signals and isn't the open one is ordered. A side signals when all its entry rules hold and not all of the other's.
- Orders fill at the next open, exits first. Stops and targets work from the fill on. A stop that the open has passed
  fills at the open; of a stop and a target in one bar, the stop counts.
- An order isn't placed where a stop or target would be zero or less, missing, or on the wrong side of the close; where
  its size is less than one unit; and it lapses where the open asks for more than there is.
- At the end of data an open position is closed at the *open* of the last bar, and what the last close ordered is
  filled there too: this is how backtesting.py finalises trades, and it is kept so that both agree. Such an entry is
  only seen as a trade if its stop or target is hit within that bar.
- An account at zero or less is closed out at that bar's close, and nothing follows.
"""

from domain.expected.explain import explain_no_trades
from domain.expected.reading import Reading
from domain.expected.walk import expected_trades

__all__ = ["Reading", "expected_trades", "explain_no_trades"]
