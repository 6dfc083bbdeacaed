"""The target's side of a stream: which parts it is told, in what order, under which numbers.

Takes parts that open, grow and end in any order; gives the list of events for encode. Kinds that the target can't take
are dropped with a report before they are numbered; where only one part may be open, later parts wait, their fragments
joined, and follow in order of opening. Knows no format and nothing of the source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any

from engine.hub.stream.items import Items
from engine.hub.stream.parts import OpenPart
from engine.hub.stream.rules import TargetRules
from engine.hub.types import Event, Part

Emitted = tuple[str, Event, Part | None, dict[str, Any] | None]
"""(name of the event, event, part, item): what one call of an encode table gets."""

OPAQUE = frozenset({"unknown", "server_call", "server_result"})


class TargetEmitter:
    """Tells a target the parts of one answer. ``out`` collects what is to be encoded."""

    def __init__(self, rules: TargetRules, native: Collection[str], message: dict[str, Any]) -> None:
        self.out: list[Emitted] = []
        self.report: list[tuple[str, str]] = []
        self._told: set[tuple[str, str]] = set()
        self._rules = rules
        self._native = native
        self._parts: list[Part] = message["parts"]
        self._message = message
        self._items = Items(rules, message["items"]) if rules.items else None
        self._source_items: dict[Any, dict[str, Any]] = {}
        self._count = 0
        self._by_kind: dict[str, int] = {}
        self._current: OpenPart | None = None
        self._waiting: deque[OpenPart] = deque()

    def open(self, part: OpenPart) -> None:
        """A part opened at the source."""
        why = self._unwelcome(part)
        if why:
            part.accepted = False
            self._tell(f"response.parts.{part.kind}", why)
        elif not self._rules.one_open and part.ready:
            self._release(part)
        else:
            self._waiting.append(part)
            self.advance()

    def deliver(self, part: OpenPart, fragments: list[Event]) -> None:
        """Fragments of a part; one that waits keeps them itself."""
        if not part.live:
            return
        if self._rules.needs_sum and fragments:
            part.peek()
        for fragment in fragments:
            self.out.append(("part_delta", fragment, part.data, part.item))

    def end(self, part: OpenPart, *, drop: bool = False) -> None:
        """A part ended at the source. ``drop`` takes it out of the message: it was never completed."""
        part.ended = True
        if part.live:
            self._close(part, drop)
        elif not part.accepted:
            part.settle()
        elif drop:
            self._waiting.remove(part)
        self.advance()

    def advance(self) -> None:
        """Tell the parts whose turn has come."""
        waiting = self._waiting
        if not self._rules.one_open:
            for part in [part for part in waiting if part.ready or part.ended]:
                waiting.remove(part)
                self._take(part)
            return
        while self._current is None and waiting and (waiting[0].ready or waiting[0].ended):
            self._take(waiting.popleft())

    def _take(self, part: OpenPart) -> None:
        if not part.ready:
            part.accepted = False
            part.settle()
            self._tell("response.parts.tool_call", "a call without a name was dropped")
            return
        self._release(part)
        if part.ended:
            self._close(part, False)

    def _release(self, part: OpenPart) -> None:
        data = part.data
        data["index"] = self._count
        self._count += 1
        row = "" if part.kind in self._rules.together else part.kind
        data["kind_index"] = nth = self._by_kind.get(row, 0)
        self._by_kind[row] = nth + 1
        self._parts.append(data)
        if self._items is not None:
            ended, begun = self._items.place(part, self._known(part))
            self._end_items(ended)
            if begun is not None:
                if self._rules.item_id is not None:
                    begun["id"] = self._rules.item_id(self.report, begun, self._message)
                self.out.append(("item_start", {"type": "item_start"}, None, dict(begun, parts=[])))
        part.live = True
        if self._rules.one_open:
            self._current = part
        self.out.append(("part_start", {"type": "part_start"}, dict(data), part.item))
        self.deliver(part, part.pending())

    def _close(self, part: OpenPart, drop: bool) -> None:
        late = [] if drop else part.settle()
        for fragment in late:
            self.out.append(("part_delta", fragment, part.data, part.item))
        part.live = False
        event: Event = {"type": "part_end"}
        if drop:
            part.peek()
            part.data["invalid"] = event["dropped"] = True
            self._parts[:] = [data for data in self._parts if data is not part.data]
            if part.item is not None:
                part.item["parts"][:] = [data for data in part.item["parts"] if data is not part.data]
        if part.data.get("invalid"):
            self._tell("response.parts.tool_call.arguments", "the model's arguments are not valid JSON")
        self.out.append(("part_end", event, part.data, part.item))
        if self._items is not None:
            self._end_items(self._items.leave(part))
        if self._current is part:
            self._current = None

    def know_item(self, key: Any, fields: dict[str, Any]) -> None:
        """What the source told of one of its items."""
        item = self._source_items.setdefault(key, {})
        item.update({name: value for name, value in fields.items() if value is not None})

    def seal_item(self, key: Any) -> None:
        """The source ended one of its items."""
        if self._items is not None:
            self._end_items(self._items.seal(key))

    def finish(self) -> None:
        """All parts have ended; so do the items."""
        self.advance()
        if self._items is not None:
            self._end_items(self._items.finish())

    def _known(self, part: OpenPart) -> dict[str, Any]:
        item = dict(self._source_items.get(part.source_item, {})) if part.source_item is not None else {}
        for name, key in (("phase", "phase"), ("id", "item")):
            if name not in item and part.data.get(key) is not None:
                item[name] = part.data[key]
        return item

    def _end_items(self, ended: list[dict[str, Any]]) -> None:
        for item in ended:
            self.out.append(("item_end", {"type": "item_end"}, None, item))

    def _unwelcome(self, part: OpenPart) -> str | None:
        accepts = self._rules.accepts
        if accepts is not None and part.kind not in accepts:
            return f"the caller's format has no place for {part.kind} in an answer"
        if part.kind in OPAQUE and (part.kind == "unknown" or part.data.get("format")):
            owner = part.data.get("format")
            if owner not in self._native and not any(name in self._native for name in part.data.get("also") or ()):
                return f"{part.kind} of {owner or 'an unknown format'} means nothing to the caller's format"
        return None

    def _tell(self, path: str, why: str) -> None:
        line = (path, why)
        if line not in self._told:
            self._told.add(line)
            self.report.append(line)
