"""Invariants of the assembler on random, truncated and hostile event sequences."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.hub import usage
from engine.hub.response import response
from engine.hub.stream.assembler import Assembler
from engine.hub.stream.replay import prepare
from engine.hub.usage import Plan

KINDS = ["text", "thinking", "tool_call", "refusal", "image", "server_call", "unknown"]
KEYS = st.none() | st.integers(0, 3) | st.sampled_from(["a", "b"])
HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TEXT = st.text(max_size=6)


def event(kind: str, /, **members: Any) -> st.SearchStrategy[dict[str, Any]]:
    """An event with some of its members."""
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=members)


def fields(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a part."""
    names = ["text", "arguments", "id", "name", "signature", "encrypted", "item", "format", "custom"]
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))


def an_event(values: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any event, its content drawn from ``values``."""
    kinds = st.sampled_from(KINDS)
    return st.one_of(
        event("start", id=values, model=values),
        event("part_start", key=keys, kind=kinds, fields=fields(values)),
        event("part_delta", key=keys, kind=kinds, text=values, arguments=values, signature=values, encrypted=values),
        event("part_delta", key=keys, kind=kinds, citation=HOSTILE, citations=HOSTILE, patch=HOSTILE),
        event("part_end", key=keys, kind=kinds),
        event("part", key=keys, kind=kinds, fields=fields(values)),
        event("item", key=keys, id=values, phase=values, end=st.booleans()),
        event("usage", counts=HOSTILE),
        event("finish", reason=st.sampled_from(["stop", "length", "tool_calls"]), raw=values),
        event("extension", format=values, value=HOSTILE),
        event("error", meaning=st.sampled_from(["overloaded", "unknown"]), message=values),
        event("end"),
        event("nonsense"),
    )


SOURCES = st.fixed_dictionaries(
    {
        "parts": st.dictionaries(st.sampled_from(KINDS), st.sampled_from(["sequential", "interleaved"])),
        "ends": st.fixed_dictionaries({"marker": st.booleans(), "finish": st.booleans()}),
        "starts": st.sampled_from(["", "once", "each"]),
    }
)
TARGETS = st.fixed_dictionaries(
    {
        "oneOpen": st.booleans(),
        "needsSum": st.booleans(),
        "accepts": st.just([]) | st.lists(st.sampled_from(KINDS), min_size=1, unique=True),
        "items": st.just({})
        | st.just({"message": ["text", "refusal"], "reasoning": ["thinking"], "call": ["tool_call"]}),
    }
)
PLAN = Plan(
    {"input": {"path": "a"}, "output": {"path": "b", "later": "add"}, "cache_read": {"path": "c", "of": "input"}}
)
SANE = st.lists(an_event(TEXT, KEYS).filter(lambda e: e["type"] != "error"), max_size=25)
WILD = st.lists(an_event(HOSTILE, KEYS | HOSTILE), max_size=25)


def check(source: Any, target: Any, batches: list[list[dict[str, Any]]], cut: bool | None, plan: Plan = PLAN) -> None:
    """Run and check everything that always holds."""
    assembler = Assembler(source, target, plan=plan, native={"x"}, limit_bytes=50_000)
    out: list[Any] = []
    for batch in batches:
        out += assembler.feed(batch)
    out += assembler.close(cut)
    names = Counter(name for name, *_ in out)
    ended = bool(names["finish"])
    assert names["finish"] + names["error"] == 1
    assert out[-1][0] in ("finish", "error")
    assert names["start"] == 1 or not ended
    assert names["start"] <= 1
    if out[0][0] != "error":
        assert out[0][0] == "start"
    check_parts(out, ended, target)
    check_items(out, ended, target)
    found = assembler.usage
    assert sum(found[name] for name in usage.BUCKETS) == found["total"]
    assert assembler.feed([{"type": "part_delta", "kind": "text", "text": "late"}]) == []
    assert assembler.close() == []
    if ended:
        check_message(assembler)


def check_parts(out: list[Any], ended: bool, target: dict[str, Any]) -> None:
    """Opened once, closed once, dense numbers, deltas only while open."""
    opened: list[int] = []
    open_now: set[int] = set()
    by_kind: Counter[str] = Counter()
    sums: dict[int, str] = {}
    for name, event_, part, _ in out:
        if name == "part_start":
            assert not target["accepts"] or part["type"] in target["accepts"]
            assert part["index"] == len(opened)
            assert part["kind_index"] == by_kind[part["type"]]
            by_kind[part["type"]] += 1
            opened.append(part["index"])
            open_now.add(part["index"])
            assert not target["oneOpen"] or len(open_now) == 1
            assert part["type"] != "tool_call" or part["name"]
        elif name == "part_delta":
            assert part["index"] in open_now
            sums[part["index"]] = sums.get(part["index"], "") + (event_.get("text") or event_.get("arguments") or "")
        elif name == "part_end":
            open_now.remove(part["index"])
            told = part.get("arguments" if part["type"] in ("tool_call", "server_call") else "text") or ""
            assert isinstance(told, str)
            assert sums.get(part["index"], "") == told
    assert not (ended and open_now)


def check_items(out: list[Any], ended: bool, target: dict[str, Any]) -> None:
    """Items opened once, closed once, after all their parts; what was dropped is in none at the end."""
    dropped = any(name == "part_end" and event_.get("dropped") for name, event_, _, _ in out)
    open_now: set[int] = set()
    count = 0
    for name, _, part, item in out:
        if name == "item_start":
            assert item["index"] == count
            count += 1
            open_now.add(item["index"])
        elif name == "item_end":
            open_now.remove(item["index"])
        elif part is not None and target["items"]:
            assert item["index"] in open_now
            if name == "part_start" and ended and not dropped:
                assert item["parts"][part["item_index"]]["index"] == part["index"]
    assert not (ended and open_now)


def check_message(assembler: Assembler) -> None:
    """The answer as a whole: valid arguments or flagged, and it stays itself when replayed."""
    answer = response(assembler.message)
    for part in answer["parts"]:
        if part["type"] == "tool_call" and not part.get("custom"):
            assert part.get("invalid") or json.loads(part["arguments"]) is not ...
            assert not part.get("invalid") or assembler.report
    once = prepare(answer, None, native={"x"})
    assert prepare(once, None, native={"x"}) == once


@settings(max_examples=250, deadline=None)
@given(SOURCES, TARGETS, SANE, st.sampled_from([None, True, False]), st.integers(1, 4))
def test_invariants_hold_on_random_sequences(
    source: Any, target: Any, events: list[dict[str, Any]], cut: bool | None, batch: int
) -> None:
    check(source, target, [events[at : at + batch] for at in range(0, len(events), batch)], cut)


@settings(max_examples=250, deadline=None)
@given(SOURCES, TARGETS, WILD, st.sampled_from([None, True, False]), st.integers(1, 4))
def test_invariants_hold_on_hostile_sequences(
    source: Any, target: Any, events: list[dict[str, Any]], cut: bool | None, batch: int
) -> None:
    check(source, target, [events[at : at + batch] for at in range(0, len(events), batch)], cut)


@st.composite
def answers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A well-formed stream, its parts interleaved by key."""
    parts: list[list[dict[str, Any]]] = []
    for key, kind in enumerate(
        draw(st.lists(st.sampled_from(["text", "thinking", "tool_call"]), min_size=1, max_size=4))
    ):
        name = "arguments" if kind == "tool_call" else "text"
        content = json.dumps(draw(st.dictionaries(TEXT, TEXT, max_size=2))) if kind == "tool_call" else draw(TEXT)
        cut = draw(st.integers(0, len(content)))
        told = [{"type": "part_start", "key": key, "kind": kind, "fields": {"id": f"c{key}", "name": "f"}}]
        told += [{"type": "part_delta", "key": key, name: piece} for piece in (content[:cut], content[cut:])]
        parts.append([*told, {"type": "part_end", "key": key}])
    mixed: list[dict[str, Any]] = []
    while parts:
        mixed.append(parts[index := draw(st.integers(0, len(parts) - 1))].pop(0))
        if not parts[index]:
            parts.pop(index)
    return [{"type": "start", "id": "m"}, *mixed, {"type": "finish", "reason": "stop"}, {"type": "end"}]


EVERYTHING = {"parts": dict.fromkeys(KINDS, "interleaved"), "ends": {"marker": True}, "starts": "once"}


@settings(max_examples=150, deadline=None)
@given(answers(), st.booleans(), st.data())
def test_well_formed_streams_keep_their_content_and_cuts_are_told(
    events: list[dict[str, Any]], one_open: bool, data: st.DataObject
) -> None:
    whole = Assembler(EVERYTHING, {"oneOpen": one_open})
    out = [told for one in events for told in whole.feed([one])]
    contents = {part["id"]: part.get("arguments", part.get("text")) for part in response(whole.message)["parts"]}
    given: dict[str, str] = {}
    for one in events:
        if one["type"] == "part_delta":
            given[f"c{one['key']}"] = given.get(f"c{one['key']}", "") + one.get("text", "") + one.get("arguments", "")
    assert contents == given
    assert out[-1][0] == "finish"
    at = data.draw(st.integers(0, len(events) - 1))
    broken = Assembler(EVERYTHING, {"oneOpen": one_open})
    told = [one for event_ in events[:at] for one in broken.feed([event_])] + broken.close()
    assert told[-1][0] == "error"
    assert told[-1][1]["meaning"] == "cut"
    assert all(name != "finish" for name, *_ in told)
