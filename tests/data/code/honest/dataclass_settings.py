from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
import talib
from backtesting import Strategy


@dataclass(frozen=True, slots=True)
class Settings:
    fast: int = 12
    slow: int = 26
    signal: int = 9
    weights: list[float] = field(default_factory=lambda: [0.5, 0.3, 0.2])

    def __post_init__(self) -> None:
        if self.fast >= self.slow:
            raise ValueError(f"fast={self.fast} is not below slow={self.slow}")


class MacdStrategy(Strategy):
    settings = Settings()

    def init(self) -> None:
        s = self.settings
        self.macd, self.macd_signal, self.hist = self.I(talib.MACD, self.data.Close, s.fast, s.slow, s.signal)
        self.described = ", ".join(f"{key}={value}" for key, value in asdict(s).items())

    def next(self) -> None:
        recent = np.asarray(self.hist[-3:])
        score = float(np.dot(recent, self.settings.weights)) if len(recent) == 3 else 0.0
        if score > 0 and not self.position.is_long:
            self.buy(size=0.9)
        elif score < 0 and self.position.is_long:
            self.position.close()
