"""The caller's own keys."""

from __future__ import annotations

from typing import Any

from engine.accounts import own_keys
from engine.api.refusals import Told
from engine.api.resources.newapi import shapes
from engine.api.route import USER, Answer, Ask, Route
from engine.catalogue import options
from engine.storage.rows import tokens
from engine.storage.rows.accounts import split_key

_LEAST = 2


def _page(ask: Ask, page: Any, rows: list[dict[str, Any]], total: int, **more: Any) -> Answer:
    return Answer(page.of([shapes.token(row) for row in rows], total, **more))


def search(ask: Ask) -> Answer:
    """The caller's keys by name and by themselves; ``%`` stands for anything."""
    name, key = ask.query.get("keyword", ""), split_key(ask.query.get("token", ""))[0]
    for text in (name, key):
        if "%" in text and (len(text.replace("%", "")) < _LEAST or text.count("%") > _LEAST):
            raise Told.of("search.short")
    db, page, stats = ask.worker.db, ask.page(), _states(ask)
    rows, total = tokens.page(db, ask.user.id, name=name, key=key, offset=page.offset, limit=page.size)
    return _page(ask, page, rows, total, stats=stats)


def first(ask: Ask) -> Answer:
    """The list, with how many keys there are in each state."""
    page, stats = ask.page(), _states(ask)
    return _page(ask, page, *tokens.page(ask.worker.db, ask.user.id, offset=page.offset, limit=page.size), stats=stats)


def _states(ask: Ask) -> dict[str, int]:
    tokens.age(ask.worker.db, ask.user.id)
    states = tokens.states(ask.worker.db, ask.user.id)
    words = ((1, "enabled"), (2, "disabled"), (3, "expired"), (4, "exhausted"))
    return {"total": sum(states.values()), **{word: states.get(state, 0) for state, word in words}}


def one(ask: Ask) -> Answer:
    """One of the caller's keys, masked."""
    tokens.age(ask.worker.db, ask.user.id)
    return Answer(shapes.token(own_keys.mine(ask.worker.db, ask.user.id, ask.number())))


def clear(ask: Ask) -> Answer:
    """One of the caller's keys in clear, without ``sk-``."""
    row = own_keys.mine(ask.worker.db, ask.user.id, ask.number())
    return Answer({"key": own_keys.clear(row)})


def several(ask: Ask) -> Answer:
    """Some of the caller's keys in clear, by id."""
    ids = own_keys.ids_of(ask.given("ids", []))
    rows = tokens.several(ask.worker.db, ask.user.id, ids)
    return Answer({"keys": {str(row["id"]): own_keys.clear(row) for row in rows}})


def _open(ask: Ask) -> frozenset[str]:
    return ask.worker.snapshot.groups.open_to(ask.user.group) | {"auto"}


def create(ask: Ask) -> Answer:
    """Make a key; its id and itself are told."""
    most = options.value_of(ask.worker.options, "token_setting.max_user_tokens")
    row = own_keys.create(ask.worker.db, ask.user.id, ask.body, _open(ask), most)
    return Answer({"id": row["id"], "key": row["key"], "name": row["name"]})


def change(ask: Ask) -> Answer:
    """Change what is given of a key, or with ``status_only`` its status alone."""
    which = ask.given("id", 0)
    if ask.query.get("status_only"):
        row = own_keys.set_status(ask.worker.db, ask.user.id, which, ask.given("status", 0))
    else:
        row = own_keys.change(ask.worker.db, ask.user.id, which, ask.body, _open(ask))
    return Answer(shapes.token(row))


def delete(ask: Ask) -> Answer:
    """Delete one of the caller's keys."""
    if not own_keys.delete(ask.worker.db, ask.user.id, [ask.number()]):
        raise Told.of("not_found")
    return Answer()


def delete_several(ask: Ask) -> Answer:
    """Delete those of the keys that are the caller's; how many there were."""
    return Answer(own_keys.delete(ask.worker.db, ask.user.id, own_keys.ids_of(ask.given("ids", []))))


def auto_groups(ask: Ask) -> Answer:
    """The groups that ``auto`` may stand for."""
    groups = options.value_of(ask.worker.options, "AutoGroups")
    usable = [name for name in groups if name in _open(ask)]
    return Answer({"groups": usable, "max_count": len(usable)})


_BODY = {
    **dict.fromkeys(("name", "model_limits", "allow_ips", "group", "models", "subnet", "call_tags"), str),
    **dict.fromkeys(("id", "expired_time", "remain_quota", "status"), int),
    **dict.fromkeys(("unlimited_quota", "model_limits_enabled", "cross_group_retry"), bool),
    "auto_groups": list,
}
_IDS = {"ids": list}
ROUTES = (
    Route("GET", "/api/token/", USER, first),
    Route("GET", "/api/token/search", USER, search),
    Route("GET", "/api/token/auto-groups", USER, auto_groups),
    Route("GET", "/api/token/:id", USER, one),
    Route("POST", "/api/token/:id/key", USER, clear, noted=False),
    Route("POST", "/api/token/batch/keys", USER, several, _IDS, noted=False),
    Route("POST", "/api/token/", USER, create, _BODY, broken=(200, "invalid.json")),
    Route("PUT", "/api/token/", USER, change, _BODY, broken=(200, "invalid.json")),
    Route("DELETE", "/api/token/:id", USER, delete),
    Route("POST", "/api/token/batch", USER, delete_several, _IDS),
)
