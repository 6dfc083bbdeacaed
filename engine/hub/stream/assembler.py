"""The stream assembler: turns what decode says of single wire events into an orderly answer.

Takes hub events, in lists as decode yields them:

    start       {id, model, created, ...}      on the first event or on every one
    part_start  {key, kind, fields}            without a key it always opens a part
    part_delta  {key?, kind?, text?, arguments?, signature?, encrypted?, citation?, citations?, patch?, source?,
                 so_far?}                      ``so_far``: the text or the arguments are all of them up to here
    part_end    {key?, kind?}                  without a key it ends the current part
    part        {kind, fields, key?}           opened, filled and ended at once
    rest        {key?, kind, fields, alone?}   a part as it finally is: told is what its deltas lacked; then it ends.
                                               ``alone``: its key may be another than before; what it says is looked
                                               for among the parts told before this wire event, and it stays open
    item        {key, id?, phase?, end?}       the source's own grouping: following parts belong to it
    usage       {counts: wire counts} or {usage: normalised}
    finish      {reason, raw, stop_text, details, meaning?}    only recorded; the reason `error` ends in an error
    extension   {format, value}   error {meaning, message, ...}   end {}   (the terminator was seen)

Gives tuples (name, event, part, item) for the target's encode table: start, item_start, part_start, part_delta,
part_end, item_end, finish (once, last), error (last). Every part is opened once and ended once, numbers are dense;
after an error nothing is ended, so that half a call never looks whole. Memory is bounded by ``limit_bytes``.
Knows no format.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import uuid4

from engine.hub import usage as usages
from engine.hub.response import abnormal, settle_finish
from engine.hub.stream.bounds import AnswerBounds
from engine.hub.stream.events import StreamFaultError, error_event, fields_of, has_content, kind_of, usage_first
from engine.hub.stream.keys import Keys, check_key
from engine.hub.stream.parts import TEXT_KINDS, OpenPart, PartFaultError
from engine.hub.stream.patches import PatchError
from engine.hub.stream.rules import SourceRules, TargetRules
from engine.hub.stream.target_emitter import Emitted, TargetEmitter
from engine.hub.types import Event
from engine.hub.usage import NO_PLAN, Plan, UsageTally

LIMIT_BYTES = 64 * 1024 * 1024
_KEY_TYPES = frozenset({int, str, type(None)})
_BULKY = ("patch", "citation", "citations", "source")


class Assembler:
    """One answer on its way from a source format to a target format."""

    def __init__(
        self,
        source: Any = None,
        target: Any = None,
        *,
        plan: Plan = NO_PLAN,
        limit_bytes: int = LIMIT_BYTES,
        native: Collection[str] = (),
        make_id: Callable[[], str] | None = None,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        """``source``/``target``: stream rules; ``native``: names of formats whose opaque parts the target can take;
        ``known``: what the message says whatever the source tells, of id and model."""
        self._source = source if isinstance(source, SourceRules) else SourceRules.of(source)
        self._bounds = AnswerBounds(self._source)
        rules = target if isinstance(target, TargetRules) else TargetRules.of(target)
        self._message: dict[str, Any] = {"parts": [], "items": [], "usage": usages.EMPTY, "finish": None}
        self._message.update(known or {})
        self._emitter = TargetEmitter(rules, native, self._message)
        self._needs_sum = rules.needs_sum
        self._tally = UsageTally(plan)
        self._unfinished: OpenPart | None = None
        """What the source goes on with, if it begins with a part of that kind."""
        self._limit = limit_bytes
        self._size = 0
        self._make_id = make_id or (lambda: f"gen-{uuid4().hex[:24]}")
        self._keys = Keys()
        self._keyed = self._keys.keyed
        self._current = self._keys.current
        self._all: list[OpenPart] = []
        self._before = 0
        """How many parts there were before the wire event under way."""
        self._told: dict[tuple[Any, Any], OpenPart] = {}
        """Every part of this answer that has a key, ended or not."""
        self._item: Any = None
        self._item_keys: dict[Any, Any] = {}
        self.started = False
        self.over = False
        """Nothing more is told: the answer is complete, or ended in an error."""
        self.error: Event | None = None
        """What was told as an error, if anything was."""

    @property
    def complete(self) -> bool:
        """The answer ended as it should."""
        return self.over and self.error is None

    @property
    def message(self) -> dict[str, Any]:
        """The answer so far: {id, model, created, parts, items, usage, finish, extensions}."""
        if self._tally.changed:
            self._message["usage"] = self._tally.whole()
        return self._message

    @property
    def usage(self) -> dict[str, Any]:
        """Normalised usage of the source so far; also after an error."""
        self._message["usage"] = self._tally.whole()
        return dict(self._tally.own)

    @property
    def report(self) -> list[tuple[str, str]]:
        """What the target could not be told, as (path, why)."""
        return self._emitter.report

    @property
    def dropped(self) -> list[dict[str, Any]]:
        """Parts that the target was not told, for who remembers them on the client's behalf."""
        return [part.data for part in self._all if not part.accepted]

    def everything(self) -> list[dict[str, Any]]:
        """All parts in order of opening, also those that the target was not told."""
        return [part.data for part in self._all]

    def so_far(self) -> list[dict[str, Any]]:
        """All parts; those that are still open with what they have up to now."""
        for part in self._all:
            if not part.ended:
                part.peek()
        return self.everything()

    def feed(self, events: list[Event]) -> list[Emitted]:
        """Take what one wire event said; gives what is to be encoded."""
        out: list[Emitted] = []
        self._emitter.out = out
        if self.over:
            self._only_usage(events)
            return out
        if not self.started and len(events) > 1:
            # The first event to encode shows usage too (input counts), so that counts said beside it go first.
            events = sorted(events, key=usage_first)
        self._bounds.feeds += 1
        self._before = len(self._all)
        try:
            rest = iter(events)
            for event in rest:
                if event["type"] == "part_delta":
                    self._delta(event)
                    continue
                _HANDLERS.get(event["type"], Assembler._ignore)(self, event)
                if self.over:  # by what the event said
                    self._only_usage(rest)  # type: ignore[unreachable]
                    break
            if self._size > self._limit:
                raise StreamFaultError(
                    "too_large", f"the answer is over the limit of {self._limit} bytes for one stream"
                )
        except StreamFaultError as fault:
            self._fail({"meaning": fault.meaning, "message": str(fault)})
        except (PartFaultError, PatchError) as fault:
            self._fail({"meaning": "unknown", "message": f"the upstream's stream makes no sense: {fault}"})
        return out

    def close(self, cut: bool | None = None, error: Event | None = None) -> list[Emitted]:
        """The source is over. ``cut``: True when its connection broke, False when it is known to be complete."""
        out: list[Emitted] = []
        self._emitter.out = out
        if self.over:
            return out
        if error is not None:
            self._fail(error)
        elif self._bounds.is_complete(cut):
            self._end({})
        else:
            self._fail({"meaning": "cut", "message": "the upstream's answer broke off before its end"})
        return out

    def go_on(self, source: Any, plan: Plan, used: Mapping[str, Any]) -> None:
        """Another source goes on with an answer that broke off; the one before had ``used`` so much.

        The text or thought that was open is added to; what else was open has ended.
        """
        self._source = SourceRules.of(source)
        self._bounds, self._tally = AnswerBounds(self._source), UsageTally(plan, dict(used))
        self._message.update(usage=self._tally.whole(), finish=None)
        self.error, self.over = None, False
        self._unfinished = next((part for part in self._all[-1:] if not part.ended and part.kind in TEXT_KINDS), None)
        self._restart(self._unfinished)

    def _delta(self, event: Event) -> None:
        """PERF: 1 µs for a plain fragment of an open part; anything else takes the long way."""
        key = event.get("key")
        kind = event.get("kind")
        if key.__class__ not in _KEY_TYPES:
            check_key(key)
        part = self._current.get(kind) if key is None else self._keyed.get(key)
        if part is not None and (kind is None or kind == part.kind) and not self._needs_sum:
            value = event.get(part.fast)
            if value.__class__ is str and value and len(event) == 2 + (key is not None) + (kind is not None):
                part.pieces.append(value)
                self._size += len(value)
                if part.live:
                    self._emitter.out.append(("part_delta", event, part.data, part.item))
                return
        self._long_delta(event, key, kind)

    def _long_delta(self, event: Event, key: Any, kind: str | None) -> None:
        part = self._keys.find(key, kind)
        if part is None:
            kind = kind or self._keys.closed.get(key) or kind_of(event)
            if key is not None and kind == "tool_call" and self._keys.closed.get((kind, key)):
                raise StreamFaultError("unknown", "the upstream added to a tool call that it had ended")
            if not has_content(event) or kind is None:
                return
            part = self._begin(kind, key, {})
        before = len(part.pieces)
        fragments = part.so_far(event) if event.get("so_far") else part.add(event)
        self._size += sum(map(len, part.pieces[before:])) + 64
        self._size += sum(len(str(event[name])) for name in _BULKY if event.get(name))
        self._emitter.deliver(part, fragments)

    def _begin(self, kind: str, key: Any, fields: Any) -> OpenPart:
        """Open a part; parts of sequential kinds that are open end by it."""
        interleaved = self._source.interleaved
        if not self.started:
            self._start({})
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is not None and unfinished.kind == kind:
            return self._added_to(unfinished, key, fields)
        for other in self._keys.sequential(interleaved):
            self._close_part(other)
        part = OpenPart(kind, key, fields)
        part.order = len(self._all)
        if kind == "tool_call" and not part.data.get("id"):
            part.data["id"] = usages.short_hash("call_", f"{self._message['id']}/{part.order}")
        part.source_item = self._item_of(part)
        self._size += part.size()
        self._all.append(part)
        if key is not None:
            self._told[kind, key] = part
        self._keys.add(part)
        self._emitter.open(part)
        return part

    def _added_to(self, part: OpenPart, key: Any, fields: Any) -> OpenPart:
        """A part that another source began goes on under the key of this one."""
        part.key = key
        if key is not None:
            self._told[part.kind, key] = part
        self._keys.add(part)
        self._emitter.deliver(part, part.merge(fields))
        return part

    def _item_of(self, part: OpenPart) -> Any:
        named = part.data.get("item")
        if isinstance(named, str | int) and named in self._item_keys:
            return self._item_keys[named]
        return self._item if self._item is not None else named

    def _close_part(self, part: OpenPart, *, drop: bool = False) -> None:
        if self._keys.remove(part):
            self._emitter.end(part, drop=drop)

    def _part_start(self, event: Event) -> OpenPart:
        key, kind = event.get("key"), event.get("kind") or "unknown"
        fields = fields_of(event)
        check_key(key, kind)
        part = self._keyed.get((kind, key)) if key is not None else None
        if part is not None:
            known_id, new_id = part.data.get("id"), fields.get("id")
            another = new_id != known_id if new_id else part.whole and fields.get("name") and fields.get("arguments")
            if kind != "tool_call" or not another or not part.ready:
                self._size += 256
                self._emitter.deliver(part, part.merge(fields))
                self._emitter.advance()
                return part
            self._close_part(part)
        return self._begin(kind, key, fields)

    def _whole_part(self, event: Event) -> None:
        check_key(event.get("key"), event.get("kind"))
        self._close_part(self._begin(event.get("kind") or "unknown", event.get("key"), fields_of(event)))

    def _rest(self, event: Event) -> None:
        key, kind, alone = event.get("key"), event.get("kind") or "unknown", event.get("alone")
        check_key(key, kind)
        part = self._told.get((kind, key))
        if part is None and alone:
            earlier = (candidate for candidate in self._all[: self._before] if candidate.kind == kind)
            part = next((candidate for candidate in earlier if candidate.begins(fields_of(event))), None)
        if part is None:
            part = self._begin(kind, key, fields_of(event))
        elif part in self._keys.open:
            before = len(part.pieces)
            self._emitter.deliver(part, part.rest(fields_of(event)))
            self._size += sum(map(len, part.pieces[before:]))
        if not alone:
            self._close_part(part)

    def _part_end(self, event: Event) -> None:
        check_key(event.get("key"), event.get("kind"))
        part = self._keys.find(event.get("key"), event.get("kind"))
        if part is not None:
            self._close_part(part)

    def _start(self, event: Event) -> None:
        again = self._bounds.start(event, self._message)
        if not self.started:
            id_ = event.get("id")
            self._message.setdefault("id", id_ if isinstance(id_, str) and id_ else self._make_id())
            self.started = True
            self._emitter.out.append(("start", {"type": "start", **self.message}, None, None))
        elif again:
            self._restart()

    def _restart(self, but: OpenPart | None = None) -> None:
        """A second answer in the same stream: half a call of the first is not one, keys begin anew."""
        for part in [part for part in self._keys.open if part is not but]:
            self._close_part(part, drop=part.kind == "tool_call")
        self._keys.restart()
        self._told.clear()
        self._item = None
        self._item_keys.clear()
        self._bounds.finish = {}

    def _on_item(self, event: Event) -> None:
        key = event.get("key", event.get("id"))
        check_key(key)
        if event.get("end"):
            self._emitter.seal_item(key)
            self._item = None if self._item == key else self._item
            return
        self._item = key
        name = event.get("id")
        if isinstance(name, str | int):
            self._item_keys[name] = key
        self._size += 256
        self._emitter.know_item(key, {"id": event.get("id"), "phase": event.get("phase")})

    def _usage(self, event: Event) -> None:
        self._tally.add(event)

    def _only_usage(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.get("type") == "usage":
                self._tally.add(event)

    def _on_finish(self, event: Event) -> None:
        self._bounds.end(event)

    def _extension(self, event: Event) -> None:
        value, name = event.get("value"), event.get("format")
        if isinstance(value, dict) and isinstance(name, str):
            self._size += 64 + len(str(value))
            self._message.setdefault("extensions", {}).setdefault(name, {}).update(value)

    def _on_error(self, event: Event) -> None:
        self._fail(event)

    def _end(self, _event: Event) -> None:
        """Everything was said: end what is open, then finish, once."""
        if not self.started:
            self._start({})
        if failure := abnormal(self._bounds.finish):
            self._fail(failure)
            return
        for part in list(self._keys.open):
            self._close_part(part)
        self._emitter.finish()
        finish = settle_finish(self._bounds.finish, self._message["parts"])
        self._message["finish"] = finish
        self.over = True
        self._emitter.out.append(("finish", {"type": "finish", **finish, "usage": self.message["usage"]}, None, None))

    def _fail(self, error: Event) -> None:
        for part in self._keys.open:
            part.peek()
        told = error_event(error)
        self.error, self.over = told, True
        self._message["finish"] = {**self._bounds.finish, "reason": "cut" if told["meaning"] == "cut" else "error"}
        self._emitter.out.append(("error", told, None, None))
        self._message["usage"] = self.message["usage"]

    def _ignore(self, _event: Event) -> None:
        """An event that says nothing to the hub, a ping for instance."""


_HANDLERS: dict[str, Callable[[Assembler, Event], Any]] = {
    "start": Assembler._start,
    "part_start": Assembler._part_start,
    "part_end": Assembler._part_end,
    "part": Assembler._whole_part,
    "rest": Assembler._rest,
    "item": Assembler._on_item,
    "usage": Assembler._usage,
    "finish": Assembler._on_finish,
    "extension": Assembler._extension,
    "error": Assembler._on_error,
    "end": Assembler._end,
}
