"""Parts grouped in items, for target formats that wrap neighbouring parts (one message of several texts, say).

Takes parts in the order in which they are told to the target; decides which item each belongs to and when an item is
over. Where the source named its items, its borders win. Knows no format: which kinds go into which item is declared.
"""

from __future__ import annotations

from typing import Any

from engine.hub.stream.parts import OpenPart
from engine.hub.stream.rules import TargetRules


class OpenItem:
    """An item that may still get parts, or whose parts are still open."""

    __slots__ = ("data", "parts_open", "sealed", "single", "source")

    def __init__(self, data: dict[str, Any], source: Any, single: bool) -> None:
        self.data = data
        self.source = source
        self.single = single
        self.sealed = single
        self.parts_open = 0


class Items:
    """Numbers items, hands parts out to them, and says which have ended."""

    def __init__(self, rules: TargetRules, listed: list[dict[str, Any]]) -> None:
        self._rules = rules
        self._listed = listed
        self._open: list[OpenItem] = []

    def place(self, part: OpenPart, known: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Give the part its item; gives (items that end before it, the item if it begins with this part)."""
        kind = self._rules.items.get(part.kind, part.kind)
        last = self._open[-1] if self._open else None
        if last is not None and not last.sealed and last.data["kind"] == kind and last.source == part.source_item:
            self._join(last, part)
            return [], None
        for item in self._open:
            item.sealed = True
        ended = self._sweep()
        data: dict[str, Any] = {"index": len(self._listed), "kind": kind, "parts": []}
        data.update(known)
        begun = OpenItem(data, part.source_item, kind in self._rules.single or part.kind not in self._rules.items)
        self._open.append(begun)
        self._listed.append(data)
        self._join(begun, part)
        return ended, data

    def _join(self, item: OpenItem, part: OpenPart) -> None:
        part.record = item
        part.item = item.data
        part.data["item_index"] = len(item.data["parts"])
        item.data["parts"].append(part.data)
        item.parts_open += 1

    def leave(self, part: OpenPart) -> list[dict[str, Any]]:
        """A part has ended; gives the items that ended with it."""
        part.record.parts_open -= 1
        return self._sweep()

    def seal(self, source: Any) -> list[dict[str, Any]]:
        """The source says that an item is over; gives the items that ended."""
        for item in self._open:
            if item.source == source:
                item.sealed = True
        return self._sweep()

    def finish(self) -> list[dict[str, Any]]:
        """Nothing follows; gives the items that ended."""
        for item in self._open:
            item.sealed = True
        return self._sweep()

    def _sweep(self) -> list[dict[str, Any]]:
        ended = [item.data for item in self._open if item.sealed and not item.parts_open]
        if ended:
            self._open = [item for item in self._open if not item.sealed or item.parts_open]
        return ended
