"""Options, for root."""

from __future__ import annotations

from engine.api import networks
from engine.api.refusals import Told
from engine.api.route import ROOT, Answer, Ask, Route
from engine.catalogue import options

_RATIOS = ["ModelRatio", "ModelPrice", "CompletionRatio", "CacheRatio", "CreateCacheRatio"]


def listed(ask: Ask) -> Answer:
    """All options but secrets."""
    return Answer(options.shown(ask.worker.options))


def put(ask: Ask) -> Answer:
    """Set one option; one that nothing here reads says so."""
    value = ask.body.get("value")
    networks.not_oneself(ask, ask.given("key", ""), value)
    used = options.put(ask.worker.db, ask.worker.options, ask.given("key", ""), value, ask.user.id)
    ask.worker.changed()
    return Answer(beside={} if used else {"no_effect": True})


def reset(ask: Ask) -> Answer:
    """Default ratios again."""
    options.reset(ask.worker.db, _RATIOS)
    ask.worker.changed()
    return Answer(message="success")


def affinity(ask: Ask) -> Answer:
    """How many callers are bound to a channel: none is, by rules of this kind."""
    state = {"enabled": True, "total": 0, "unknown": 0, "by_rule_name": {}}
    return Answer({**state, "cache_capacity": 100_000, "cache_algo": "lru"})


def clear_affinity(ask: Ask) -> Answer:
    """Forget bound callers."""
    if ask.query.get("all") != "true" and not ask.query.get("rule_name"):
        raise Told.of("affinity.param", 400)
    return Answer({"deleted": 0})


ROUTES = (
    Route("GET", "/api/option/", ROOT, listed),
    Route("PUT", "/api/option/", ROOT, put, {"key": str, "value": object}, broken=(400, "invalid")),
    Route("POST", "/api/option/rest_model_ratio", ROOT, reset),
    Route("GET", "/api/option/channel_affinity_cache", ROOT, affinity),
    Route("DELETE", "/api/option/channel_affinity_cache", ROOT, clear_affinity, noted=False),
)
