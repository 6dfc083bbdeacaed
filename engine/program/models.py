"""What Model documents say of a model, found by its name: the ``traits`` that formats, patches and shaping ask for.

Knows no model: the documents do. What they don't say is absent, so that a model that nobody describes is as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from engine.filters.patterns import pattern
from engine.program import layout
from engine.program.layout import WHOLE, Functions, data

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The hub's words for how hard to think, by how hard."""
NOTHING: Mapping[str, Any] = {}
"""The traits of a model that nobody describes. A plain map, as expressions read no other."""
_ABOUT = frozenset({"names", "except", "sources"})
_REMEMBERED = 4096
_LONGEST = 256


def fitted_efforts(known: Iterable[str], nearest: Mapping[str, str], mode: str | None) -> dict[str, str]:
    """For each effort the word that a model has for it.

    ``none`` stays where thinking can be switched off by other means; where it can't be, the least is nearest.
    """
    words = [word for word in EFFORTS if word in set(known)]
    thinking = [word for word in words if word != "none"]
    table = {}
    for rank, word in enumerate(EFFORTS):
        if word in words:
            table[word] = word
        elif word == "none":
            table[word] = words[0] if mode == "always" else word
        elif thinking:
            table[word] = min(thinking, key=lambda effort: (abs(EFFORTS.index(effort) - rank), -EFFORTS.index(effort)))
    return {**table, **nearest}


def _compiled(value: Any, functions: Functions) -> tuple[Any, ...]:
    return tuple(pattern(item).compiled for item in value or ())


def _traits(value: Any, functions: Functions) -> dict[str, Any]:
    traits = {word: trait for word, trait in value.items() if word not in _ABOUT}
    if "efforts" in traits:
        mode = (traits.get("thinking") or {}).get("mode")
        traits["effort"] = fitted_efforts(traits["efforts"], traits.get("nearest") or {}, mode)
    return traits


def _newest(value: Any, functions: Functions) -> str:
    return max((str(source["date"]) for source in (value or {}).values()), default="")


@dataclass(frozen=True, slots=True)
class Model:
    """One document."""

    name: str = data(needed=True)
    patterns: tuple[Any, ...] = data("names", _compiled)
    exceptions: tuple[Any, ...] = data("except", _compiled)
    traits: dict[str, Any] = data(WHOLE, _traits)
    """Its words, and ``effort``: what stands for each effort."""
    read: str = data("sources", _newest)
    """The newest day on which a page was read for it; nothing where it names none."""

    def fits(self, bare: str) -> bool:
        """Whether it describes the model of this name."""
        matched = any(compiled.fullmatch(bare) for compiled in self.patterns)
        return matched and not any(compiled.fullmatch(bare) for compiled in self.exceptions)


class Models:
    """All of them, the nearest first. PERF: a name is looked for once; whoever asks again pays 60 ns."""

    __slots__ = ("_all", "traits")

    def __init__(self, models: Iterable[Model] = ()) -> None:
        self._all = tuple(models)
        # of the data and not of self: what holds itself lives until a full pass of the collector
        self.traits = lru_cache(maxsize=_REMEMBERED)(partial(_traits_of, self._all))
        """The traits of a model by the name that its provider knows it by."""

    def describing(self, name: str) -> Model | None:
        """The document that describes a model."""
        return _describing(self._all, name)

    def __iter__(self) -> Any:
        return iter(self._all)


def _describing(models: tuple[Model, ...], name: str) -> Model | None:
    bare = name.rpartition("/")[2].lower()
    if not bare or len(bare) > _LONGEST:
        return None
    return next((model for model in models if model.fits(bare)), None)


def _traits_of(models: tuple[Model, ...], name: str | None) -> Mapping[str, Any]:
    model = _describing(models, name or "")
    return NOTHING if model is None else model.traits


def models(value: Any, functions: Functions) -> Models:
    """The models of an artefact's list."""
    return Models(layout.several(Model)(value, functions))
