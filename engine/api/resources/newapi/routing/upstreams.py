"""What needs an upstream: testing a channel, its balance, its models, and taking up models that came or went."""

from __future__ import annotations

import time
from itertools import chain
from typing import Any

from engine.api.channel_work import ChannelTests, run_test
from engine.api.refusals import Told
from engine.api.route import ADMIN, Answer, Ask, Route
from engine.catalogue import channel_tests, channels, updates, upstreams
from engine.errors import GatewrightError, NotFound
from engine.storage.rows import channel_edits
from engine.storage.rows import channels as channel_rows
from engine.texts import refusal


def _through(ask: Ask) -> Any:
    return ask.worker.upstream.through


def fetch_models(ask: Ask) -> Answer:
    """The models that a channel's upstream lists."""
    row = channels.get(ask.worker.db, ask.number())
    return Answer(upstreams.models_of(_through(ask), ask.worker.snapshot.program, row))


def fetch_free(ask: Ask) -> Answer:
    """The models that an address lists, for a channel that is being made."""
    if ask.given("channel_id"):
        row = channels.get(ask.worker.db, ask.body["channel_id"])
        return Answer(upstreams.models_of(_through(ask), ask.worker.snapshot.program, row))
    key = ask.given("key", "").strip().splitlines()
    program, kind, base = ask.worker.snapshot.program, ask.given("type", 0), ask.given("base_url", "")
    return Answer(upstreams.models(_through(ask), program, kind, base, key[0] if key else ""))


def balance(ask: Ask) -> Answer:
    """What a channel's account still has."""
    row = channels.get(ask.worker.db, ask.number())
    amount = upstreams.balance(_through(ask), ask.worker.snapshot.program, ask.worker.db, row)
    return Answer(beside={"balance": amount})


def balances(ask: Ask) -> Answer:
    """Ask for all balances, half a minute at most; how many were told."""
    ends, told = time.monotonic() + 30, 0
    for row in channel_edits.listed(ask.worker.db, channel_edits.conditions(status=True), limit=1000, offset=0):
        if time.monotonic() > ends:
            break
        try:
            upstreams.balance(_through(ask), ask.worker.snapshot.program, ask.worker.db, row)
            told += 1
        except GatewrightError:
            continue
    return Answer(beside={"updated": told})


def test(ask: Ask) -> Answer:
    """Send a short call through a channel, whatever its state; how long it took, and what was wrong."""
    row = next(iter(channel_rows.load(ask.worker.db, ask.number())), None)
    if row is None:
        raise refusal(NotFound, "not_found")
    model = ask.query.get("model") or channel_tests.model_of(row)
    stream = ask.query.get("stream") == "true"
    rule, key = ask.query.get("endpoint_type", "")[:64], channel_tests.switched_on(row)
    outcome = run_test(ask.worker, ask.user.row, row, model, key, stream=stream, rule=rule, ip=ask.ip)
    beside: dict[str, Any] = {"time": round(outcome.seconds, 3)}
    if not outcome.answered:
        beside |= {"error_code": outcome.code, "message": outcome.message}
    return Answer(success=outcome.answered, beside=beside)


def test_all(ask: Ask) -> Answer:
    """Try every channel that is switched on and those that were switched off by themselves, a minute at most.

    What follows is what follows of the tests that are made from time to time.
    """
    ends, count = time.monotonic() + 60, 0
    tests = ChannelTests(ask.worker, ask.user.row, passive=False)
    for one in chain.from_iterable(tests.of(row) for row in channel_rows.load(ask.worker.db)):
        if time.monotonic() > ends:
            break
        tests.run(one)
        count += 1
    ask.worker.catch_up()
    return Answer(beside={"tested": count})


def detect(ask: Ask) -> Answer:
    """Which models an upstream has that its channel has not, and the other way round."""
    if ask.given("id", 0) <= 0:
        raise Told.of("channel.id")
    row = channels.get(ask.worker.db, ask.body["id"])
    listed = upstreams.models_of(_through(ask), ask.worker.snapshot.program, row)
    return Answer(updates.detect(ask.worker.db, row["id"], listed))


def detect_all(ask: Ask) -> Answer:
    """The same of every channel whose setting asks for it, half a minute at most."""
    ends = time.monotonic() + 30
    results: list[dict[str, Any]] = []
    failed: list[int] = []
    for row in channel_edits.listed(ask.worker.db, channel_edits.conditions(status=True), limit=1000, offset=0):
        if time.monotonic() > ends:
            break
        if not updates.asked_for(row):
            continue
        try:
            listed = upstreams.models_of(_through(ask), ask.worker.snapshot.program, row)
        except GatewrightError:
            failed.append(row["id"])
            continue
        results.append(updates.detect(ask.worker.db, row["id"], listed))
    return Answer(
        {
            "processed_channels": len(results),
            "failed_channel_ids": failed,
            "detected_add_models": sum(len(one["add_models"]) for one in results),
            "detected_remove_models": sum(len(one["remove_models"]) for one in results),
            "channel_detected_results": results,
        }
    )


def apply(ask: Ask) -> Answer:
    """Take up models that were found by looking."""
    if ask.given("id", 0) <= 0:
        raise Told.of("channel.id")
    lists = [[str(one) for one in ask.given(name, [])] for name in ("add_models", "remove_models", "ignore_models")]
    answer = updates.apply(ask.worker.db, ask.body["id"], *lists)
    ask.worker.changed()
    return Answer(answer)


def apply_all(ask: Ask) -> Answer:
    """Take up all that was found of channels whose setting asks for it."""
    results = updates.apply_all(ask.worker.db)
    ask.worker.changed()
    return Answer(results)


_APPLY = {"id": int, "add_models": list, "remove_models": list, "ignore_models": list}
_FREE = {"type": int, "key": str, "base_url": str, "channel_id": int}
ROUTES = (
    Route("GET", "/api/channel/test/:id", ADMIN, test, right="channel.operate"),
    Route("GET", "/api/channel/test", ADMIN, test_all, right="channel.operate"),
    Route("GET", "/api/channel/update_balance/:id", ADMIN, balance, right="channel.operate"),
    Route("GET", "/api/channel/update_balance", ADMIN, balances, right="channel.operate"),
    Route("GET", "/api/channel/fetch_models/:id", ADMIN, fetch_models, right="channel.operate"),
    Route(
        "POST",
        "/api/channel/fetch_models",
        ADMIN,
        fetch_free,
        _FREE,
        broken=(400, "invalid.request"),
        right="channel.sensitive_write",
    ),
    Route("POST", "/api/channel/upstream_updates/detect", ADMIN, detect, {"id": int}, right="channel.operate"),
    Route("POST", "/api/channel/upstream_updates/detect_all", ADMIN, detect_all, right="channel.operate"),
    Route("POST", "/api/channel/upstream_updates/apply", ADMIN, apply, _APPLY, right="channel.write"),
    Route("POST", "/api/channel/upstream_updates/apply_all", ADMIN, apply_all, right="channel.write"),
)
