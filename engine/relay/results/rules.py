"""What a merged Policy says of keeping results: where, how long, how large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_DAY, _DAYS = 86_400, 30.0
_BYTES = 268_435_456


@dataclass(frozen=True, slots=True)
class ResultRules:
    """``keep``: the store's name, empty where nothing is kept; for how many ``seconds``; ``bytes`` of the largest."""

    keep: str = ""
    seconds: int = int(_DAYS * _DAY)
    bytes: int = _BYTES
    stores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def result_rules(policy: Mapping[str, Any]) -> ResultRules:
    """See ``ResultRules``."""
    declared = policy.get("results") or {}
    return ResultRules(
        str(declared.get("keep") or ""),
        int(float(declared.get("days", _DAYS)) * _DAY),
        int(declared.get("bytes", _BYTES)),
        declared.get("stores") or {},
    )
