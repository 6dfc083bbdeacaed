"""Calls and their results: found to belong together, named, and under ids that the target takes.

Declared: ``ids: {pattern, max, prefix, exists, unique}``. Results without ids (formats that have none) belong to the
first unanswered call of their name. A result of no call is refused where the target matches them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from engine.errors import Refusal
from engine.hub import naming
from engine.hub.shape.work import Work, matches
from engine.hub.types import Part

_CALLS = frozenset({"tool_call", "tool_result"})


class _Calls:
    """The calls so far, which of them lack a result, and the ids they go by at the target."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.rules: dict[str, Any] = work.rules.get("ids") or {}
        self.known: dict[str, Part] = {}
        self.unanswered: dict[str, deque[Part]] = defaultdict(deque)
        self.answered: set[int] = set()
        self.renamed: dict[str, str] = {}
        self.turns: dict[str, int] = {}
        """The turn of each id that calls go by, where one may stand once."""

    def call(self, part: Part, number: int, index: int) -> Part:
        """Take up a call; gives it with an id."""
        call_id = part.get("id")
        fitted = self.fit(call_id) if call_id else self.made(f"{number}/{index}/{part.get('name')}")
        if self.rules.get("unique") and self.turns.setdefault(fitted, number) < number:
            fitted = self.made(f"{call_id}/{number}/{index}")
        named = {**part, "id": fitted}
        self.known[call_id or named["id"]] = named
        self.unanswered[str(part.get("name"))].append(named)
        return named

    def result(self, part: Part, number: int, index: int) -> Part:
        """Take up a result; gives it with its call's id, name and kind."""
        call_id = part.get("id")
        call = self.known.get(call_id) if call_id else self._next(part.get("name"))
        if call is None or id(call) in self.answered:
            return self._orphan(part, call_id, f"messages[{number}].parts[{index}]", known=call is not None)
        self.answered.add(id(call))
        filled = {**part, "id": call["id"]}
        for key in ("name", "custom"):
            if call.get(key) is not None:
                filled[key] = call[key]
        return filled

    def _next(self, name: str | None) -> Part | None:
        """The first call of that name without a result; a result without a name belongs to the first of all."""
        for queue in [self.unanswered[name]] if name else self.unanswered.values():
            while queue and id(queue[0]) in self.answered:
                queue.popleft()
            if queue:
                return queue[0]
        return None

    def _orphan(self, part: Part, call_id: str | None, path: str, *, known: bool) -> Part:
        turns = self.work.rules.get("turns") or {}
        needs_call = turns.get("results_follow_calls") or (self.rules.get("exists") is False and not part.get("name"))
        if needs_call and not self.work.request.get("previous"):
            what = f"of call {call_id!r}" if call_id else f"of {part.get('name') or 'an unnamed tool'}"
            why = (
                "which has its result already"
                if known
                else "but no such call stands before it; send the call's turn too"
            )
            raise Refusal(path, f"is the result {what}, {why}")
        return {**part, "id": self.fit(call_id)} if call_id else part

    def fit(self, told: str) -> str:
        """The id in the form that the target takes."""
        if told in self.renamed:
            return self.renamed[told]
        limit, form = self.rules.get("max"), self.rules.get("pattern")
        fits = (not limit or len(told) <= limit) and (not form or matches(form, told))
        wanted = told if fits else self._free(told)
        if wanted != told:
            self.work.memo.ids[wanted] = told
        self.renamed[told] = wanted
        return wanted

    def _free(self, call_id: str) -> str:
        return naming.free(lambda salt: self.made(call_id + salt), call_id, self.work.memo.ids) or self.made(call_id)

    def made(self, seed: str) -> str:
        """A stable id out of the place or the old id."""
        rules = self.rules
        new_id = naming.made_id(seed, rules.get("pattern"), rules.get("max"), rules.get("prefix"))
        if new_id is None:
            raise Refusal("messages", f"the id {seed[:80]!r} of a call can't be given in a form that the target takes")
        return new_id


def link(work: Work) -> None:
    """Give every call an id and every result its call's id and name."""
    if not _CALLS & work.seen.kinds:
        return
    calls = _Calls(work)
    for number, message in enumerate(work.messages):
        for index, part in enumerate(message["parts"]):
            kind = part.get("type")
            if kind == "tool_call":
                message["parts"][index] = calls.call(part, number, index)
            elif kind == "tool_result":
                message["parts"][index] = calls.result(part, number, index)
