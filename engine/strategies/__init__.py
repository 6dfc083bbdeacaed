"""Strategies: small pure classes that order channels, each a module that ends in its record, found by its file.

A record says what documents call it and what it takes, so whoever adds one writes that module and its test. The
compiler reads the records; ``engine.routing.order`` composes the classes. Nothing here knows more of channels and calls
than ``tier`` says.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from engine.strategies.record import StrategyFault, StrategyRecord

_BESIDE = ("record", "tier")
STRATEGIES: Final[dict[str, StrategyRecord]] = {
    record.name: record
    for module in sorted(info.name for info in iter_modules(__path__) if info.name not in _BESIDE)
    for record in (import_module(f"{__name__}.{module}").STRATEGY,)
}
"""All of them, by the names that documents call them by."""

__all__ = ["STRATEGIES", "StrategyFault", "StrategyRecord"]
