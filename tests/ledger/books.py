"""Books of prices for tests: from documents in memory, the shipped ratio rules, and options."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from engine.compiler import Source, compile_set
from engine.compiler.documents import load
from engine.hub.usage import EMPTY, normalise
from engine.ledger.pricing.book import Book

ROOT = Path(__file__).resolve().parents[2]
RATIOS = "specs/prices/new-api-ratios.yaml"
# Counts as most of the world reports them: caches, sound and pictures stand inside the input.
INSIDE = {
    "input": {"path": "p"},
    "output": {"path": "c"},
    "cache_read": {"path": "k", "of": "input"},
    "cache_write": {"path": "w", "of": "input"},
    "reasoning": {"path": "t", "of": "output"},
    "input_image": {"path": "i"},
    "input_audio": {"path": "a"},
    "output_audio": {"path": "ao"},
    "output_image": {"path": "io"},
}
# ... and where caches stand beside it.
BESIDE = INSIDE | {
    "cache_read": {"path": "k", "of": "beside", "side": "input"},
    "cache_write": {"path": "w", "of": "beside", "side": "input"},
    "cache_write_5m": {"path": "w5", "of": "cache_write"},
    "cache_write_1h": {"path": "w1", "of": "cache_write"},
}


def inside(**counts: int) -> dict[str, Any]:
    """A usage whose caches are part of the input."""
    return normalise(counts, INSIDE)


def beside(**counts: int) -> dict[str, Any]:
    """A usage whose caches are counted apart."""
    return normalise(counts, BESIDE)


def nothing(**more: Any) -> dict[str, Any]:
    """An empty usage with calls, meters or factors."""
    return {**EMPTY, **more}


@cache
def _program(documents: tuple[str, ...], shipped: bool) -> Any:
    sources = [Source(f"own{index}.yaml", text, 1) for index, text in enumerate(documents)]
    if shipped:
        sources += [Source(RATIOS, (ROOT / RATIOS).read_text(encoding="utf-8"), 0)]
    result = compile_set(sources, [])
    assert not result.faults, "\n".join(fault.as_text() for fault in result.faults)
    return result.program()


def book(*documents: str, options: dict[str, Any] | None = None, shipped: bool = True) -> Book:
    """A book of own documents and options; what is no text among these is written as JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (options or {}).items()}
    made = Book(_program(documents, shipped), texts)
    assert not made.faults, made.faults
    return made


def prices(rules: str, more: str = "") -> str:
    """A Price document of these rules."""
    lines = "\n".join(f"    {line}" for line in rules.strip().splitlines())
    above = "".join(f"  {line}\n" for line in more.strip().splitlines())
    head = "apiVersion: gatewright/v1\nkind: Price\nmetadata: {name: own}\nspec:\n"
    return f"{head}{above}  models:\n{lines}\n"


def shipped_sources() -> list[Source]:
    """The whole shipped price book."""
    return list(load.read(ROOT / "specs" / "prices", 0)[0])
