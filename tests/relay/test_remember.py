"""What calls must bring back is kept, whatever characters and numbers it holds."""

from __future__ import annotations

from engine.cluster.store import EmbeddedStore
from engine.kinds.conversation.remember import Memory

CALL = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {}}


def test_half_characters_and_long_numbers_are_kept(tmp_path):
    space = EmbeddedStore(tmp_path / "store.db").space("memory")
    memory = Memory(space)
    for number, signature in enumerate(("s\ud800", "plain")):
        memory.keep(number, 60.0, [{**CALL, "signature": signature, "signature_of": 10**30}])
        messages = [{"role": "assistant", "parts": [dict(CALL)]}]
        (part,) = memory.recall(number, 60.0, {"messages": messages})["messages"][0]["parts"]
        assert part["signature"] == signature
