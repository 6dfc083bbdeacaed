"""Hub words: what a Format's mappings of answers and errors give, held against the hub's own lists.

Takes a definition; gives faults, each at the word: an event without a type, a kind of part or a reason that there is
not, a field that nobody reads. Knows the closed lists of `engine.hub.types`; what only running can tell is left to
tests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, get_args

from engine.compiler.analyses.results import Given, ResultFinder
from engine.compiler.diagnostics import Fault, describe, nearest, path_text
from engine.compiler.directives import PUT_IN, DirectiveChild, Role, children, directive_of
from engine.compiler.documents.positions import Path
from engine.compiler.documents.sets import Definition
from engine.errors import MEANINGS
from engine.hub import types

_EVENTS = frozenset(get_args(types.EventKind))
_PARTS = frozenset(get_args(types.PartKind))
_REASONS = frozenset(get_args(types.FinishReason))
_PART = frozenset(types.PartFields.__annotations__)
_PIECE = frozenset({"type", "key", "kind"})
_DELTA = frozenset(
    {"text", "arguments", "signature", "encrypted", "signature_of", "citation", "citations", "patch", "so_far"}
)
_EVENT_FIELDS: dict[str, frozenset[str]] = {
    "start": frozenset({"type", "id", "model", "created", "service_tier"}),
    "part_start": _PIECE | {"fields"},
    "part_delta": _PIECE | _DELTA | {"source", "logprobs"},
    "part_end": _PIECE,
    "part": _PIECE | {"fields"},
    "rest": _PIECE | {"fields", "alone"},
    "item": frozenset({"type", "key", "id", "phase", "end"}),
    "usage": frozenset({"type", "counts", "usage"}),
    "finish": frozenset({"type", *types.Finish.__annotations__}),
    "extension": frozenset({"type", "format", "value"}),
    "error": frozenset({"type", "retry_after", *types.ErrorInfo.__annotations__}),
    "end": frozenset({"type"}),
}
_END_EVENTS = {"marker": "end", "finish": "finish"}
_UNNAMED = (
    '`_: {type: part, kind: unknown, fields: {format: ..., value: "{{ data }}"}}`, which tells it as lost;'
    " `[]` for events that say nothing, or as `_` if none does"
)
_ERROR = frozenset({"retry_after", *types.ErrorInfo.__annotations__})


def check_hub_words(definition: Definition, faults: list[Fault]) -> None:
    """Add a fault for each word of an answer, a stream or an error that the hub does not have."""
    _Check(definition, faults).all()


class _Check:
    def __init__(self, definition: Definition, faults: list[Fault]) -> None:
        self.definition = definition
        self.faults = faults
        self.book = ResultFinder.of(definition.spec)
        self._before = len(faults)

    def all(self) -> None:
        """Every mapping whose results have names of the hub."""
        for section, check in (("response", self._answer), ("stream", self._event), ("error", self._error)):
            held = self.definition.spec.get(section)
            if isinstance(held, dict) and "decode" in held:
                at: Path = ("spec", section, "decode")
                results = self.book.items if section == "stream" else self.book.results
                for given in results(held["decode"], at):
                    check(given)

        self._unnamed()
        if not any(fault.severity == "error" for fault in self.faults[self._before :]):
            self._ends()

    def _unnamed(self) -> None:
        """Events that no case names would be lost in silence; whoever means that writes it down."""
        stream = self.definition.spec.get("stream")
        tree, at = stream.get("decode") if isinstance(stream, dict) else None, ("spec", "stream", "decode")
        directive = directive_of(tree)
        find = None if directive is None else directive.unnamed
        below = None if find is None or not isinstance(tree, dict) else find(tree)
        if below is not None:
            self._fault(
                *((*at, *below), "silent-loss", "an event that no case names is lost without a word"),
                expected=_UNNAMED,
                severity="warning",
            )

    def _ends(self) -> None:
        """A stream that nothing can complete would be told as cut, each time."""
        stream = self.definition.spec.get("stream")
        if not isinstance(stream, dict) or "decode" not in stream:
            return
        ends, framing = (held if isinstance(held, dict) else {} for held in (stream.get("ends"), stream.get("framing")))
        if ends and not any(ends.values()):
            message = "nothing completes a stream here, so each would be told as cut"
            self._fault(
                ("spec", "stream", "ends"), "wrong-value", message, expected="marker or finish true, or no ends"
            )
            return
        self._check_given(stream, {_END_EVENTS[name] for name in _END_EVENTS if ends.get(name)}, framing)

    def _check_given(self, stream: dict[str, Any], due: set[str], framing: dict[str, Any]) -> None:
        """Some event of those that are due, all of them if none is, must be written in decode."""
        due = due or set(_END_EVENTS.values())
        if not ("end" in due and framing.get("done")) and not self._may_give(stream["decode"], due, set()):
            wanted = " or ".join(f"{{type: {name}}}" for name in sorted(due))
            message = f"decode never gives {wanted}, so each stream would be told as cut"
            self._fault(("spec", "stream", "decode"), "wrong-value", message, expected=wanted)

    def _may_give(self, tree: Any, due: Collection[str], within: set[str]) -> bool:
        """Whether one of these types of events is written there, or what is there can't be known."""
        if isinstance(tree, list):
            return any(self._may_give(item, due, within) for item in tree)
        if not isinstance(tree, dict):
            return isinstance(tree, str) and "{{" in tree
        held = children(tree)
        if held is None:
            kind = tree.get("type")
            return isinstance(kind, str) and (kind in due or "{{" in kind)
        return any(self._child_may_give(child, due, within) for child in held)

    def _child_may_give(self, child: DirectiveChild, due: Collection[str], within: set[str]) -> bool:
        if child.role is not Role.FRAGMENT:
            return child.role in (*PUT_IN, Role.LITERAL) and self._may_give(child.value, due, within)
        if not isinstance(child.value, str) or child.value in within:
            return False
        within.add(child.value)
        fragment = self.book.fragments.get(child.value)
        if not isinstance(fragment, dict):
            return True
        return self._may_give(fragment.get("do"), due, within)

    def _event(self, given: Given) -> None:
        event = given.value
        if not isinstance(event, dict):
            self._no_map(given, "a hub event")
            return
        if "type" not in event and not given.piece:
            self._fault(given.at, "missing-key", "a hub event needs a type", expected=_either(_EVENTS))
            return
        self._words(event, given.at, "type", _EVENTS, "type of hub events")
        self._words(event, given.at, "kind", _PARTS, "kind of parts")
        self._words(event, given.at, "reason", _REASONS, "reason to finish")
        self._words(event, given.at, "meaning", MEANINGS, "meaning of errors")
        kind = event.get("type")
        known = _EVENT_FIELDS.get(kind) if isinstance(kind, str) else None
        self._fields(event, given.at, known or frozenset().union(*_EVENT_FIELDS.values()), f"the event {kind or ''}")
        if "fields" in event:
            for held in self.book.results(event["fields"], (*given.at, "fields")):
                if isinstance(held.value, dict):
                    self._fields(held.value, held.at, _PART, "a part")

    def _answer(self, given: Given) -> None:
        answer = given.value
        if not isinstance(answer, dict):
            self._no_map(given, "an answer")
            return
        self._fields(answer, given.at, types.Response.__annotations__, "an answer")
        for part in self.book.items(answer.get("parts"), (*given.at, "parts")):
            self._part(part)
        for finish in self.book.results(answer.get("finish"), (*given.at, "finish")):
            if isinstance(finish.value, dict):
                self._fields(finish.value, finish.at, types.Finish.__annotations__, "finish")
                self._words(finish.value, finish.at, "reason", _REASONS, "reason to finish")

    def _part(self, given: Given) -> None:
        part = given.value
        if not isinstance(part, dict):
            self._no_map(given, "a part")
            return
        if "type" not in part and not given.piece:
            self._fault(given.at, "missing-key", "a part needs a type", expected=_either(_PARTS))
        self._words(part, given.at, "type", _PARTS, "type of parts")
        self._fields(part, given.at, _PART, "a part")

    def _error(self, given: Given) -> None:
        if not isinstance(given.value, dict):
            self._no_map(given, "an error")
            return
        self._fields(given.value, given.at, _ERROR, "an error")
        self._words(given.value, given.at, "meaning", MEANINGS, "meaning of errors")

    def _no_map(self, given: Given, what: str) -> None:
        """Text without an expression, a number or a list can be no map; an expression may give one."""
        value = given.value
        if not (isinstance(value, str) and "{{" in value):
            self._fault(given.at, "wrong-type", f"{what} is a map", found=describe(value))

    def _words(self, held: dict[str, Any], at: Path, key: str, known: Collection[str], what: str) -> None:
        for given in self.book.words(held.get(key), (*at, key)):
            if isinstance(given.value, str) and given.value not in known:
                message = f"there is no {what} {given.value!r}"
                more = {"expected": _either(known), "found": given.value, "nearest": nearest(given.value, known)}
                self._fault(given.at, "unknown-hub-name", message, **more)

    def _fields(self, held: dict[str, Any], at: Path, known: Iterable[str], what: str) -> None:
        for name in held:
            place = self.definition.key((*at, name))
            if name in known or any(fault.place == place for fault in self.faults[self._before :]):
                continue
            near, path = nearest(name, known), path_text((*at, name))
            message, expected = f"nobody reads {name!r} of {what.strip()}", None if near else _either(known)
            title = self.definition.title
            self.faults.append(Fault("unknown-hub-name", message, place, path, expected, nearest=near, document=title))

    def _fault(self, at: Path, code: str, message: str, **more: Any) -> None:
        place = self.definition.where(at)
        self.faults.append(Fault(code, message, place, path_text(at), document=self.definition.title, **more))


def _either(known: Iterable[str]) -> str:
    return "one of " + ", ".join(sorted(known))
