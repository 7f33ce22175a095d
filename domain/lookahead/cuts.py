"""Where the data is cut."""

import hashlib
from collections.abc import Sequence

from schemas.trading import ExpectedTrade

CUTS = 6
LEAST = 2
MOST_BARS = 60_000
"""Bars of all prefixes together, beside twice the data's; beyond them there are fewer cuts, but at least LEAST."""


def choose_cuts(seed: str, length: int, expected: Sequence[ExpectedTrade]) -> list[int]:
    """Numbers of bars, ascending, each less than `length`: the same for the same seed, and not to be guessed without.

    Half of them end where a trade of `expected` is decided, at its entry or its exit, where there are such trades; one
    lies early, where warm-up has just ended or not even that; the rest lie anywhere in the later three quarters.
    """
    if length < 3:
        return []
    decided = sorted(
        {bar for trade in expected for bar in (trade.entry_bar, trade.exit_bar) if 2 <= bar < length}
    )
    early = range(2, max(3, length // 4))
    later = range(max(2, length // 4), length)
    chosen: list[int] = [early[_draw(seed, "early", len(early))]]
    for number in range(CUTS // 2 if decided else 0):
        chosen.append(decided[_draw(seed, f"decided {number}", len(decided))])
    for number in range(10 * CUTS):
        if len(set(chosen)) >= CUTS:
            break
        chosen.append(later[_draw(seed, f"later {number}", len(later))])
    cuts = sorted(set(chosen))
    number = 0
    while len(cuts) > LEAST and sum(cuts) > MOST_BARS + 2 * length:
        del cuts[_draw(seed, f"dropped {number}", len(cuts))]
        number += 1
    return cuts


def _draw(seed: str, what: str, below: int) -> int:
    digest = hashlib.sha256(f"{seed}:{what}".encode()).digest()
    return int.from_bytes(digest[:8]) % below
