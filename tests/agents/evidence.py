"""What the upstream saw of one run, read from its own log: was the file read, and did opaque things come back.

Opaque are signatures and encrypted reasoning: what an answer with a tool call held of them must stand, byte for byte
and under the same name, once, in the request that brings the tool's result.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_OPAQUE = ("signature", "thoughtSignature", "encrypted_content")
Sealed = tuple[str, str]


@dataclass
class Evidence:
    """``given``: opaque things in answers that called the tool; ``missing``: those that did not come back as they were,
    or more than once."""

    calls: int = 0
    read: bool = False
    given: set[Sealed] = field(default_factory=set)
    missing: set[Sealed] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


def calls(log: Path, skip: int) -> list[dict[str, Any]]:
    """The calls in an upstream's log but for the first ``skip``."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [json.loads(line) for line in lines[skip:]]


def opaque(value: Any) -> Iterator[Sealed]:
    """Each opaque text in a JSON value, with the name it stands under."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name in _OPAQUE and isinstance(member, str) and member:
                yield name, member
            else:
                yield from opaque(member)
    elif isinstance(value, list):
        for item in value:
            yield from opaque(item)


def _answered(text: str) -> list[Any]:
    if not text.startswith(("data:", "event:")):
        return [json.loads(text)]
    lines = (line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line.startswith("{")]


def gather(seen: list[dict[str, Any]], path: str, word: str) -> Evidence:
    """What these calls show of a run that reads ``path`` and finds ``word``."""
    found = Evidence(calls=len(seen))
    for call in seen:
        if call["status"] >= 400:
            found.refused.append(f"{call['path']} {call['status']} {call['answer'][:300]}")
            continue
        sent = json.dumps(call["body"], ensure_ascii=False)
        if path not in sent or not (call["body"] or {}).get("tools"):
            continue
        if word in sent:
            found.read = True
            back = Counter(opaque(call["body"]))
            found.missing |= {sealed for sealed in found.given if back[sealed] != 1}
        else:
            found.given |= set(opaque(_answered(call["answer"])))
    return found
