"""What a client's format can't hold but the provider wants back: signatures and encrypted thinking, by tool-call id.

Takes the parts of an answer and gives records to keep; takes a later request and puts the records back where the client
sent their calls without them. Where the records lie, and for how long, is not known here: `get` comes from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.hub.types import Part

Record = dict[str, Any]

_OPAQUE = ("signature", "encrypted")
_KEPT = frozenset({"text", "tool_call"})
"""What a client keeps of a turn, whatever else it drops."""
_TAGS = ("think", "thinking")
"""What clients write around a thought that they tell as a text."""
_THINKING_KEYS = ("type", "text", "signature", "encrypted", "signature_of", "summary", "item", "native")


def remember(parts: list[Part], *, words: bool = False) -> dict[str, Record]:
    """Records by tool-call id: the thinking before each call, with its place, and the call's own signature.

    Thinking of which nothing is signed is kept for models that want its words back (``words``) alone.
    ``after`` is, for each of ``thinking``, how many parts that a client keeps (texts and calls) stood between it and
    the call: 0 stood right before the call, 1 before the text before it. ``leading``: how many began the turn.
    """
    records: dict[str, Record] = {}
    thoughts: list[Part] = []
    places: list[int] = []
    position = 0
    for part in parts:
        kind = part.get("type")
        if kind == "thinking":
            thoughts.append({key: part[key] for key in _THINKING_KEYS if part.get(key) is not None})
            places.append(position)
        elif kind == "tool_call" and isinstance(part.get("id"), str) and part["id"]:
            record: Record = {key: part[key] for key in ("signature", "signature_of") if part.get(key)}
            if any(_signed(thought) or (words and thought.get("text")) for thought in thoughts):
                record["thinking"] = thoughts
                record["after"] = [position - place for place in places]
                record["leading"] = places.count(0)
            thoughts, places = [], []
            if record:
                records[part["id"]] = record
        if kind in _KEPT and (part.get("text") or kind == "tool_call"):
            position += 1
    return records


def recall(request: dict[str, Any], get: Callable[[str], Record | None]) -> dict[str, Any]:
    """The request with what was remembered of its calls; the same object when there was nothing to add."""
    messages: list[dict[str, Any]] = request.get("messages") or []
    new_messages: list[dict[str, Any]] = []
    changed = False
    for run in _answers(messages):
        joined = (
            run[0] if len(run) == 1 else {**run[0], "parts": [part for turn in run for part in turn.get("parts") or ()]}
        )
        recalled = _recalled(joined, get) if joined.get("role") == "assistant" else joined
        new_messages.extend(run if recalled is joined else [recalled])
        changed |= recalled is not joined
    return {**request, "messages": new_messages} if changed else request


def _answers(messages: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Messages one by one, but neighbours of the assistant's together: some formats tell one answer in several."""
    runs: list[list[dict[str, Any]]] = []
    for message in messages:
        mine = message.get("role") == "assistant"
        if mine and runs and runs[-1][0].get("role") == "assistant" and runs[-1][0].get("name") == message.get("name"):
            runs[-1].append(message)
        else:
            runs.append([message])
    return runs


def _recalled(message: dict[str, Any], get: Callable[[str], Record | None]) -> dict[str, Any]:
    parts: list[Part] = []
    changed = False
    for part in message.get("parts") or ():
        call_id = part.get("type") == "tool_call" and isinstance(part.get("id"), str) and part["id"]
        record = get(part["id"]) if call_id else None
        if record:
            thoughts = [dict(thought) for thought in record.get("thinking", ())]
            if _replaces(thoughts, _thoughts(parts)[::-1]):
                parts = _with_thoughts(parts, thoughts, record.get("after") or (), record.get("leading") or 0)
                if _known(part, thoughts):  # a client's format had the signature stand on the call
                    part = {name: value for name, value in part.items() if name not in _OPAQUE}
                changed = True
            if record.get("signature") and part.get("signature") in (None, record["signature"]):
                opaque = {name: record[name] for name in ("signature", "signature_of") if record.get(name)}
                changed |= any(part.get(name) != value for name, value in opaque.items())
                part = {**part, **opaque}
        parts.append(part)
    return {**message, "parts": parts} if changed else message


def _with_thoughts(parts: list[Part], thoughts: list[Part], after: Sequence[int], leading: int) -> list[Part]:
    """The thoughts where they stood; what the client brought of them is replaced, else they'd stand twice.

    Those that began the turn begin it again, whatever a client has put before the call since: as some write a thought
    that their format can't hold as a text in tags.
    """
    texts = {thought.get("text") for thought in thoughts}
    rest = [part for part in parts if not _repeats(part, thoughts, texts)]
    positions = [index for index, part in enumerate(rest) if part.get("type") in _KEPT]
    places = [*after, *(0 for _ in thoughts[len(after) :])]
    merged = list(rest)
    for number, (thought, back) in reversed(list(enumerate(zip(thoughts, places, strict=False)))):
        at = len(rest) if back == 0 else positions[max(0, len(positions) - back)] if positions else len(rest)
        merged.insert(0 if number < leading else at, thought)
    return merged


def _repeats(part: Part, thoughts: list[Part], texts: set[Any]) -> bool:
    """Whether a part is what a client made of one of the thoughts."""
    if part.get("type") == "thinking":
        return part.get("text") in texts or _known(part, thoughts)
    text = part.get("text")
    return isinstance(text, str) and text.startswith("<think") and _inside_tags(text.strip()) in texts


def _inside_tags(text: str) -> str | None:
    for tag in _TAGS:
        if text.startswith(f"<{tag}>") and text.endswith(f"</{tag}>"):
            return text[len(tag) + 2 : -len(tag) - 3].strip()
    return None


def _signed(part: Part) -> bool:
    return any(part.get(name) for name in _OPAQUE)


def _replaces(thoughts: list[Part], brought: list[Part]) -> bool:
    """Whether what is remembered goes in place of what the client brought: where it says more of the same."""
    signed = (thought for thought in brought if _signed(thought))
    return bool(thoughts) and brought != thoughts and all(_known(thought, thoughts) for thought in signed)


def _known(part: Part, thoughts: list[Part]) -> bool:
    """Whether what signs a part is remembered of one of the thoughts."""
    opaque = {part.get(name) for name in _OPAQUE} - {None}
    return any(opaque & {thought.get(name) for name in _OPAQUE} for thought in thoughts)


def _thoughts(parts: list[Part]) -> list[Part]:
    """Thinking since the last call."""
    thoughts: list[Part] = []
    for part in reversed(parts):
        if part.get("type") == "tool_call":
            break
        if part.get("type") == "thinking":
            thoughts.append(part)
    return thoughts
