"""One part while it is being received: what it was opened with and the fragments since.

Takes hub event fields; gives the part as a plain dict. Text, and the content of a medium, are kept as lists of
fragments and joined when the part is settled, so that a long answer isn't copied at each chunk. Knows nothing of order,
numbering or formats.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any

from engine.errors import GatewrightError
from engine.hub.stream.patches import Patched
from engine.hub.types import Event, Json, Part

TEXT_KINDS = frozenset({"text", "refusal", "thinking"})
CALL_KINDS = frozenset({"tool_call", "server_call"})

_STREAMED = frozenset({"text", "arguments", "patch", "citation", "source"})
_TEXTUAL = frozenset({"id", "name", "signature", "encrypted", "signature_of", "item", "format", "phase", "unwrap"})
_PLACEHOLDERS = frozenset({"", "{}"})


class PartFaultError(GatewrightError, ValueError):
    """Content that no part can hold."""


def as_text(value: Json, what: str) -> str:
    """Text as it is; an object given as arguments is written as JSON; nothing is empty."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if what == "arguments":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, int | float):
        return json.dumps(value)
    raise PartFaultError(f"{what} of a part is no text")


def _fits(name: str, value: Json) -> bool:
    """Whether a field holds what its name promises; what doesn't is as good as absent."""
    if name in _TEXTUAL:
        return isinstance(value, str)
    return isinstance(value, list) if name in ("citations", "logprobs") else value is not None


def valid_json(text: str) -> bool:
    """Whether a text is one JSON value by the standard (no NaN)."""
    try:
        json.loads(text, parse_constant=_reject)
    except (ValueError, RecursionError):
        return False
    return True


def _reject(name: str) -> None:
    raise ValueError(name)


def join_base64(pieces: list[str]) -> str:
    """Base64 of all that the pieces hold; each may be padded by itself. What is none is handed on as it came."""
    if any(piece.endswith("=") or len(piece) % 4 for piece in pieces[:-1]):
        with suppress(binascii.Error):
            return b64encode(b"".join(b64decode(piece, validate=True) for piece in pieces)).decode("ascii")
    return "".join(pieces)


def _same_thing(earlier: Any, later: Any) -> bool:
    """Equal, or maps of the same id: of what is told twice the second time may say more."""
    if isinstance(earlier, dict) and isinstance(later, dict) and later.get("id") is not None:
        return bool(earlier.get("id") == later["id"])
    return bool(earlier == later)


class OpenPart:
    """A part that grows. ``data`` is what encode sees; ``live`` says that its fragments are passed on at once."""

    __slots__ = (
        "accepted",
        "content",
        "data",
        "ended",
        "fast",
        "field",
        "item",
        "key",
        "kind",
        "live",
        "order",
        "patched",
        "pieces",
        "placeholder",
        "record",
        "source_item",
    )

    def __init__(self, kind: str, key: Any, fields: Part) -> None:
        self.kind = kind
        self.key = key
        self.field = "arguments" if kind in CALL_KINDS else "text"
        self.data: Part = {"type": kind}
        self.pieces: list[str] = []
        self.content: list[str] = []
        """Of a medium, in base64."""
        self.placeholder = False
        self.patched: Patched | None = None
        self.accepted = True
        self.live = False
        self.ended = False
        self.item: dict[str, Any] | None = None
        self.record: Any = None
        self.source_item: Any = None
        self.order = 0
        for name, value in fields.items():
            if name not in _STREAMED and name != "type" and _fits(name, value):
                self.data[name] = value
        self._receive(fields.get("source"))
        for name in ("citations", "logprobs"):
            if name in self.data:
                self.data[name] = list(self.data[name])
        self._begin(fields)
        self.fast = self.field
        """The field whose fragments need no care; empty when arguments must be unwrapped first."""
        self._mark_wrapped()

    def _mark_wrapped(self) -> None:
        if self.data.get("unwrap") and self.kind == "tool_call":
            self.fast = ""

    def _begin(self, fields: Part) -> None:
        first = as_text(fields.get(self.field), self.field)
        if self.kind in CALL_KINDS and not self.data.get("custom") and first.strip() in _PLACEHOLDERS:
            # Some starts carry an empty object that later fragments replace: kept back until the end.
            self.placeholder = bool(first)
        elif first:
            self.pieces.append(first)

    @property
    def ready(self) -> bool:
        """Whether it may be told to the target: a call needs its name."""
        return self.kind != "tool_call" or bool(self.data.get("name"))

    @property
    def whole(self) -> bool:
        """Whether the arguments of a call that came so far are all that a call has."""
        text = "".join(self.pieces)
        return text.endswith("}") and valid_json(text)

    def begins(self, fields: Part) -> bool:
        """Whether what came of this part is the beginning, or all, of a part with such fields."""
        own_id, other_id = self.data.get("id"), fields.get("id")
        if self.kind in CALL_KINDS and (own_id == other_id or not other_id):
            return bool(other_id) or self.data.get("name") == fields.get("name")
        came, whole = "".join(self.pieces), as_text(fields.get(self.field), self.field)
        if not came and not whole:  # a thing without words, such as an item that nobody knows
            return bool(fields) and all(_same_thing(self.data.get(name), value) for name, value in fields.items())
        return bool(came) and whole.startswith(came)

    def size(self) -> int:
        """About how many bytes the part was opened with."""
        return 256 + sum(map(len, self.pieces)) + sum(map(len, self.content)) + _weight(self.data)

    def merge(self, fields: Part) -> list[Event]:
        """A start said again for the same key: fills what was missing; text in it is a fragment."""
        for name, value in fields.items():
            if name not in _STREAMED and name not in self.data and _fits(name, value):
                self.data[name] = value
        self._mark_wrapped()
        more = {name: fields[name] for name in ("text", "arguments", "source") if fields.get(name)}
        if self.field == "arguments" and as_text(more.get("arguments"), "arguments").strip() in _PLACEHOLDERS:
            more.pop("arguments", None)
        return self.add(more) if more else []

    def rest(self, fields: Part) -> list[Event]:
        """What the whole part says beyond what came; words that came otherwise stay as they were told."""
        for name, value in fields.items():
            if name not in _STREAMED and name not in ("citations", "signature", "encrypted") and _fits(name, value):
                self.data.setdefault(name, value)
        more = {name: fields[name] for name in ("citations", "signature", "encrypted") if fields.get(name)}
        whole, came = as_text(fields.get(self.field), self.field), "".join(self.pieces)
        if len(whole) > len(came) and whole.startswith(came):
            more[self.field] = whole[len(came) :]
        if self.kind in CALL_KINDS and not self.data.get("custom") and whole.strip() in _PLACEHOLDERS:
            more.pop(self.field, None)
        return self.add(more) if more else []

    def so_far(self, event: Event) -> list[Event]:
        """Take up a delta that says all up to here: told is what is new in it; words already told stay."""
        whole, came = as_text(event.get(self.field), self.field), "".join(self.pieces)
        self.pieces = [came] if came else []
        return self.add({**event, self.field: whole[len(came) :] if whole.startswith(came) else ""})

    def add(self, event: Event) -> list[Event]:
        """Take up a delta; gives the fragments to pass on, one content key each."""
        fragments: list[Event] = []
        value = as_text(event.get(self.field), self.field)
        if value:
            self.pieces.append(value)
            if self.fast:
                fragments.append({"type": "part_delta", self.field: value})
        patches = event.get("patch")
        for patch in patches if isinstance(patches, list) else ():
            self.patched = self.patched or Patched()
            self.patched.apply(patch)
        logprobs = event.get("logprobs")
        if isinstance(logprobs, list) and logprobs:
            self.data.setdefault("logprobs", []).extend(logprobs)
            if fragments:
                fragments[0]["logprobs"] = logprobs
        fragments.extend(self._cite(event))
        fragments.extend(self._receive(event.get("source")))
        for name in ("signature", "encrypted"):
            opaque = event.get(name)
            if opaque and _fits(name, opaque) and opaque != self.data.get(name):
                self.data[name] = opaque
                fragments.append({"type": "part_delta", name: opaque})
        owner = event.get("signature_of")
        if isinstance(owner, str) and owner:
            self.data["signature_of"] = owner
        return fragments

    def _receive(self, source: Json) -> list[Event]:
        """A medium in pieces: its ``data`` goes on, what else is told of it is kept from the first time."""
        if not isinstance(source, dict):
            return []
        self.data["source"] = {**source, **self.data.get("source", {})}
        piece = self.data["source"].pop("data", None)
        if not isinstance(piece, str) or not piece:
            return []
        self.content.append(piece)
        return [{"type": "part_delta", "source": {"data": piece}}]

    def _cite(self, event: Event) -> list[Event]:
        """One citation is appended; a list of citations is the whole list so far, said again."""
        added: list[Json] = [event["citation"]] if event.get("citation") is not None else []
        listed = event.get("citations")
        if not added and not listed:
            return []
        have: list[Json] = self.data.setdefault("citations", [])
        if isinstance(listed, list):
            added.extend(citation for citation in listed if citation not in have)
        have.extend(added)
        return [{"type": "part_delta", "citation": citation} for citation in added]

    def pending(self) -> list[Event]:
        """What came before the part was told to the target, joined."""
        fragments: list[Event] = []
        if self.pieces and self.fast:
            fragments.append({"type": "part_delta", self.field: "".join(self.pieces)})
            if "logprobs" in self.data:
                fragments[0]["logprobs"] = list(self.data["logprobs"])
        fragments.extend({"type": "part_delta", "citation": citation} for citation in self.data.get("citations", ()))
        if self.content:
            fragments.append({"type": "part_delta", "source": {"data": join_base64(self.content)}})
        if self.data.get("signature"):
            fragments.append({"type": "part_delta", "signature": self.data["signature"]})
        return fragments

    def settle(self) -> list[Event]:
        """Write the sums into ``data``; gives fragments that could only be known now (built or empty arguments)."""
        late: list[Event] = []
        data = self.data
        if not self.fast:
            late.append(self._unwrapped())
        if self.kind in CALL_KINDS and not data.get("custom") and not self.pieces:
            late.extend(self._built())
        if self.content:
            data["source"] = {**data["source"], "data": join_base64(self.content)}
        if self.kind in TEXT_KINDS:
            if self.pieces or "encrypted" not in data:
                data["text"] = "".join(self.pieces)
        elif self.pieces or self.kind == "tool_call":
            data[self.field] = "".join(self.pieces)
        if self.kind == "tool_call" and not data.get("custom") and not valid_json(data["arguments"]):
            data["invalid"] = True
        return late

    def _built(self) -> list[Event]:
        """The arguments of a call that came by path, or not at all."""
        if self.patched is not None:
            return [self._late(as_text(self.patched.root, "arguments"))]
        return [self._late("{}")] if self.kind == "tool_call" or self.placeholder else []

    def _unwrapped(self) -> Event:
        """The text that a function's one member holds; what isn't of that form stays as it is."""
        text = "".join(self.pieces)
        try:
            value = json.loads(text)[self.data["unwrap"]]
        except (ValueError, LookupError, TypeError, RecursionError):
            value = text
        del self.data["unwrap"]
        self.pieces.clear()
        return self._late(as_text(value, "arguments"))

    def _late(self, text: str) -> Event:
        self.pieces.append(text)
        return {"type": "part_delta", self.field: text}

    def peek(self) -> None:
        """Write the sums so far into ``data`` without ending anything."""
        if self.pieces:
            self.data[self.field] = "".join(self.pieces)


def _weight(data: Part) -> int:
    """About how many bytes a part's other fields hold."""
    total = 0
    for value in data.values():
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, dict | list):
            total += _nested(value)
    return total


def _nested(value: Json) -> int:
    stack, total = [value], 0
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            stack.extend(here.values())
            total += 64 * len(here)
        elif isinstance(here, list):
            stack.extend(here)
            total += 8 * len(here)
        elif isinstance(here, str):
            total += len(here)
    return total
