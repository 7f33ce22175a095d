"""From a definition's rules to a backtesting.py strategy, as a person would have written it."""

from domain.compiler.module import CompileError, compile_strategy

__all__ = ["CompileError", "compile_strategy"]
