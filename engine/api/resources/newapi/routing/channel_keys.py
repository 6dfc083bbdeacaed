"""The keys of channels: the states of several, and one's key in clear for root with a proof."""

from __future__ import annotations

from engine.accounts.factors import proofs
from engine.api.refusals import Told
from engine.api.rights import need, prove
from engine.api.route import ADMIN, ROOT, Answer, Ask, Route
from engine.catalogue import channels, multi_keys


def manage(ask: Ask) -> Answer:
    """Show the states of a channel's keys, switch or delete them."""
    db, which, action = ask.worker.db, ask.given("channel_id", 0), ask.given("action", "")
    index = ask.given("key_index")
    channels.multi(db, which)
    if action == "get_key_status":
        page, size = ask.given("page", 1), ask.given("page_size", 50)
        return Answer(multi_keys.shown(db, which, ask.given("status"), page, size))
    if action.startswith("delete"):
        need(ask, "channel.sensitive_write")
    answer = _changed(ask, which, action, index)
    ask.worker.changed()
    return answer


def _changed(ask: Ask, which: int, action: str, index: int | None) -> Answer:
    db = ask.worker.db
    if action in ("disable_key", "enable_key"):
        on = action == "enable_key"
        multi_keys.switch(db, which, index, on=on)
        return Answer(message="channel.key.on" if on else "channel.key.off")
    if action in ("disable_all_keys", "enable_all_keys"):
        on = action == "enable_all_keys"
        count = multi_keys.switch_all(db, which, on=on)
        return Answer(message="channel.keys.on" if on else "channel.keys.off", values={"count": count})
    if action == "delete_key":
        multi_keys.delete(db, which, index)
        return Answer(message="channel.key.deleted")
    if action == "delete_disabled_keys":
        count = multi_keys.delete_off(db, which)
        return Answer(count, message="channel.keys.deleted", values={"count": count})
    raise Told.of("channel.action")


def clear(ask: Ask) -> Answer:
    """A channel's keys in clear, for root who has just proved to be that."""
    prove(ask, proofs.CHANNEL_KEY, always=True)
    return Answer({"key": channels.get(ask.worker.db, ask.number())["key"]}, message="success")


_BODY = {**dict.fromkeys(("channel_id", "key_index", "page", "page_size", "status"), int), "action": str}
ROUTES = (
    Route("POST", "/api/channel/multi_key/manage", ADMIN, manage, _BODY, right="channel.operate"),
    Route("POST", "/api/channel/:id/key", ROOT, clear),
)
