"""Routes for channels of one type alone, from the table of types; what such a type can do besides comes later."""

from __future__ import annotations

from typing import Any

import orjson

from engine import paths
from engine.api.refusals import Told
from engine.api.route import ADMIN, Answer, Ask, Call, Route
from engine.catalogue import channels


def _routes() -> tuple[Route, ...]:
    listed = orjson.loads((paths.CATALOGUE / "kinds.json").read_bytes())["typed"]
    return tuple(_route(one) for one in listed)


def _route(one: dict[str, Any]) -> Route:
    right = "channel.read" if one["method"] == "GET" else "channel.sensitive_write"
    body = {"channel_id": int, "model_name": str} if one["method"] != "GET" and ":id" not in one["path"] else None
    return Route(one["method"], one["path"], ADMIN, _answer(one), body, noted=False, right=right)


def _answer(one: dict[str, Any]) -> Call:
    def answer(ask: Ask) -> Answer:
        which = ask.number() if "id" in ask.path else ask.given("channel_id", 0)
        row = channels.get(ask.worker.db, which)
        if row.get("type") != one["type"]:
            raise Told.of(one["key"], one["status"], what=one["name"])
        raise Told.of("channel.balance.none")

    return answer


ROUTES = _routes()
