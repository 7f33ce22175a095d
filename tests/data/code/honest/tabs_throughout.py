from backtesting import Strategy


class Tabbed(Strategy):
	"""Indented by tabs, throughout."""

	days = 3

	def init(self):
		self.count = 0

	def next(self):
		if len(self.data) < self.days + 1:
			return
		falling = all(
			self.data.Close[-i] < self.data.Close[-i - 1]
			for i in range(1, self.days)
		)
		if falling and not self.position:
			self.buy(size=0.5)
		elif self.position and self.data.Close[-1] > self.data.Close[-2]:
			self.position.close()
