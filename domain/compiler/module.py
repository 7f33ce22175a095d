"""The module: imports, helpers, class, `init`, `next`."""

import math
import textwrap
from dataclasses import dataclass

from domain.compiler.expressions import Writer, talib_call
from domain.compiler.names import HELPERS, OWN_NAMES, STRATEGY_NAMES, Names
from domain.compiler.orders import Orders
from domain.compiler.series import Call, atr_of, call_of, computed_series, gapless, needed, warm_up
from domain.rules.ast import Named, Parameter, Rule, Rulebook
from domain.rules.catalogue import CATALOGUE
from domain.rules.tree import walk
from schemas.code import GeneratedCode
from schemas.definition import DistanceKind, StrategyDefinition
from schemas.trading import Side

_WIDTH = 100
_MOST = 2**53
"""Whole numbers beyond this aren't exact as floats."""

_RATIO = '''
def ratio(numerator, denominator):
    """The quotient, nan where the denominator is 0."""
    return numerator / np.where(denominator == 0, np.nan, denominator)
'''

_PAST = '''
def past(series, bars):
    """The value so many bars ago, nan before the first bar."""
    return series[-1 - bars] if len(series) > bars else math.nan
'''

_VWAP = '''
def vwap(high, low, close, volume, period):
    """Volume-weighted average of the typical price over the last `period` bars."""
    value = pd.Series((high + low + close) / 3 * volume)
    return value.rolling(period).sum() / pd.Series(volume).rolling(period).sum()
'''


class CompileError(ValueError):
    """A definition that can't become code: what, where, and what to do instead."""


def compile_strategy(definition: StrategyDefinition, rulebook: Rulebook) -> GeneratedCode:
    """The definition as a backtesting.py module. The same definition always gives the same text.

    Expects a definition that `domain.definitions` has checked; raises CompileError for numbers that Python can't hold
    exactly.
    """
    return _Module(definition, rulebook).write()


@dataclass
class _Side:
    """What one side of the definition comes to in `next`."""

    side: Side
    entry: tuple[Rule, ...]
    exit: tuple[Rule, ...]
    enter: str
    leave: str


class _Module:
    def __init__(self, definition: StrategyDefinition, rulebook: Rulebook) -> None:
        self.definition, self.rulebook = definition, rulebook
        _check_numbers(definition)
        names = Names(STRATEGY_NAMES | OWN_NAMES)
        self.parameters = {name: names.take(name) for name in definition.parameters}
        self.computed = computed_series(definition, rulebook, names)
        self.values = {name: float(value) for name, value in definition.parameters.items()}
        self.writer = Writer(
            parameters=self.parameters,
            computed={computed.call: computed for computed in self.computed},
            reach=1 + max((self._warm_up(computed.call) for computed in self.computed), default=0),
            values=self.values,
        )
        self.orders = Orders(definition, self.writer)
        both = bool(rulebook.entry and rulebook.short_entry)
        self.sides = [
            _Side(
                side, entry, leave, f"enter_{side}" if both else "enter", f"leave_{side}" if both else "leave"
            )
            for side, entry, leave in (
                (Side.LONG, rulebook.entry, rulebook.exit),
                (Side.SHORT, rulebook.short_entry, rulebook.short_exit),
            )
            if entry
        ]
        self.name = Names(HELPERS).take(definition.name)

    # The text

    def write(self) -> GeneratedCode:
        body = self._next()
        init = self._init()
        if self._waits():
            every = ", ".join(f"self.{computed.attributes[0]}" for computed in self.computed)
            every += "," if len(self.computed) == 1 else ""
            self.writer.helpers.add("ready")
            init += [
                "# Too few bars leave an indicator without any value: nothing is decided then.",
                f"self.ready = not any(np.isnan(series).all() for series in ({every}))",
            ]
            body = ["if not self.ready:", "    return", "", *body]
        helpers = self._helpers()
        sections = [
            self._imports("pd." in "\n".join([*init, *helpers])),
            *(text.strip("\n") for text in helpers),
            "\n".join([f"class {self.name}(Strategy):", *_indented(self._class(init, body))]),
        ]
        text = "\n\n\n".join(sections) + "\n"
        packages = {
            "backtesting": "backtesting",
            "TA-Lib": "import talib",
            "numpy": "import numpy",
            "pandas": "import pandas",
        }
        dependencies = [name for name, line in packages.items() if line in sections[0]]
        return GeneratedCode(code=text, entrypoint=self.name, dependencies=dependencies)

    def _uses_talib(self) -> bool:
        return any(CATALOGUE[computed.call.name].talib for computed in self.computed)

    def _helpers(self) -> list[str]:
        used = self.writer.helpers
        vwap = any(computed.call.name == "VWAP" for computed in self.computed)
        return [
            text
            for text, is_used in ((_RATIO, "ratio" in used), (_PAST, "past" in used), (_VWAP, vwap))
            if is_used
        ]

    def _imports(self, pandas: bool) -> str:
        used = self.writer.helpers
        third = [
            *(["import numpy as np"] if used & {"ratio", "ready"} else []),
            *(["import pandas as pd"] if pandas else []),
            *(["import talib"] if self._uses_talib() else []),
            "from backtesting import Strategy",
        ]
        return "\n".join([*(["import math", ""] if "past" in used else []), *third])

    def _class(self, init: list[str], body: list[str]) -> list[str]:
        lines = [*self._docstring(), ""]
        whole = self._whole_parameters()
        for name, value in self.definition.parameters.items():
            literal = str(int(value)) if name in whole or isinstance(value, int) else repr(value)
            lines.append(f"{self.parameters[name]} = {literal}")
        lines += [""] if self.definition.parameters else []
        lines += ["def init(self):", *_indented(init or ["pass"]), "", "def next(self):", *_indented(body)]
        if method := self.orders.size_method():
            lines += ["", *method]
        return lines

    def _whole_parameters(self) -> set[str]:
        """Parameters that stand for a period: TA-Lib takes no 14.0."""
        names = set()
        for computed in self.computed:
            kinds = {argument.name: argument.kind for argument in CATALOGUE[computed.call.name].arguments}
            for name, value in computed.call.args:
                if isinstance(value, Parameter) and kinds[name] == "int":
                    names.add(value.name)
        return names

    def _docstring(self) -> list[str]:
        definition = self.definition
        about = f"{definition.symbol}, {definition.interval} bars. Version {definition.version}."
        paragraphs = [
            *(definition.description or definition.name).splitlines(),
            *definition.notes.splitlines(),
            about + " Decided on a bar's close, filled at the next open.",
        ]
        texts = [_printable(paragraph) for paragraph in paragraphs if paragraph.strip()]
        wrapped = "\n\n".join(textwrap.fill(text, _WIDTH - 4, break_long_words=False) for text in texts)
        safe = wrapped.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        return f'"""{safe}\n"""'.splitlines()

    # init and next

    def _init(self) -> list[str]:
        lines = []
        for computed in self.computed:
            targets = ", ".join(f"self.{attribute}" for attribute in computed.attributes)
            lines.append(f"{targets} = {talib_call(computed.call, self.writer)}")
        return lines

    def _warm_up(self, call: Call) -> int:
        return warm_up(call, self.values)

    def _waits(self) -> bool:
        """Whether something could be decided, or looked up too far back, without one of the indicators having a value.

        backtesting.py starts at once where an indicator has no value at all.
        """
        return bool(self.computed) and (
            "deep" in self.writer.helpers or any(self._does_without(side) for side in self.sides)
        )

    def _does_without(self, side: _Side) -> bool:
        """Whether the side could be entered while some indicator has no value. One that its rules don't need has a
        value whenever a slower one has that they do need."""
        required = self._required(side)
        slowest = max((self._warm_up(call) for call in required), default=-1)
        return any(
            computed.call not in required
            and not (gapless(computed.call) and self._warm_up(computed.call) <= slowest)
            for computed in self.computed
        )

    def _required(self, side: _Side) -> set[Call]:
        required: set[Call] = set()
        for rule in side.entry:
            required |= needed(rule.condition)
        risk = self.definition.risk_limits
        for limit in (risk.stop_loss, risk.take_profit):
            if limit is not None and limit.kind is DistanceKind.ATR:
                required.add(call_of(atr_of(limit)))
        return required

    def _next(self) -> list[str]:
        rules: list[str] = []
        for side in self.sides:
            rules += [*_assignment(side.enter, side.entry, self.writer, "and"), ""]
            if side.exit:
                rules += [*_assignment(side.leave, side.exit, self.writer, "or"), ""]
        trail = self.orders.trail(
            long=any(side.side is Side.LONG for side in self.sides),
            short=any(side.side is Side.SHORT for side in self.sides),
        )
        act = self._both_sides() if len(self.sides) == 2 else self._one_side(self.sides[0])
        variables = self._variables()
        first = ["price = self.data.Close[-1]"] if "price" in self.writer.helpers else []
        opening = [*first, *variables]
        return [*opening, *([""] if opening else []), *rules, *trail, *([""] if trail else []), *act]

    def _variables(self) -> list[str]:
        """The definition's named formulas, each after those that it is made from."""
        lines: dict[str, str] = {}

        def write(variable: str) -> None:
            formula = self.writer.variables[variable].expr
            text = self.writer.now(formula)
            parts = {part.name for part in walk(formula) if isinstance(part, Named)}
            for other, named in list(self.writer.variables.items()):
                if other not in lines and named.name in parts:
                    write(other)
            lines[variable] = f"{variable} = {text}"

        for variable in list(self.writer.variables):
            if variable not in lines:
                write(variable)
        return list(lines.values())

    def _held_too_long(self) -> str:
        most = self.definition.risk_limits.max_holding_bars
        if most is None:
            return ""
        value = f"self.{self.parameters[most]}" if isinstance(most, str) else str(most)
        return f"len(self.data) - self.trades[0].entry_bar >= {value}"

    def _one_side(self, side: _Side) -> list[str]:
        reasons = [reason for reason in (side.leave if side.exit else "", self._held_too_long()) if reason]
        enter = self.orders.enter(side.side)
        if not reasons:
            return [f"if {side.enter} and not self.position:", *_indented(enter)]
        return [
            "if self.position:",
            f"    if {' or '.join(reasons)}:",
            "        self.position.close()",
            f"elif {side.enter}:",
            *_indented(enter),
        ]

    def _both_sides(self) -> list[str]:
        long, short = self.sides
        held = self._held_too_long()
        lines = [
            "# Where both sides want to enter, neither does.",
            "if enter_long and enter_short:",
            "    enter_long = enter_short = False",
            "",
        ]
        for word, side, other in (("if", long, short), ("elif", short, long)):
            reasons = [reason for reason in (side.leave if side.exit else "", other.enter, held) if reason]
            lines += [
                f"{word} self.position.is_{side.side}:",
                f"    if {' or '.join(reasons)}:",
                "        self.position.close()",
            ]
        lines.append("")
        for word, side in (("if", long), ("elif", short)):
            lines += [
                f"{word} {side.enter} and not self.position.is_{side.side}:",
                *_indented(self.orders.enter(side.side)),
            ]
        return lines


def _assignment(name: str, rules: tuple[Rule, ...], writer: Writer, word: str) -> list[str]:
    if len(rules) == 1:
        return [*_comment(rules[0]), f"{name} = {writer.condition(rules[0].condition)}"]
    lines = [f"{name} = ("]
    for count, rule in enumerate(rules):
        text = writer.conjunct(rule.condition) if word == "and" else writer.condition(rule.condition)
        lines += [f"    {line}" for line in (*_comment(rule), f"{word} {text}" if count else text)]
    return [*lines, ")"]


def _comment(rule: Rule) -> list[str]:
    return textwrap.wrap(
        f"{rule.path}: {_printable(rule.text)}",
        _WIDTH - 12,
        initial_indent="# ",
        subsequent_indent="#     ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(text: str) -> str:
    """One line in which nothing can end a line, hide or reorder text: such characters are shown as escapes."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _check_numbers(definition: StrategyDefinition) -> None:
    for name, value in definition.parameters.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise CompileError(f"parameters.{name} is {value}; write a finite number")
        if isinstance(value, int) and abs(value) > _MOST:
            raise CompileError(
                f"parameters.{name} has more than 15 digits; write a whole number up to {_MOST}"
            )
