"""Prices of another gateway: first the plan, then what of it is taken up."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.route import ROOT, Answer, Ask
from engine.catalogue import price_plan, price_sync

_SOURCE = {
    "channel_id": Field(
        kind="integer", words="The channel whose gateway is read; below 0 a public list.", least=-(2**31), most=2**53
    ),
    "url": Field(kind="string", words="Or the address of a gateway.", least=8, most=2000),
    "rise": Field(
        kind="number",
        words="The share by which one may rise by itself; 0.2: a fifth.",
        needed=True,
        least=0,
        most=100,
    ),
    "timeout": Field(kind="integer", words="Seconds that reading may take; without it 10.", least=1, most=30),
}
ASKED = Shape("PriceSource", _SOURCE)
AGREED = Shape(
    "PriceAgreement",
    {
        **_SOURCE,
        "plan": Field(kind="string", words="The plan that was looked at.", needed=True, least=32, most=32),
        "agreed": Field(
            kind="array",
            words="Models of which a person takes up what is held.",
            most=5000,
            items=Field(kind="string", words="A model.", least=1, most=255),
        ),
    },
)
_CHANGES = "`model`, `field`, `before`, `after` and `held`: rise, kind, free, or nothing."
PLAN = Shape(
    "PricePlan",
    dict(
        (
            told("source", "Whose prices they are.", "string"),
            told("plan", "What names this plan.", "string"),
            told("changes", _CHANGES, "array"),
            told("ready", "How many are taken up by themselves."),
            told("held", "How many wait for a person."),
        )
    ),
)


def _plan(ask: Ask) -> price_plan.PricePlan:
    body, worker = ask.values, ask.worker
    channels = [body["channel_id"]] if body.get("channel_id") else []
    addresses = [{"base_url": body["url"]}] if body.get("url") else []
    sources = price_sync.sources(worker.db, channels, addresses)
    return price_plan.read(worker.upstream.pool, sources, worker.options, body["rise"], body.get("timeout") or 10)


def _told(plan: price_plan.PricePlan, changes: Any) -> Answer:
    held = sum(bool(change.held) for change in changes)
    listed = [dataclasses.asdict(change) for change in changes]
    answer = {"source": plan.source, "plan": plan.digest, "changes": listed}
    return Answer({**answer, "ready": len(listed) - held, "held": held})


def plan(ask: Ask) -> Answer:
    """What would change; nothing does."""
    made = _plan(ask)
    return _told(made, made.changes)


def apply(ask: Ask) -> Answer:
    """Take up what is ready, and what a person agrees to; what was taken up."""
    made, worker = _plan(ask), ask.worker
    agreed = ask.values.get("agreed") or []
    chosen = price_plan.apply(worker.db, worker.options, made, ask.values["plan"], agreed, ask.user.id)
    worker.changed()
    return _told(made, chosen)


ROUTES = (
    Operation(
        *("POST", f"{PREFIX}/prices/plan", ROOT, plan),
        words="What another gateway's prices would change.",
        takes=ASKED,
        gives=PLAN,
        makes=True,
        noted=False,
    ),
    Operation(
        *("POST", f"{PREFIX}/prices/apply", ROOT, apply),
        words="Take up prices of a plan that was looked at.",
        takes=AGREED,
        gives=PLAN,
        makes=True,
    ),
)
