"""A call from the console: billed to the user who has logged in, without a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.accounts import console_account
from engine.api.refusals import Told
from engine.api.route import ROOT, USER, Answer, Ask, Route
from engine.catalogue import groups

_PATH = "/v1/chat/completions"
_HEADERS = ("content-type", "retry-after", "x-request-id", "x-gatewright-release")


def chat(ask: Ask) -> Answer:
    """Hand the body on to the relay as the caller."""
    group = str(ask.body.pop("group", "") or "")
    return _call(ask, group, _PATH, ask.body)


def call(ask: Ask) -> Answer:
    """The same in any client's format: ``path`` of this gateway, with its query, and the ``body``.

    ``release`` asks for one that is not in force; it is for root.
    """
    path, body = ask.given("path", _PATH), ask.body.get("body")
    if not path.startswith("/v1") or len(path) > 512 or not path.isascii() or not isinstance(body, dict):
        raise Told.of("invalid", 400)
    release = ask.given("release", "").strip()
    if release and ask.user.role < ROOT:
        raise Told.of("auth.role", 403)
    headers = {"x-gatewright-release": release[:128]} if release else {}
    return _call(ask, ask.given("group", ""), path, body, headers)


def _call(ask: Ask, group: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    group = group or ask.user.group
    if group not in ask.worker.snapshot.groups.open_to(ask.user.group) | {groups.AUTO}:
        raise Told.of("token.group", 403, group=group)
    account = console_account.of(ask.user.row, f"playground-{group}", group)
    told = ask.worker.call(account, path, orjson.dumps(body), 0, ask.ip, headers)
    kept = {name: value for name, value in told.headers.items() if name in _HEADERS}
    return Answer(status=told.status, stream=told.pieces, headers=kept)


_BODY = {"path": str, "body": object, "group": str, "release": str}
ROUTES = (
    Route("POST", "/pg/chat/completions", USER, chat, {}, session=True, noted=False),
    Route("POST", "/pg/call", USER, call, _BODY, session=True, noted=False),
)
