"""The independent reading: which trades the rules imply, without backtesting.py and without generated code.

The order of events is the one in docs/rules.md:

- The first decision is taken one bar after every indicator that the rules and limits mention has its first value. One
  that never gets a value lets nothing be decided.
- At each close: trailing stops are moved. Then an open position ends by its first exit rule that holds, by
  `max_holding_bars` (entered at bar e, it leaves at e + max_holding_bars), or because the other side signals. Then a
  side that signals and isn't the open one is ordered. A side signals when all its entry rules hold and not all of the
  other's. After a stop or a target within a bar, that bar's close may order the same side again.
- A comparison that needs a missing value holds neither as it is nor under `not`; the rest of its rule may.
- Orders fill at the next open, exits first. Stops and targets work from the fill on. A stop or target that the open
  has passed fills at the open; of a stop and a target in one bar, the stop counts.
- An order isn't placed where a stop or target would be missing, zero or less, or on the wrong side of the close, or
  where its size is less than one unit. Units that cost more at the close than the cap allows become that share of the
  equity. An order lapses where the open asks for more than there is.
- At the end of data an open position is closed at the *open* of the last bar, and what the last close ordered is
  filled there too: this is how backtesting.py finalises trades, and it is kept so that both agree. Such an entry is
  only seen as a trade if its stop or target is hit within that bar.
- An account at zero or less is closed out at that bar's close, and nothing follows.
"""

from domain.expected.explain import explain_no_trades
from domain.expected.reading import Reading
from domain.expected.walk import expected_trades

__all__ = ["Reading", "expected_trades", "explain_no_trades"]
