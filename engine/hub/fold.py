"""Folds the spelling of keys (``thought_signature`` and ``thoughtSignature``) to the one a format's mappings use.

Subtrees that hold the caller's own data (arguments, schemas) are named by the format and left as they are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from engine.bounds import LONGEST_KEPT

_UNDERSCORED = re.compile(r"_([a-z0-9])")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


@functools.lru_cache(4096)
def _camel(key: str) -> str:
    return _UNDERSCORED.sub(lambda found: found[1].upper(), key)


@functools.lru_cache(4096)
def _snake(key: str) -> str:
    return _HUMP.sub(lambda found: "_" + found[1].lower(), key)


def spelling(rule: Mapping[str, Any]) -> Callable[[str], str]:
    """What gives a key as ``rule`` (``{fold: camel|snake}``) spells it; of long ones nothing is kept."""
    spell = _camel if rule.get("fold") == "camel" else _snake
    return lambda key: spell(key) if len(key) <= LONGEST_KEPT else spell.__wrapped__(key)


def fold_keys(body: Any, rule: Mapping[str, Any]) -> Any:
    """Return ``body`` with every key folded as ``rule`` (``{fold: camel|snake, except: [keys]}``) says."""
    spell = spelling(rule)
    untouched = frozenset(rule.get("except") or ())

    def fold(value: Any) -> Any:
        if isinstance(value, dict):
            folded = {}
            for key, inner in value.items():
                spelled = spell(key)
                folded[spelled] = inner if spelled in untouched else fold(inner)
            return folded
        if isinstance(value, list):
            return [fold(item) for item in value]
        return value

    return fold(body)
