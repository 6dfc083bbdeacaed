"""Calls that New API itself charged: by the usage that its upstream told, the same charge here, to the unit.

``../shared/reference/golden/charges.jsonl`` has calls, options and the right charge; where that is not New API's, the
line says why. Each is read as an answer of the provider that the channel's type stands for, whole or as a stream.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine import paths
from engine.compiler import compile_set, read_set
from engine.hub.usage import Plan, UsageTally
from engine.ledger.counting.tokens import Counter
from engine.ledger.pricing.book import Book
from engine.program import Format, Program
from tests.support import ROOT, missing

FOLDER = Path(ROOT).parent / "shared" / "reference" / "golden"
FORMATS = {"chat": "openai.chat", "responses": "openai.responses"}
OWN = {14: "anthropic.messages", 24: "gemini.generateContent"}
WORDS = "What is it now?"
"""A request of 13 tokens by the gateway's own count; the answer has one."""


def _cases() -> list[dict[str, Any]]:
    file = FOLDER / "charges.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


CASES = _cases()


def test_the_golden_charges_are_there() -> None:
    if not CASES:
        missing(f"no golden charges in {FOLDER}")
    assert len(CASES) == 257


@cache
def program() -> Program:
    sources, shared, faults = read_set([paths.SPECS])
    result = compile_set(sources, shared)
    assert not faults + result.faults
    return result.program()


@cache
def book() -> Book:
    options = json.loads((FOLDER / "charges-options.json").read_text())
    made = Book(
        program(), {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}
    )
    assert not made.faults
    return made


def answer(case: dict[str, Any]) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """The provider's format, and its answer whole and as the events of a stream that tell usage."""
    kind, usage, more = case["channel_type"], case["usage"], case.get("more")
    if kind == 14:
        return OWN[14], {"usage": usage}, _claude_events(usage)
    if kind == 24:
        candidate = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP", **(more or {})}
        body = {"candidates": [candidate], "usageMetadata": usage}
        return OWN[24], body, [body]
    if case["client"] == "responses":
        items = [{"type": more, "id": "i", "status": "completed"}] if more else []
        tools = [{"type": "web_search_preview"}] if more else []
        body = {"id": "r", "status": "completed", "output": items, "tools": tools, "usage": usage}
        return FORMATS["responses"], body, [{"type": "response.completed", "response": body}]
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
    if case["case"].endswith("in choice"):
        return FORMATS["chat"], {"choices": [{**choice, "usage": usage}]}, [{"choices": [{**last, "usage": usage}]}]
    return (
        FORMATS["chat"],
        {"choices": [choice], "usage": usage},
        [{"choices": [last]}, {"choices": [], "usage": usage}],
    )


def _claude_events(usage: dict[str, Any]) -> list[dict[str, Any]]:
    start = {"type": "message_start", "message": {"id": "m", "usage": {**usage, "output_tokens": 1}}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    return [start, end]


def told(case: dict[str, Any]) -> dict[str, Any]:
    """The usage as the gateway reads it."""
    name, body, events = answer(case)
    provider = program().providers[program().legacy["newApi", case["channel_type"]][0]]
    spoken: Format = program().formats[name]
    own = next(
        (hop for hop in provider.formats if program().formats[hop].passthrough_as == spoken.passthrough_as), name
    )
    spoken = program().formats[own]
    plan = Plan(spoken.usage, provider.counts(own))
    if not case["stream"]:
        assert spoken.usage.at is not None
        return plan.normalise(spoken.usage.at([], body, case["model"], {}))
    assert spoken.stream is not None
    assert spoken.stream.decode is not None
    tally = UsageTally(plan)
    for event in events:
        for said in spoken.stream.decode([], event.get("type"), event, {}, {}, {"model": case["model"]}) or ():
            if said["type"] == "usage":
                tally.add(said)
    return tally.settle()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['case']}-{case['group']}-{case['stream']}")
def test_a_call_costs_what_it_should(case: dict[str, Any]) -> None:
    usage = told(case)
    if not usage[
        "output_total"
    ]:  # nothing told beside words: counted here, as in `engine.kinds.conversation.token_fallback`
        rules = tuple((program().policy.get("counting") or {}).values())
        counter = Counter([paths.VOCABULARIES], rules)
        output = counter.answer(case["model"], [{"type": "text", "text": "Hi"}]).tokens
        if not usage["input_total"]:
            hub = {"messages": [{"role": "user", "parts": [{"type": "text", "text": WORDS}]}]}
            fresh = counter.request(case["model"], hub).tokens
            usage |= {"input_fresh": fresh, "input_total": fresh}
        usage |= {"output_text": output, "output_total": output, "total": usage["input_total"] + output}
    rule = book().find(case["model"])
    charge = book().charge(rule, usage, group=case["group"], user_group="default", channel="c", request={})
    assert charge.quota == case["want"], (case, usage, charge.lines)
