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
    return _UNDERSCORED.sub(lambda match: match[1].upper(), key)


@functools.lru_cache(4096)
def _snake(key: str) -> str:
    return _HUMP.sub(lambda match: "_" + match[1].lower(), key)


def spelling(rule: Mapping[str, Any]) -> Callable[[str], str]:
    """What gives a key as ``rule`` (``{fold: camel|snake}``) spells it; of long ones nothing is kept."""
    spell = _camel if rule.get("fold") == "camel" else _snake
    return lambda key: spell(key) if len(key) <= LONGEST_KEPT else spell.__wrapped__(key)


def fold_keys(body: Any, rule: Mapping[str, Any]) -> Any:
    """Return ``body`` with every key folded as ``rule`` (``{fold: camel|snake, except: [keys], lists: [paths]}``) says.

    At the paths of ``lists`` one object stands for a list of it.
    """
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

    folded = fold(body)
    for path in rule.get("lists") or ():
        _listed(folded, path.split("."))
    return folded


def _listed(value: Any, path: list[str]) -> None:
    """Make a list of what stands alone at a path, in place; lists on the way are gone through."""
    if isinstance(value, list):
        for item in value:
            _listed(item, path)
    elif isinstance(value, dict) and path[0] in value:
        if len(path) > 1:
            _listed(value[path[0]], path[1:])
        elif isinstance(value[path[0]], dict):
            value[path[0]] = [value[path[0]]]
