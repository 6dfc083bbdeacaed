"""Channels: listed, searched, made, changed, copied, tagged, deleted. Keys never appear."""

from __future__ import annotations

from typing import Any

from engine.api.refusals import Told
from engine.api.rights import need
from engine.api.route import ADMIN, Answer, Ask, Route
from engine.catalogue import channels
from engine.storage.rows import channel_edits as rows
from engine.storage.rows.crud import Row
from engine.storage.rows.work.noted import fault_of, without_fault
from engine.storage.values import DISABLED, ENABLED

_STATES = {"enabled": True, "1": True, "disabled": False, "0": False}
_TEXTS = ("name", "models", "group", "other", "status_code_mapping", "settings")
_NULLABLE = (
    *("test_model", "base_url", "model_mapping", "tag", "setting", "param_override", "header_override", "remark"),
)
_NUMBERS = (
    *("type", "status", "weight", "created_time", "test_time", "response_time", "balance", "balance_updated_time"),
    *("used_quota", "priority", "auto_ban"),
)


def shown(row: Row) -> dict[str, Any]:
    """A channel as it is told: everything but the key."""
    return {
        "id": row["id"],
        "key": "",
        **{name: row.get(column) for name, column in channels.RENAMED.items()},
        **{name: row.get(name) or "" for name in _TEXTS},
        "other_info": without_fault(row.get("other_info")),
        "test_fault": fault_of(row.get("other_info")),
        **{name: row.get(name) for name in _NULLABLE},
        **{name: row.get(name) or 0 for name in _NUMBERS},
        "channel_info": dict(channels.info_of(row)),
    }


def _where(ask: Ask, *, typed: bool = True) -> list[Any]:
    query = ask.query
    kind = ask.whole("type") if typed else None
    group = query.get("group", "")
    return rows.conditions(
        group="" if group == "null" else group, status=_STATES.get(query.get("status", "")), kind=kind
    )


def _order(ask: Ask) -> list[Any]:
    query = ask.query
    return rows.order(
        query.get("sort_by", ""), descending=query.get("sort_order") != "asc", by_id=query.get("id_sort") == "true"
    )


def listed(ask: Ask) -> Answer:
    """A page of channels, or of tags with all their channels; how many there are of each type."""
    db, page, where = ask.worker.db, ask.page(), _where(ask)
    counts = rows.types(db, _where(ask, typed=False))
    if ask.query.get("tag_mode") == "true":
        tags, total = rows.tags(db, where, page.offset, page.size)
        items = rows.listed(db, [*where, *rows.conditions(tag=tags)], _order(ask)) if tags else []
    else:
        items, total = rows.listed(db, where, _order(ask), offset=page.offset, limit=page.size), rows.count(db, where)
    return Answer(page.of([shown(row) for row in items], total, type_counts=counts))


def search(ask: Ask) -> Answer:
    """Channels by a word, an id, a key as it is, or a part of a model's name."""
    db, page = ask.worker.db, ask.page(20)
    wanted = rows.matching(ask.query.get("keyword", "")[:500], ask.query.get("model", "")[:255])
    where = [*wanted, *_where(ask)]
    items = rows.listed(db, where, _order(ask), offset=page.offset, limit=page.size)
    counts = rows.types(db, [*wanted, *_where(ask, typed=False)])
    return Answer({"items": [shown(row) for row in items], "total": rows.count(db, where), "type_counts": counts})


def one(ask: Ask) -> Answer:
    """A channel."""
    return Answer(shown(channels.get(ask.worker.db, ask.number())))


def create(ask: Ask) -> Answer:
    """Make channels; their ids are told. A bare channel is taken too: several lines of keys are several channels."""
    body = ask.given("channel")
    mode = ask.given("mode", "")
    if "mode" not in ask.body and body is None and ask.given("name") is not None:
        body, mode = ask.body, "batch" if "\n" in str(ask.body.get("key") or "").strip() else "single"
    if not isinstance(body, dict):
        raise Told.of("channel.empty")
    way, prefix = ask.given("multi_key_mode", ""), ask.given("batch_add_set_key_prefix_2_name", False)
    ids = channels.create(ask.worker.db, mode, body, way, prefix=prefix)
    ask.worker.changed()
    return Answer({"ids": ids, "id": ids[0]})


def change(ask: Ask) -> Answer:
    """Change what is given of a channel; some members are root's."""
    which = ask.given("id", 0)
    sensitive = sorted(channels.SENSITIVE & {name for name, value in ask.body.items() if value not in (None, "")})
    if sensitive and _differs(ask, which, sensitive):
        need(ask, "channel.sensitive_write")
    row = channels.change(ask.worker.db, which, ask.body)
    ask.worker.changed()
    return Answer({**shown(row), "multi_key_mode": ask.given("multi_key_mode"), "key_mode": ask.given("key_mode")})


def _differs(ask: Ask, which: int, names: list[str]) -> bool:
    """Whether members are really changed: pages send all of a channel back."""
    row = shown(channels.get(ask.worker.db, which))
    return any(name == "key" or ask.body[name] != row.get(name) for name in names)


def set_status(ask: Ask) -> Answer:
    """Switch a channel on or off."""
    row = channels.get(ask.worker.db, ask.number())
    changed = channels.set_status(ask.worker.db, [row], ask.given("status", 0))
    ask.worker.changed()
    return Answer(bool(changed), shown=True)


def set_several(ask: Ask) -> Answer:
    """Switch channels on or off; how many changed."""
    listed_rows = rows.several(ask.worker.db, channels.ids_of(ask.given("ids", [])))
    changed = channels.set_status(ask.worker.db, listed_rows, ask.given("status", 0))
    ask.worker.changed()
    return Answer(changed)


def delete(ask: Ask) -> Answer:
    """Delete a channel."""
    if not rows.remove(ask.worker.db, rows.by_ids([ask.number()])):
        raise Told.of("not_found")
    ask.worker.changed()
    return Answer()


def delete_several(ask: Ask) -> Answer:
    """Delete channels; how many there were."""
    count = rows.remove(ask.worker.db, rows.by_ids(channels.ids_of(ask.given("ids", []))))
    ask.worker.changed()
    return Answer(count)


def delete_off(ask: Ask) -> Answer:
    """Delete all channels that are switched off; how many."""
    count = rows.remove(ask.worker.db, rows.off())
    ask.worker.changed()
    return Answer(count)


def copy(ask: Ask) -> Answer:
    """Make a channel like another; its id."""
    suffix = ask.query.get("suffix", "_复制")
    reset = ask.query.get("reset_balance", "true") != "false"
    which = channels.copy(ask.worker.db, ask.number(), suffix, reset=reset)
    ask.worker.changed()
    return Answer({"id": which})


def tag_several(ask: Ask) -> Answer:
    """Give channels a tag, or none."""
    ids = channels.ids_of(ask.given("ids", []))
    tag = str(ask.given("tag", ""))[:191] or None
    count = rows.change(ask.worker.db, {which: {"tag": tag} for which in ids})
    ask.worker.changed()
    return Answer(count)


def _tagged(status: int) -> Any:
    def answer(ask: Ask) -> Answer:
        if not ask.given("tag"):
            raise Told.of("invalid")
        channels.set_status(ask.worker.db, rows.tagged(ask.worker.db, ask.body["tag"]), status)
        ask.worker.changed()
        return Answer()

    return answer


def change_tag(ask: Ask) -> Answer:
    """Change all channels of a tag."""
    if ask.given("param_override") or ask.given("header_override"):
        need(ask, "channel.sensitive_write")
    channels.change_tag(ask.worker.db, ask.given("tag", ""), ask.body)
    ask.worker.changed()
    return Answer()


def tag_models(ask: Ask) -> Answer:
    """The longest list of models of a tag's channels."""
    tag = ask.query.get("tag", "")
    if not tag:
        raise Told.of("channel.tag", 400)
    lists = [row.get("models") or "" for row in rows.tagged(ask.worker.db, tag)]
    return Answer(max(lists, key=lambda text: text.count(","), default=""))


def enabled_models(ask: Ask) -> Answer:
    """The names that some channel serves that is switched on."""
    served = rows.listed(ask.worker.db, rows.conditions(status=True))
    return Answer(
        sorted({name.strip() for row in served for name in (row.get("models") or "").split(",") if name.strip()})
    )


def builtin(ask: Ask) -> Answer:
    """The models that documents name."""
    program = ask.worker.snapshot.program
    pairs = {(name, provider.name) for provider in program.providers.values() for name in provider.models}
    model = {"object": "model", "created": 1626777600, "supported_endpoint_types": None}
    return Answer([{"id": name, **model, "owned_by": owner} for name, owner in sorted(pairs)], shown=True)


def settings(ask: Ask) -> Answer:
    """What holds for all channels."""
    return Answer({"retry_times": ask.worker.snapshot.groups.retries or 0})


def repair(ask: Ask) -> Answer:
    """Write anew which models are served for which groups, where other programs read it."""
    count = rows.repair(ask.worker.db)
    return Answer({"success": count, "fails": 0})


_CHANNEL: dict[str, Any] = {
    **dict.fromkeys((*channels.TEXTS, "key", "multi_key_mode", "key_mode", "mode"), str),
    **dict.fromkeys(channels.OBJECTS, object),
    **dict.fromkeys((*channels.NUMBERS, "id", "status"), int),
    "channel": dict,
    "batch_add_set_key_prefix_2_name": bool,
    **dict.fromkeys(("created_time", "test_time", "response_time", "balance", "used_quota", "channel_info"), object),
}
_JSON = (200, "invalid.json")
_TAG: dict[str, Any] = {
    **dict.fromkeys(("tag", "new_tag", "models", "groups"), str),
    **dict.fromkeys(("priority", "weight"), int),
    **dict.fromkeys(("model_mapping", "param_override", "header_override"), object),
}
_IDS = {"ids": list}
ROUTES = (
    Route("GET", "/api/channel/", ADMIN, listed, right="channel.read"),
    Route("GET", "/api/channel/search", ADMIN, search, right="channel.read"),
    Route("GET", "/api/channel/models", ADMIN, builtin, right="channel.read"),
    Route("GET", "/api/channel/models_enabled", ADMIN, enabled_models, right="channel.read"),
    Route("GET", "/api/channel/ops", ADMIN, settings, right="channel.read"),
    Route("GET", "/api/channel/tag/models", ADMIN, tag_models, right="channel.read"),
    Route("GET", "/api/channel/:id", ADMIN, one, right="channel.read"),
    Route("POST", "/api/channel/", ADMIN, create, _CHANNEL, broken=_JSON, right="channel.sensitive_write"),
    Route("PUT", "/api/channel/", ADMIN, change, _CHANNEL, broken=_JSON, right="channel.write"),
    Route("POST", "/api/channel/:id/status", ADMIN, set_status, {"status": int}, right="channel.operate"),
    Route("POST", "/api/channel/status/batch", ADMIN, set_several, {**_IDS, "status": int}, right="channel.operate"),
    Route("DELETE", "/api/channel/disabled", ADMIN, delete_off, right="channel.sensitive_write"),
    Route("DELETE", "/api/channel/:id", ADMIN, delete, right="channel.sensitive_write"),
    Route("POST", "/api/channel/batch", ADMIN, delete_several, _IDS, right="channel.sensitive_write"),
    Route("POST", "/api/channel/copy/:id", ADMIN, copy, right="channel.sensitive_write"),
    Route("POST", "/api/channel/batch/tag", ADMIN, tag_several, {**_IDS, "tag": str}, right="channel.write"),
    Route("POST", "/api/channel/tag/enabled", ADMIN, _tagged(ENABLED), {"tag": str}, right="channel.operate"),
    Route("POST", "/api/channel/tag/disabled", ADMIN, _tagged(DISABLED), {"tag": str}, right="channel.operate"),
    Route("PUT", "/api/channel/tag", ADMIN, change_tag, _TAG, right="channel.write"),
    Route("POST", "/api/channel/fix", ADMIN, repair, right="channel.operate"),
)
