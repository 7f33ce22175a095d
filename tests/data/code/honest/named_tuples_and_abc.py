from abc import ABC, abstractmethod
from typing import NamedTuple, Optional

from backtesting import Strategy


class Signal(NamedTuple):
    side: int
    reason: str = ""


class Rule(ABC):
    base = 10

    @abstractmethod
    def judge(self, data: "object") -> "Optional[Signal]": ...


class Momentum(Rule):
    def __init__(self, n: int) -> None:
        self.n = n

    def judge(self, data: "object") -> "Optional[Signal]":
        if len(data.Close) <= self.n:
            return None
        change = data.Close[-1] / data.Close[-self.n] - 1
        return Signal(1, "up") if change > 0.03 else Signal(-1, "down") if change < -0.03 else None


class ByRules(Strategy):
    def init(self):
        self.rules: "list[Rule]" = [Momentum(5), Momentum(self.base_length())]

    @classmethod
    def base_length(cls) -> int:
        return Rule.base * 2

    def next(self):
        votes = [signal for rule in self.rules if (signal := rule.judge(self.data))]
        score = sum(vote.side for vote in votes)
        if score > 0 and not self.position:
            self.buy(size=0.5, tag=", ".join(f"{v.reason}" for v in votes))
        elif score < 0:
            self.position.close()
