"""Calls of models: each is paid once, kept, and counted."""

from services.calls.prices import estimate, price
from services.calls.purse import NoPurse, OverBudget, Purse
from services.calls.store import Calls, CallsDamaged

__all__ = ["Calls", "CallsDamaged", "NoPurse", "OverBudget", "Purse", "estimate", "price"]
