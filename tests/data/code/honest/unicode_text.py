"""Stratégie: achète au-dessus de la moyenne – „größer“ heißt kaufen, 买入. Señal ≥ umbral → compra ✓"""
from backtesting import Strategy

# Ein Kommentar mit Anführungszeichen “so” und einem Gedankenstrich – das ist erlaubt.
SCHWELLE = 1.01
ЗНАК = "выше"


class Größer(Strategy):
    π = 3.14159

    def init(self):
        self.über = 0

    def next(self):
        if len(self.data) < 10:
            return
        μ = sum(self.data.Close[-10:]) / 10
        if self.data.Close[-1] > μ * SCHWELLE and not self.position:
            self.buy(size=0.5, tag="größer ≥ μ")
            self.über += 1
        elif self.data.Close[-1] < μ:
            self.position.close()
