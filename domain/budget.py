"""The arithmetic of budgets: what is spent, reserved and left, and which limits a call would break.

Money is counted in whole billionths of a dollar, so that sums are exact: a token may cost a ten-millionth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas.budget import Amounts, Balance, Budget
from schemas.usage import Usage

NANO = 10**9
"""Units of money in a dollar."""
_CENT = NANO // 100
# Far above any call, and low enough that a database's 64-bit sums hold: a server may claim any number.
_MOST_TOKENS, _MOST_USD, _MOST_CALLS = 10**12, 1e5, 10**9

Kind = Literal["usd", "tokens", "calls"]
KINDS: tuple[Kind, ...] = ("usd", "tokens", "calls")


@dataclass(frozen=True)
class Amount:
    """What calls use. `nano_usd` counts the priced ones alone; `unpriced` is the number of the others."""

    tokens: int = 0
    nano_usd: int = 0
    calls: int = 0
    unpriced: int = 0

    def of(self, kind: Kind) -> int:
        return {"usd": self.nano_usd, "tokens": self.tokens, "calls": self.calls}[kind]


@dataclass(frozen=True)
class Excess:
    """A limit that a call would break; amounts in tokens, calls or billionths of a dollar, as `kind` says."""

    kind: Kind
    limit: int
    spent: int
    reserved: int
    need: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.spent - self.reserved)

    @property
    def enough(self) -> int:
        """The least limit that allows the call."""
        return self.spent + self.reserved + self.need


def amount_of(usage: Usage) -> Amount:
    calls = min(usage.calls, _MOST_CALLS)
    return Amount(
        tokens=min(usage.input_tokens + usage.output_tokens, _MOST_TOKENS),
        nano_usd=nano(min(usage.usd or 0.0, _MOST_USD)),
        calls=calls,
        unpriced=calls if usage.usd is None else 0,
    )


def nano(usd: float) -> int:
    """The nearest whole number of billionths."""
    return round(usd * NANO)


def cents_up(nano_usd: int) -> float:
    """Dollars, rounded up to the next cent."""
    return -(-nano_usd // _CENT) / 100


def limit_of(budget: Budget, kind: Kind) -> int | None:
    """A limit as an integer: dollars in billionths."""
    if kind == "usd":
        return None if budget.usd is None else nano(budget.usd)
    return budget.tokens if kind == "tokens" else budget.calls


def amount_in(amounts: Amounts, kind: Kind) -> int:
    """Dollars in billionths."""
    return {"usd": nano(amounts.usd), "tokens": amounts.tokens, "calls": amounts.calls}[kind]


def balance_of(limit: Budget, spent: Amount, reserved: Amount) -> Balance:
    rest = {kind: max(0, bound - spent.of(kind) - reserved.of(kind)) for kind, bound in _limits(limit)}
    return Balance(
        # All fields are given, so that a reader of the JSON finds null where there is no limit.
        limit=Budget(tokens=limit.tokens, usd=limit.usd, calls=limit.calls),
        spent=_amounts(spent),
        reserved=_amounts(reserved),
        left=Budget(
            tokens=rest.get("tokens"),
            usd=rest["usd"] / NANO if "usd" in rest else None,
            calls=rest.get("calls"),
        ),
        unknown_usd_calls=spent.unpriced + reserved.unpriced,
    )


def broken(limit: Budget, spent: Amount, reserved: Amount, need: Amount) -> list[Excess]:
    """The limits that `need` would break beside what is spent and reserved."""
    found = (
        Excess(kind, bound, spent.of(kind), reserved.of(kind), need.of(kind))
        for kind, bound in _limits(limit)
    )
    return [one for one in found if one.spent + one.reserved + one.need > one.limit]


def shown(kind: Kind, amount: int) -> str:
    """'$0.0125', '1,200 tokens', '1 call'."""
    if kind == "usd":
        return figure(kind, amount)
    return f"{amount:,} {kind if amount != 1 else kind.removesuffix('s')}"


def figure(kind: Kind, amount: int) -> str:
    """Without its unit, '1,200'; dollars exactly, with two decimals at least: '$2.00', '$0.000012'."""
    if kind != "usd":
        return f"{amount:,}"
    whole, rest = divmod(amount, NANO)
    return f"${whole:,}." + f"{rest:09}".rstrip("0").ljust(2, "0")


def in_words(balance: Balance) -> str:
    """One line: '$0.42 of $2.00 spent, $0.10 reserved, $1.48 left; 3 calls spent'."""
    parts = [_part(balance, kind) for kind in KINDS]
    if balance.unknown_usd_calls:
        calls = shown("calls", balance.unknown_usd_calls)
        parts[0] += f" (and {calls} of unknown price)"
    return "; ".join(parts)


def _part(balance: Balance, kind: Kind) -> str:
    spent, reserved = amount_in(balance.spent, kind), amount_in(balance.reserved, kind)
    limit, left = limit_of(balance.limit, kind), limit_of(balance.left, kind)
    text = shown(kind, spent) if limit is None else f"{figure(kind, spent)} of {shown(kind, limit)}"
    text += " spent"
    if reserved:
        text += f", {figure(kind, reserved)} reserved"
    return text if left is None else f"{text}, {figure(kind, left)} left"


def _amounts(amount: Amount) -> Amounts:
    return Amounts(tokens=amount.tokens, usd=amount.nano_usd / NANO, calls=amount.calls)


def _limits(budget: Budget) -> Iterator[tuple[Kind, int]]:
    for kind in KINDS:
        bound = limit_of(budget, kind)
        if bound is not None:
            yield kind, bound
