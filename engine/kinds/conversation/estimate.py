"""What a conversation may use: at a glance, and counted.

At a glance: a token for each four bytes of the request, what an answer that it goes on from had used, the media that
stand at addresses, and the most output that it asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.kinds.conversation.token_fallback import alone, sent
from engine.ledger.counting.weights import BYTES_PER_TOKEN
from engine.relay.ingress.asks import most_output
from engine.relay.kind import Estimate

if TYPE_CHECKING:
    from engine.kinds.conversation.call import ConversationCall

_LOOKED_AT = 262_144
_ADDRESS, _ESCAPED, _SLASH = b"://", rb":\/\/", ord("/")


def estimate(call: ConversationCall) -> Estimate:
    """The estimate at a glance."""
    raw = call.raw
    earlier = call.thread.used(call.format) if call.thread is not None else 0
    # PERF: one letter, as a number, is looked for twenty times as fast as an address
    tokens = earlier + len(raw) // BYTES_PER_TOKEN + (_addressed(call) if _SLASH in raw else 0)
    return Estimate(tokens, most_output(call.format.asks, call.body, call.snapshot.terms.max_tokens), earlier)


def count(call: ConversationCall, estimated: Estimate) -> int:
    """Tokens of the request, counted; of one that goes on from an answer, its own beside those before."""
    counter, model, earlier = call.snapshot.counter, call.asked, estimated.least
    return earlier + alone(counter, call, model).tokens if earlier else sent(counter, call, model, hasty=True).tokens


def _addressed(call: ConversationCall) -> int:
    """Tokens that media at addresses may have: every address may be that of one."""
    # PERF: a longer request is held at so many tokens already that more addresses make little of it
    addresses = call.raw.count(_ADDRESS, 0, _LOOKED_AT) + call.raw.count(_ESCAPED, 0, _LOOKED_AT)
    return addresses * call.snapshot.counter.at_address(call.asked) if addresses else 0
