"""The engine that needs no model: it compiles the definition's rules."""

from domain.compiler import compile_strategy
from domain.definitions import read_rulebook
from schemas.code import FixedCode, GeneratedCode
from schemas.orders import FixOrder, GenerateOrder
from services.engines.contract import CannotFix


class OfflineEngine:
    name = "offline"

    def generate(self, order: GenerateOrder) -> GeneratedCode:
        return compile_strategy(order.definition, read_rulebook(order.definition))

    def fix(self, order: FixOrder) -> FixedCode:
        raise CannotFix(
            "the offline engine compiles the rules, and would write the same code again: change the definition, or "
            "take an engine that can repair"
        )
