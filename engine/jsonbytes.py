"""JSON as bytes and back: nothing that arrived in parsed JSON is refused on its way out. Imports nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson


def dumps(value: object) -> bytes:
    """JSON in one line, in UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, both of which arrive in parsed JSON.
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def holds(data: bytes, marks: Iterable[bytes]) -> bool:
    """Whether any of these stands in the bytes. PERF: `bytes in bytes` makes an error of one letter first."""
    for mark in marks:  # noqa: SIM110 - any() would make a generator for what is mostly one mark
        if data.find(mark) >= 0:
            return True
    return False


def loads(data: bytes) -> Any:
    """What ``dumps`` wrote; raises ``ValueError`` for what is no JSON."""
    try:
        return orjson.loads(data)
    except ValueError:  # escaped lone surrogates
        return json.loads(data)
