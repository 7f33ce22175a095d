"""Whether a strategy knows what comes later: it is run on the first bars only, and must decide there as on all of them.

Cuts are chosen outside (`cuts`), what was seen is compared (`compare`), and lines of code that may be the reason are
looked for (`lines`).
"""

from domain.lookahead.compare import Peek, Seen, compare, read_seen
from domain.lookahead.cuts import choose_cuts
from domain.lookahead.lines import suspicious_lines

__all__ = ["Peek", "Seen", "choose_cuts", "compare", "read_seen", "suspicious_lines"]
