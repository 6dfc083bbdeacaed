"""Whatever lint accepts can be built, and what hangs on declared values alone works: no answer fails by a document."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from engine.compiler import compile_set
from engine.compiler.documents.load import Source
from engine.compiler.documents.schema import schema_of
from engine.compiler.documents.sets import KINDS
from engine.hub.usage import Plan
from engine.program import Program
from engine.transport import framing
from tests.compiler.documents.extremes import Extremes

# Every name that a value gives first is one of these.
COMPANIONS = """apiVersion: gatewright/v1
kind: Format
metadata: {name: a}
spec: {endpoints: [{operation: generate, path: /v1/companion}]}
---
apiVersion: gatewright/v1
kind: Provider
metadata: {name: a}
spec: {baseUrl: "https://p.example", formats: {a: {path: /f}}}
"""
# What a kind needs beside what its schema requires, so that more than a few of its values are accepted.
BASES: dict[str, dict[str, Any]] = {
    "Provider": {"baseUrl": "https://a.example", "formats": {"a": {"path": "/f"}}},
    "Alias": {"match": "a"},
    "Payment": {
        "options": {"a": ""},
        "offer": {"methods": "[]", "price": 1, "pay": "/api/pay"},
        "start": {"number": "n", "answer": {"data": 1}},
        "notice": {"path": "/api/notice", "genuine": False, "number": "notice.n", "outcome": "notice.o"},
    },
    "Login": {
        "title": "n",
        "options": {"a": ""},
        "client": {"id": "c"},
        "discovery": "d",
        "authorize": {},
        "person": {"id": "answers.user.id"},
    },
    "Captcha": {
        "options": {"a": ""},
        "needs": ["a"],
        "widget": {"script": "https://a.example/a.js", "class": "a", "field": "a", "siteKey": "options.a"},
        "parameter": "a",
        "verify": {"url": "https://a.example/"},
        "passed": "answer.a",
    },
    "Settings": {"options": {}},
    "Task": {
        "format": "a",
        "submit": {"answer": {"id": "1"}},
        "follow": {"path": "/a", "answer": {"status": "a"}},
        "states": {"a": "SUCCESS"},
    },
    "Price": {"models": [{"names": ["m"], "tokens": {"input": 1}}]},
}
USAGE = {"a": 1, "x": {"y": 2}, "list": [{"b": 3}]}


def specs(kind: str) -> Iterator[dict[str, Any]]:
    root = schema_of(kind)
    for value in Extremes(root, BASES.get(kind)).of(root["properties"]["spec"]):
        if isinstance(value, dict):
            yield copy.deepcopy(value)


def use(program: Program) -> None:
    """What takes declared values as they are."""
    for item in program.formats.values():
        Plan(item.usage).normalise(USAGE)
        for provider in program.providers.values():
            Plan(item.usage, provider.counts(item.name)).normalise(USAGE)
        declared = item.stream.framing if item.stream else {}
        for endpoint in item.endpoints:
            by = endpoint.framing_by
            for kind in (None, by.get("default"), *by.get("values", {}).values()) if by else (None,):
                rules = {**declared, **endpoint.framing, **({"type": kind} if kind else {})}
                framing.decoder(rules)
                if framing.FRAMINGS[rules.get("type", "sse")].encoder:
                    framing.encoder(rules).event({"a": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_what_lint_accepts_can_be_built_and_used(kind):
    accepted, failed, seen = 0, [], set()
    for spec in specs(kind):
        text = json.dumps(spec, sort_keys=True)
        if text in seen:
            continue
        seen.add(text)
        document = {"apiVersion": "gatewright/v1", "kind": kind, "metadata": {"name": "n"}, "spec": spec}
        try:
            result = compile_set([Source("c.yaml", COMPANIONS), Source("n.yaml", yaml.safe_dump(document))], [])
            if result.artefact is not None:
                accepted += 1
                use(result.program())
        except Exception as error:
            failed.append(f"{type(error).__name__}: {error}\n    {text[:300]}")
    assert not failed, f"{len(failed)} of {len(seen)}\n" + "\n".join(failed[:40])
    assert accepted > 3 or kind == "Settings", f"{accepted} of {len(seen)}"
