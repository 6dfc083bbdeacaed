"""Prefix: what was said of an answer before it broke off, for who goes on from there and for what is told of the rest.

Blanks at its end stay here, as some providers refuse a request that ends with them; what goes on may say them or not.
"""

from __future__ import annotations

from itertools import takewhile
from operator import eq
from typing import Any

Parts = list[dict[str, Any]]
_SAID = ("type", "text", "signature")


class Prefix:
    """See the module. ``parts``: all that was said."""

    __slots__ = ("_blank", "_count", "_length", "parts")

    def __init__(self, parts: Parts) -> None:
        last = str(parts[-1].get("text") or "") if parts else ""
        self._count, self._length = len(parts), len(last)
        self._blank = last[len(last.rstrip()) :]
        sent = [{name: part[name] for name in _SAID if name in part} for part in parts]
        if sent:
            sent[-1]["text"] = last.rstrip()
        self.parts = [part for part in sent if part.get("text")]
        """What goes up."""

    @staticmethod
    def of(parts: Parts) -> Prefix | None:
        """What was said; None where more than words was, which nobody takes back unfinished."""
        return Prefix(parts) if all(part.get("type") in ("text", "thinking") for part in parts) else None

    def since(self, parts: Parts) -> Parts:
        """What of a whole answer's parts was said after it."""
        if not self._count:
            return parts
        last = parts[self._count - 1]
        more = str(last.get("text") or "")[self._length :]
        return [*([{**last, "text": more}] if more else []), *parts[self._count :]]

    def fitted(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The events that go on, without the blanks that were said already."""
        return [self._without_blank(event) for event in events] if self._blank else events

    def _without_blank(self, event: dict[str, Any]) -> dict[str, Any]:
        fields = event.get("fields")
        holder = fields if isinstance(fields, dict) and "text" in fields else event
        text = holder.get("text")
        if not isinstance(text, str) or not text or not self._blank:
            return event
        again = sum(takewhile(bool, map(eq, self._blank, text)))
        self._blank = self._blank[again:] if again == len(text) else ""
        rest = {**holder, "text": text[again:]}
        return rest if holder is event else {**event, "fields": rest}


def resumed(hub: dict[str, Any], said: Parts, continues: frozenset[str], tokens: int) -> dict[str, Any]:
    """The request that asks for the rest of an answer of which ``said`` was said, in so many ``tokens``.

    Thinking that came to its end is not sent again where the format does not go on from it; it is not thought anew.
    """
    if not said:
        return hub
    kinds = {said[-1]["type"]} | continues
    parts = [part for part in said if part["type"] in kinds]
    words: dict[str, Any] = {"role": "assistant", "parts": parts, "unfinished": True}
    messages = list(hub["messages"])
    if messages and messages[-1]["role"] == "assistant":  # words that the caller itself had it go on from
        last = messages.pop()
        words = {**last, "parts": [*last["parts"], *words["parts"]], "unfinished": True}
    rest = {**hub, "messages": [*messages, words]}
    if said[-1]["type"] == "text":
        rest.pop("reasoning", None)
    if rest.get("max_tokens"):
        rest["max_tokens"] = max(1, rest["max_tokens"] - tokens)
    return rest
