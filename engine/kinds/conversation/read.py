"""Read: a request's body becomes the call's, and what it goes on from is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from engine import bounds
from engine.kinds.conversation.stored.thread import take_up
from engine.kinds.kept import owned
from engine.relay.ingress.body import IngressServices, take

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall
    from engine.kinds.conversation.stored.store import ResponseStore
    from engine.relay.call import Reply
    from engine.storage.database import Database


class ReadServices(IngressServices, Protocol):
    """What reading takes of what a worker has for conversations."""

    @property
    def db(self) -> Database: ...
    @property
    def answers(self) -> ResponseStore: ...


def read(services: ReadServices, call: ConversationCall, environ: dict[str, Any]) -> Reply | None:
    """Fill the call from its body; or give the reply of the process for heavy requests."""
    elsewhere = take(services, call, environ)
    if elsewhere is not None:
        return elsewhere
    stored = call.format.stored
    if stored is not None and isinstance(previous := call.body.get(stored.field), str):
        bounds.ID.check(len(previous), stored.field)
    owned.bind(services.db, call)
    if stored is not None:
        take_up(call, services.answers, services.settings.max_request_body)
    return None
