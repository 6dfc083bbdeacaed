"""The kind of call that asks for an answer in a conversation, in any format that the hub can carry to any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.kinds.conversation import estimate, options, token_fallback
from engine.kinds.conversation.call import ConversationCall, Converted
from engine.kinds.conversation.counting import count_tokens
from engine.kinds.conversation.deliver import deliver
from engine.kinds.conversation.endpoints import holds
from engine.kinds.conversation.read import read
from engine.kinds.conversation.services import ConversationServices
from engine.kinds.conversation.stored import operations
from engine.kinds.conversation.stored.thread import prefer
from engine.kinds.conversation.streamed.encoder import Encoder
from engine.kinds.conversation.translate import translate
from engine.kinds.needed import needed
from engine.relay.kind import Estimate, Kind

if TYPE_CHECKING:
    from engine.relay.call import Reply
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Answer, Handle
    from engine.transport.waiting import Waiting


class Conversation(Kind[ConversationCall, Converted]):
    """See the module."""

    name = options.NAME
    call = ConversationCall

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._own = own = ConversationServices(services)
        self.operations = {
            "count_tokens": partial(count_tokens, own),
            "get_stored": partial(operations.get_stored, own),
            "delete_stored": partial(operations.delete_stored, own),
            "cancel_stored": partial(operations.cancel_stored, own),
            "list_stored_items": partial(operations.list_stored_items, own),
        }

    def options(self, policy: Mapping[str, Any]) -> options.ConversationOptions:
        return options.read(policy)

    def adapt(self, snapshot: Snapshot) -> None:
        self._own.adapt(options.of(snapshot).stored)

    def follow(self, snapshot: Snapshot) -> None:
        self._own.background.follow(self._own, snapshot)

    def close(self) -> None:
        self._own.close()

    def read(self, call: ConversationCall, environ: dict[str, Any]) -> Reply | None:
        return read(self._own, call, environ)

    def estimate(self, call: ConversationCall) -> Estimate:
        return estimate.estimate(call)

    def count(self, call: ConversationCall, estimated: Estimate) -> int:
        return estimate.count(call, estimated)

    def order(self, call: ConversationCall, attempts: list[Attempt]) -> list[Attempt]:
        return prefer(call, needed(call, attempts, holds(call)))

    def repeatable(self, call: ConversationCall) -> bool:
        return call.thread is None or not call.thread.background

    def goes_on(self, call: ConversationCall, attempt: Attempt) -> bool:
        if not call.said:  # blanks at most, which any answer may begin with
            return call.said is not None
        prefill = call.program.models.traits(attempt.model).get("prefill")
        return prefill is not False and call.said[-1]["type"] in attempt.format.continues

    def encode(self, call: ConversationCall, attempt: Attempt) -> Converted:
        return translate(call, attempt, call.snapshot.fetch, self._recall)

    def _recall(self, call: ConversationCall, hub: dict[str, Any]) -> dict[str, Any]:
        """The conversation with what the caller's format could not hold of it; asked where formats differ."""
        if call.account is None:
            return hub
        return self._own.memory.recall(call.account.token_id, options.of(call.snapshot).remember_seconds, hub)

    def deliver(
        self,
        call: ConversationCall,
        attempt: Attempt,
        out: Converted,
        answer: Answer,
        handle: Handle,
        unwatch: Callable[[], None],
        *,
        spare: bool,
    ) -> Waiting[Reply]:
        return deliver(self._own, call, attempt, out, answer, handle, unwatch, spare=spare)

    def left(self, call: ConversationCall, attempt: Attempt) -> None:
        token_fallback.left(call.snapshot.counter, call, attempt)

    def voice(self, call: ConversationCall) -> Encoder:
        return Encoder(call, [], {}, call.ctx(call.attempt))
