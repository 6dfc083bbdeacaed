"""Which open part a stream event means: by key, by kind, or "the current one".

Takes the keys that decode found on the wire (an index, an id, or none); gives the open part. A key that two kinds use
stands for one part of each. Knows nothing of content or order towards the target.
"""

from __future__ import annotations

from typing import Any

from engine.hub.stream.parts import OpenPart, PartFaultError


def check_key(key: Any, kind: Any = None) -> None:
    """A key and a kind must be text or a number; what the wire holds instead is the upstream's fault."""
    if not (key is None or isinstance(key, str | int)) or not (kind is None or isinstance(kind, str | int)):
        raise PartFaultError("a part's key or kind is neither text nor number")


class Keys:
    """The open parts of one answer. ``keyed`` and ``current`` are read directly on the hot path."""

    __slots__ = ("closed", "current", "keyed", "open")

    def __init__(self) -> None:
        self.keyed: dict[Any, OpenPart] = {}
        self.current: dict[str | None, OpenPart] = {}
        self.closed: dict[Any, str] = {}
        self.open: dict[OpenPart, None] = {}

    def find(self, key: Any, kind: str | None) -> OpenPart | None:
        """The open part of an event; without a key the current one of its kind."""
        if key is None:
            return self.current.get(kind)
        part = self.keyed.get(key)
        if part is not None and kind is not None and part.kind != kind:
            return self.keyed.get((kind, key))
        return part

    def add(self, part: OpenPart) -> None:
        """A part has opened."""
        self.open[part] = None
        self.current[part.kind] = self.current[None] = part
        if part.key is not None:
            self.keyed[part.key] = self.keyed[part.kind, part.key] = part
            self.closed.pop((part.kind, part.key), None)

    def remove(self, part: OpenPart) -> bool:
        """A part has ended; False when it had before."""
        if part not in self.open:
            return False
        del self.open[part]
        for kind in (part.kind, None):
            if self.current.get(kind) is part:
                del self.current[kind]
        if part.key is not None:
            for name in (part.key, (part.kind, part.key)):
                if self.keyed.get(name) is part:
                    del self.keyed[name]
            self.closed[part.key] = self.closed[part.kind, part.key] = part.kind
        return True

    def sequential(self, interleaved: frozenset[str]) -> list[OpenPart]:
        """Open parts that another part's opening ends."""
        return [part for part in self.open if part.kind not in interleaved]

    def restart(self) -> None:
        """Keys begin anew."""
        self.keyed.clear()
        self.current.clear()
        self.closed.clear()
