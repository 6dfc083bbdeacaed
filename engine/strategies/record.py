"""What a strategy is to documents: its name, its words, its parameters, and how it is made of them. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.strategies.tier import Strategy


@dataclass(frozen=True, slots=True)
class StrategyFault:
    """What is wrong with parameters that their schema allows: where below them, in words, and what is expected."""

    path: tuple[str | int, ...]
    message: str
    expected: str


def _nothing(parameters: Mapping[str, Any]) -> StrategyFault | None:
    return None


@dataclass(frozen=True, slots=True)
class StrategyRecord:
    """``parameters`` are JSON Schemas by name, each an argument of ``make``; ``check`` sees what no schema can."""

    name: str
    make: Callable[..., Strategy]
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], StrategyFault | None] = _nothing

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what a Route says of it."""
        schema: dict[str, Any] = {
            "description": self.description,
            "type": "object",
            "additionalProperties": False,
        }
        if self.required:
            schema["required"] = list(self.required)
        if self.parameters:
            schema["properties"] = dict(self.parameters)
        return schema
