from backtesting import Strategy


class Node:
    """A linked list of states; `_next` is its own business."""

    __slots__ = ("name", "_next")

    def __init__(self, name, following=None):
        self.name = name
        self._next = following

    def __repr__(self):
        return f"{type(self).__name__}({self.name})"

    def __eq__(self, other):
        return isinstance(other, Node) and self.name == other.name and self._next is other._next

    def __hash__(self):
        return hash(self.name)


class Cycle(Strategy):
    bars_each = 10
    __author__ = "a person"

    def init(self):
        flat = Node("flat")
        flat._next = Node("long", flat)
        self._state = flat
        self.__count = 0

    def next(self):
        self.__count += 1
        if self.__count % self.bars_each:
            return
        self._state = self._state._next
        if self._state.name == "long":
            self.buy(size=0.5)
        else:
            self.position.close()
