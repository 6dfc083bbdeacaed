"""Between two dialects of live connections: a caller's events to the hub's to the provider's, and back.

Answers go through the stream assembler, one each, as those of any call; what is said beside them (set-up, speech that
begins, what was heard) is told by the caller's format as it comes. What either side has no word for is reported. Knows
no format and no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.hub.shape.openapi import translated
from engine.hub.stream.assembler import Assembler
from engine.kinds.realtime.sound import Converter, converter

if TYPE_CHECKING:
    from engine.hub.stream.target_emitter import Emitted
    from engine.program import LiveRules
    from engine.relay.call import Call
    from engine.routing.attempt import Attempt

Event = dict[str, Any]
_OPENS = frozenset({"start", "part_start", "part_delta", "part", "rest", "item"})
_ANSWERS = _OPENS | {"part_end", "usage", "finish", "extension", "error", "end"}
"""The hub's events that are parts of an answer."""
_WORDLESS = "the provider has no word for it"
_UNTOLD = "the caller's format has no word for it"
_SILENT = frozenset({"type", "id", "encoding", "rate", "item", "transcribe_output"})
"""What is no loss: the caller's own names of things, sound that is made fit, words that are told in any case."""
_NAMED = ("tool_result", "name")
"""A result goes by its call's id, or by its name as well."""
_MANY = frozenset({"audio", "picture"})
"""Events of which there are many: only their first is looked through for what is lost."""


class Translator:
    """See the module. ``ready``: the provider has taken the set-up; ``set_up``: one was sent."""

    def __init__(self, call: Call, attempt: Attempt) -> None:
        asked, spoken = call.format.realtime, attempt.format.realtime
        assert asked is not None
        assert spoken is not None
        self._asked: LiveRules = asked
        self._spoken: LiveRules = spoken
        self._call, self._attempt = call, attempt
        self._report = attempt.outcome.report
        self._ctx = {**call.ctx(attempt), "asked": call.asked}
        self.state: dict[str, Any] = {
            "setup": {}, "event": {}, "last": None, "speaking": False, "speech": False, "answering": False, "calls": {},
        }  # fmt: skip
        if asked.begin is not None:
            self.state |= asked.begin([], call.headers, call.query, self._ctx) or {}
        self._assembler: Assembler | None = None
        self._numbers = count(1)
        self._seen: set[str] = set()
        self._up: Converter | None = None
        self._heard_as: Mapping[str, Any] | None = None
        self._down: Converter | None = None
        self.set_up = self.ready = False

    def opened(self) -> list[Event]:
        """What the caller is told when the connection is open."""
        return self._tell({"type": "opened"})

    def up(self, data: Event) -> tuple[list[Event], list[Event]]:
        """An event of the caller: what goes up, and what the caller is told at once. Raises ``CallError``."""
        decode = self._asked.decode
        assert decode is not None
        hub_events = decode(self._report, data, self.state)
        if not hub_events:
            self._lost(str(data.get("type") or next(iter(data), "event")), _WORDLESS)
        out: list[Event] = []
        told: list[Event] = []
        for event in hub_events:
            if event["type"] == "setup":
                event = self._take_up(data, event)
            elif self._spoken.setup_first and not self.set_up:
                self._take_up({}, {"type": "setup"})
                out += self._encoded(self.state["setup"])
            out += self._encoded(event)
            told += self._tell(event) if event["type"] != "setup" else []
        return out, told

    def down(self, data: Event) -> list[Event]:
        """An event of the provider, as the caller is told of it."""
        stream = self._attempt.format.stream
        assert stream is not None
        assert stream.decode is not None
        out: list[Event] = []
        answer: list[Event] = []
        for event in stream.decode(self._report, None, data, {}, self.state, self._ctx) or ():
            if event["type"] in _ANSWERS:
                answer.append(event)
                continue
            out += self._answer(answer)
            answer = []
            self._know(event)
            out += self._tell(event)
        return out + self._answer(answer)

    def close(self) -> list[Event]:
        """The provider is gone: an answer under way is told as cut."""
        assembler, self._assembler = self._assembler, None
        return self._told(assembler, assembler.close(cut=True)) if assembler is not None else []

    def _take_up(self, data: Event, event: Event) -> Event:
        """Keep a set-up in mind; it as it goes up."""
        if self.set_up and self._spoken.setup_first:
            raise CallError(
                "bad_request", "the provider of this model takes a session's set-up once; this one is not applied",
                code="session_is_set",
            )  # fmt: skip
        self.set_up = True
        event = self._with_schemas(event)
        setup = {**self.state["setup"], **event} if not self._spoken.setup_first else event
        self.state["setup"], self.state["event"] = setup, data
        given = setup.get("output_audio") or self._asked.audio["output"]
        self._down = converter(self._spoken.audio["output"], given)
        self._heard_as = None
        self._look_through(data)
        return event

    def _with_schemas(self, event: Event) -> Event:
        """The set-up with the schemas of its tools in JSON Schema, however their vendor writes types."""
        tools = event.get("tools")
        if not isinstance(tools, list):
            return event
        return {**event, "tools": [self._with_schema(tool) for tool in tools]}

    def _with_schema(self, tool: dict[str, Any]) -> dict[str, Any]:
        schema = tool.get("schema")
        return tool if schema is None else {**tool, "schema": translated(schema, "tools", self._lost)}

    def _know(self, event: Event) -> None:
        kind = event["type"]
        if kind == "ready":
            self.ready = True
        elif kind in ("speech_started", "speech_stopped"):
            self.state["speech"] = kind == "speech_started"

    def _encoded(self, event: Event) -> list[Event]:
        """An event for the provider."""
        kind = event["type"]
        function = self._spoken.encode.get(kind)
        if function is None:
            self._lost(kind, _WORDLESS)
            return []
        if kind == "audio":
            event = self._sounding(event)
        if kind not in self._seen:
            if kind in _MANY:
                self._seen.add(kind)
            takes = self._spoken.takes.get(kind, ())
            for name, value in event.items():
                if value is not None and name not in takes and name not in _SILENT and (kind, name) != _NAMED:
                    self._lost(f"{kind}.{name}", _WORDLESS)
        encoded: list[Event] = function(self._report, event, self.state, self._ctx) or []
        if kind in ("audio", "commit", "clear", "audio_end"):
            self.state["speaking"] = kind == "audio"
        self.state["last"] = kind
        return encoded

    def _sounding(self, event: Event) -> Event:
        """Sound as the provider takes it."""
        setup = self.state["setup"].get("input_audio") or self._asked.audio["input"]
        source = {"encoding": event.get("encoding") or setup["encoding"], "rate": event.get("rate") or setup["rate"]}
        if source != self._heard_as:
            self._heard_as, self._up = source, converter(source, self._spoken.audio["input"])
        return event if self._up is None else {**event, "data": _converted(self._up, event.get("data"))}

    def _answer(self, events: list[Event]) -> list[Event]:
        """Parts of an answer, as the caller is told of them."""
        if not events:
            return []
        if self._assembler is None:
            if not any(event["type"] in _OPENS for event in events):
                return []
            plan = self._attempt.channel.plan(self._attempt.format)
            known = {"model": self._call.asked}
            self._assembler = Assembler(self._attempt.format.stream, self._call.format.stream, plan=plan, known=known)
            self.state["answering"] = True
        if self._down is not None:
            events = [self._as_asked(self._down, event) for event in events]
        assembler = self._assembler
        out = self._told(assembler, assembler.feed(events))
        if assembler.over:
            self._assembler, self.state["answering"] = None, False
        return out

    @staticmethod
    def _as_asked(sound: Converter, event: Event) -> Event:
        source = event.get("source")
        if event.get("kind") != "audio" or not isinstance(source, dict) or not source.get("data"):
            return event
        return {**event, "source": {**source, "data": _converted(sound, source["data"])}}

    def _told(self, assembler: Assembler, emitted: Iterable[Emitted]) -> list[Event]:
        stream = self._call.format.stream
        assert stream is not None
        out: list[Event] = []
        for name, event, part, item in emitted:
            if name == "part_end" and part is not None and part.get("type") == "tool_call":
                self.state["calls"][part.get("id")] = part.get("name")
            function: Callable[..., Any] | None = stream.encode.get(name)
            if function is not None:
                out += function(self._report, event, part, item, assembler.message, self.state, self._ctx) or ()
        for path, why in assembler.report:
            self._lost(path, why)
        return self._numbered(out)

    def _tell(self, event: Event) -> list[Event]:
        """What the caller's format says of an event beside answers."""
        function = self._asked.tell.get(event["type"])
        if function is None:
            if event["type"] not in self._spoken.encode and event["type"] not in ("opened", "interrupted"):
                self._lost(event["type"], _UNTOLD)
            return []
        return self._numbered(function(self._report, event, self.state, self._ctx) or [])

    def _numbered(self, events: list[Event]) -> list[Event]:
        name = self._asked.number
        if name:
            for event in events:
                event[name] = f"event_{self._call.request_id[-12:]}{next(self._numbers)}"
        return events

    def _look_through(self, data: Any, prefix: str = "") -> None:
        """Report the members that decode never looks at."""
        reads = self._asked.reads
        for name, value in data.items() if isinstance(data, dict) else ():
            path = f"{prefix}{name}"
            if path in reads or value is None or name == "type" or path == self._asked.number:
                continue
            if any(read.startswith(f"{path}.") for read in reads):
                self._look_through(value, f"{path}.")
            elif not any(path.startswith(f"{read}.") for read in reads):
                self._lost(path, _WORDLESS)

    def _lost(self, path: str, why: str) -> None:
        if (path, why) not in self._report and len(self._report) < 50:
            self._report.append((path, why))


def _converted(sound: Converter, data: Any) -> str:
    try:
        return sound.convert(data if isinstance(data, str) else "")
    except ValueError as ex:
        raise CallError("bad_request", str(ex), code="invalid_audio") from None
