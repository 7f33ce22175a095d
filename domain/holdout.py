"""The sealed end of the data: how much of it, and whether what came before is the same once it is there."""

import math
from collections.abc import Sequence

from schemas.trading import Trade

LEAST_BARS = 250
"""With fewer bars in all none are held back: too little would be left on either side to say anything."""
MOST_TEXTS = 10


def held_back(bars: int, share: float) -> int:
    """How many of so many bars are sealed; 0 where there are too few."""
    return 0 if bars < LEAST_BARS else math.floor(bars * share)


def changed_before(seam: int, before: Sequence[Trade], after: Sequence[Trade]) -> list[str]:
    """What a run on all bars did otherwise before bar `seam` than the run that ended there, earliest first.

    `before` and `after` in order of entry. The first run ended at bar `seam - 1`: it closed there what it held, and
    filled there what its last close had ordered. So of a trade that reached that bar only the entry must be the same,
    and the other run's exit can't lie earlier; one that was entered on that bar isn't compared.
    """
    last = seam - 1
    early = [trade for trade in before if trade.entry_bar < last]
    late = [trade for trade in after if trade.entry_bar < last]
    found = []
    for number in range(max(len(early), len(late))):
        one = early[number] if number < len(early) else None
        two = late[number] if number < len(late) else None
        if one and two and _same(one, two, last):
            continue
        found.append(f"without the holdout: {_shown(one)}; with it: {_shown(two)}")
        if len(found) == MOST_TEXTS:
            break
    return found


def _same(one: Trade, two: Trade, last: int) -> bool:
    if (one.side, one.size, one.entry_bar) != (two.side, two.size, two.entry_bar):
        return False
    if not math.isclose(one.entry_price, two.entry_price, rel_tol=1e-9):
        return False
    if one.exit_bar >= last:
        return two.exit_bar >= last
    return one.exit_bar == two.exit_bar and math.isclose(one.exit_price, two.exit_price, rel_tol=1e-9)


def _shown(trade: Trade | None) -> str:
    if trade is None:
        return "no such trade"
    return (
        f"{trade.side} of {trade.size:g} from bar {trade.entry_bar} at {trade.entry_price:.10g} "
        f"to bar {trade.exit_bar} at {trade.exit_price:.10g}"
    )
