"""A channel may have thinking told as text in tags, or such text told as thinking; streamed or not, in any format."""

import pytest

from tests.relay.test_passing import body_of
from tests.relay.test_streaming import DONE, USAGE, chunk, events, sse

SIGNED = [
    {"type": "thinking", "thinking": "I see.", "signature": "SIG"},
    {"type": "text", "text": "Hello"},
]
CLAUDE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "up",
    "content": SIGNED,
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 9},
}
TOLD = "<think>\nI see.\n</think>\n\nHello"


def chat(**message):
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }


def claude_stream(content=SIGNED):
    told = [{"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None}}]
    for index, block in enumerate(content):
        kind = block["type"]
        told.append({"type": "content_block_start", "index": index, "content_block": {"type": kind, kind: ""}})
        for letter in block[kind]:
            delta = {"type": f"{kind}_delta", kind: letter}
            told.append({"type": "content_block_delta", "index": index, "delta": delta})
        if kind == "thinking":
            delta = {"type": "signature_delta", "signature": block["signature"]}
            told.append({"type": "content_block_delta", "index": index, "delta": delta})
        told.append({"type": "content_block_stop", "index": index})
    told.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}})
    return [sse(data, data["type"]) for data in [*told, {"type": "message_stop"}]]


def chat_stream(text):
    return [
        chunk(role="assistant", content=""),
        *(chunk(content=letter) for letter in text),
        chunk(finish="stop"),
        USAGE,
        DONE,
    ]


def ask(gateway, dialect, model, stream=False, **more):
    path, body = body_of(dialect, model, **({"stream": True} if stream else {}), **more)
    answer = gateway.post(path, body, stream=stream)
    assert answer.status_code == 200, answer.text
    return events(answer) if stream else answer.json()


def chat_text(told, name="content"):
    return "".join(data["choices"][0]["delta"].get(name) or "" for data in told if data != "[DONE]" and data["choices"])


def claude_blocks(told):
    """(type, text) of each block of a stream, which opens one at a time."""
    blocks = {}
    for data in told:
        if data["type"] == "content_block_start":
            assert data["index"] == len(blocks)
            blocks[data["index"]] = [data["content_block"]["type"], ""]
        elif data["type"] == "content_block_delta":
            kind = blocks[data["index"]][0]
            blocks[data["index"]][1] += data["delta"].get(kind, "")
    return [tuple(block) for block in blocks.values()]


def test_thinking_of_another_format_is_told_as_text(gateway, one):
    one.script = lambda say: say.whole(CLAUDE)
    message = ask(gateway, "chat", "told-claude")["choices"][0]["message"]
    assert message["content"] == TOLD
    assert "reasoning_content" not in message
    one.script = lambda say: say.events(*claude_stream())
    told = ask(gateway, "chat", "told-claude", stream=True)
    assert chat_text(told) == TOLD
    assert chat_text(told, "reasoning_content") == ""


def test_thinking_of_the_callers_own_format_is_told_as_text_and_the_request_passes(gateway, one):
    one.script = lambda say: say.whole(CLAUDE)
    answer = ask(gateway, "claude", "told-claude", metadata={"user_id": "u"}, unheard_of=1)
    assert "".join(block["text"] for block in answer["content"]) == TOLD
    assert answer["model"] == "told-claude"
    assert one.got[0].json["unheard_of"] == 1
    one.script = lambda say: say.events(*claude_stream())
    assert [
        text for kind, text in claude_blocks(ask(gateway, "claude", "told-claude", stream=True)) if kind == "text"
    ] == [
        "<think>\nI see.\n</think>\n\n",
        "Hello",
    ]


def test_usage_that_the_caller_asked_for_still_comes(gateway, one):
    one.script = lambda say: say.events(*chat_stream("Hi"))
    for options, wanted in (({"include_usage": True}, True), ({"include_usage": False}, False)):
        told = ask(gateway, "chat", "told-chat", stream=True, stream_options=options)
        assert any(data != "[DONE]" and data.get("usage") for data in told) is wanted


def test_the_loss_of_the_signature_is_told(gateway, one):
    one.script = lambda say: say.whole(CLAUDE)
    path, body = body_of("chat", "told-claude")
    assert "thinking.signature" in gateway.post(path, body).headers["x-gatewright-loss"]


def test_signed_thinking_before_a_call_goes_back_although_it_was_told_as_text(gateway, one):
    call = {"type": "tool_use", "id": "toolu_told", "name": "look", "input": {}}
    one.script = lambda say: say.whole({**CLAUDE, "content": [*SIGNED, call], "stop_reason": "tool_use"})
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    message = ask(gateway, "chat", "told-claude", tools=tools)["choices"][0]["message"]
    history = [
        {"role": "user", "content": "hi"},
        message,
        {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "a cat"},
    ]
    ask(gateway, "chat", "told-claude", tools=tools, messages=history)
    sent = one.got[1].json["messages"][1]["content"]
    assert {"type": "thinking", "thinking": "I see.", "signature": "SIG"} in sent


@pytest.mark.parametrize("text", [TOLD, "<think>I see.</think>Hello"])
def test_text_in_tags_is_told_as_thinking(gateway, one, text):
    one.script = lambda say: say.whole(chat(content=text))
    answer = ask(gateway, "claude", "heard-chat")
    assert [(b["type"], b.get("thinking") or b.get("text")) for b in answer["content"]] == [
        ("thinking", "I see."),
        ("text", "Hello"),
    ]
    message = ask(gateway, "chat", "heard-chat")["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("I see.", "Hello")
    one.script = lambda say: say.events(*chat_stream(text))
    assert claude_blocks(ask(gateway, "claude", "heard-chat", stream=True)) == [
        ("thinking", "I see."),
        ("text", "Hello"),
    ]
    told = ask(gateway, "chat", "heard-chat", stream=True)
    assert (chat_text(told, "reasoning_content"), chat_text(told)) == ("I see.", "Hello")


def test_a_stream_that_breaks_off_tells_what_was_held_back(gateway, one):
    one.script = lambda say: say.events(chunk(role="assistant", content="<think>\nI see.\n</thi"))
    told = ask(gateway, "claude", "heard-chat", stream=True)
    assert claude_blocks(told) == [("thinking", "I see.\n</thi")]
    assert told[-1]["type"] == "error"


def test_an_answer_whole_is_streamed_to_who_asked_for_a_stream(gateway, one):
    one.script = lambda say: say.whole(chat(content=TOLD))
    told = ask(gateway, "claude", "heard-chat", stream=True)
    assert claude_blocks(told) == [("thinking", "I see."), ("text", "Hello")]
