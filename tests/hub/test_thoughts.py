"""Thinking told as text, and text in tags told as thinking: exact, and the same at every chunk boundary."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.hub import thoughts
from engine.hub.response import response
from engine.hub.stream.assembler import Assembler
from engine.hub.tags import split
from tests.hub.stream.test_assembler_properties import TEXT, an_event

END = [{"type": "finish", "reason": "stop"}, {"type": "end"}]
TEXTS = [
    "<think>\nI see.\n</think>\n\nHello",
    "<think>I see.</think>Hello",
    " \n<think>\n\n</think>\n\nHello",
    "<think>\na < b </ think>\n\n</thin\n</think>\n\n\n\nHello <think>no</think>",
    "<think>\nnever closed\n</thi",
    "<thinking>Hello",
    "<thi",
    "Hello <think>no</think>",
    "<think>\nall\n</think>",
    "",
]


def assembled(way, *lists, report=None):
    """(kind, text) of each part of the answer that these events make; every part once opened and ended."""
    turner, assembler = thoughts.turner(way, [] if report is None else report), Assembler()
    emitted = []
    for events in lists:
        emitted += assembler.feed(turner.events(events) if turner else events)
    emitted += assembler.feed(turner.close() if turner else [])
    emitted += assembler.close()
    assert assembler.error is None
    names = [name for name, *_ in emitted]
    assert names.count("part_start") == names.count("part_end") == len(assembler.message["parts"])
    return [(part["type"], part.get("text")) for part in assembler.message["parts"]]


def delta(text, kind="text", **more):
    return {"type": "part_delta", "kind": kind, "text": text, **more}


def expected(text):
    thought, rest = split(text)
    return [(kind, said) for kind, said in (("thinking", thought), ("text", rest)) if said]


@pytest.mark.parametrize(
    ("text", "thought", "rest"),
    [
        (TEXTS[0], "I see.", "Hello"),
        (TEXTS[1], "I see.", "Hello"),
        (TEXTS[2], "", "Hello"),
        (TEXTS[3], "a < b </ think>\n\n</thin", "\n\nHello <think>no</think>"),
        (TEXTS[4], "never closed\n</thi", ""),
        (TEXTS[5], None, TEXTS[5]),
        (TEXTS[7], None, TEXTS[7]),
    ],
)
def test_only_thinking_that_a_text_begins_with_is_taken(text, thought, rest):
    assert split(text) == (thought, rest)


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_means_the_same_at_every_split(text, keyed):
    more = {"key": 0} if keyed else {}
    opening = [[{"type": "part_start", "key": 0, "kind": "text", "fields": {}}]] if keyed else []
    closing = [{"type": "part_end", "key": 0, "kind": "text"}] if keyed else []
    wanted = expected(text)
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            pieces = [text[:first], text[first:second], text[second:]]
            told = [[delta(piece, **more)] for piece in pieces]
            got = assembled("fromContent", *opening, *told, closing, END)
            assert [part for part in got if part[1]] == wanted, (first, second)


def test_what_is_not_a_tag_leaves_at_once():
    turner = thoughts.turner("fromContent", [])
    assert turner.events([delta("He")]) == [delta("He")]
    turner = thoughts.turner("fromContent", [])
    assert turner.events([delta("<thi")]) == []
    assert turner.events([delta("s>")]) == [delta("<this>")]


def test_a_whole_part_and_a_whole_answer_are_turned_like_a_stream():
    for text in TEXTS:
        whole = [{"type": "part", "kind": "text", "fields": {"text": text}}]
        got = thoughts.turned("fromContent", {"parts": [{"type": "text", "text": text}]}, [])["parts"]
        assert [(p["type"], p["text"]) for p in got if p["text"]] == expected(text)
        assert [part for part in assembled("fromContent", whole, END) if part[1]] == expected(text)


def test_a_call_after_half_a_tag_finds_the_text_told():
    call = {"type": "part", "kind": "tool_call", "fields": {"id": "c", "name": "f", "arguments": "{}"}}
    assert assembled("fromContent", [delta("<thi")], [call], END) == [("text", "<thi"), ("tool_call", None)]
    assert assembled("fromContent", [delta("<think>a")], [call], END) == [("thinking", "a"), ("tool_call", None)]


def test_a_source_item_begins_with_the_text_not_with_the_thinking_before_it():
    turner = thoughts.turner("fromContent", [])
    item = {"type": "item", "key": 0, "id": "msg_1"}
    start = {"type": "part_start", "key": "c", "kind": "text", "fields": {}}
    told = turner.events([item, start, delta("<think>\nA\n</think>\n\nB", key="c")])
    assert [event["type"] for event in told] == ["part_delta", "part_end", "item", "part_start", "part_delta"]


def test_thinking_is_told_as_text_in_one_pair_of_tags():
    report = []
    events = [
        [{"type": "item", "key": 0, "id": "rs_1"}],
        [{"type": "part_start", "key": "s0", "kind": "thinking", "fields": {"summary": True}}],
        [delta("One.", "thinking", key="s0")],
        [{"type": "part_end", "key": "s0"}],
        [{"type": "part", "kind": "thinking", "fields": {"text": "Two."}}],
        [{"type": "part", "kind": "thinking", "fields": {"encrypted": "x"}}],
        [{"type": "item", "key": 0, "end": True}],
        [{"type": "item", "key": 1, "id": "msg_1"}],
        [delta("", key="c0"), delta("Hello", key="c0")],
        END,
    ]
    assert assembled("content", *events, report=report) == [
        ("text", "<think>\nOne.\n\nTwo.\n</think>\n\n"),
        ("text", "Hello"),
    ]
    assert [path for path, _ in report] == ["response.parts.thinking.signature"]
    told = thoughts.turner("content", [])
    items = [event for some in events for event in told.events(some) if event["type"] == "item"]
    assert [event.get("id") for event in items] == ["msg_1"]


def test_thinking_alone_is_closed_at_the_end():
    assert assembled("content", [delta("A", "thinking")], END) == [("text", "<think>\nA\n</think>\n\n")]
    assert assembled("content", [delta("A", "thinking")]) == [("text", "<think>\nA\n</think>\n\n")]


WORDS = st.text(st.sampled_from("ab\n<>/think "), max_size=30)


@settings(max_examples=150, deadline=None)
@given(thought=WORDS, text=WORDS, cuts=st.lists(st.integers(0, 80), max_size=6))
def test_what_is_told_is_heard_back_however_it_is_cut(thought, text, cuts):
    told = thoughts.turned(
        "content", {"parts": [{"type": "thinking", "text": thought}, {"type": "text", "text": text}]}, []
    )
    said = "".join(part["text"] for part in told["parts"])
    if "</think>" in thought or not thought:
        return
    cuts = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    pieces = [[delta(said[a:b])] for a, b in itertools.pairwise(cuts)]
    got = assembled("fromContent", *pieces, END)
    assert [part for part in got if part[1]] == [part for part in (("thinking", thought), ("text", text)) if part[1]]


def orderly(kind, keys):
    """Events of one kind of part as decode yields them."""
    keys, start = st.sampled_from(keys), {"type": "part_start", "kind": kind}
    return st.one_of(
        st.builds(lambda key, text: delta(text, kind, key=key), keys, WORDS),
        st.builds(lambda text: delta(text, kind), WORDS),
        st.builds(lambda key, text: {**start, "key": key, "fields": {"text": text}}, keys, WORDS),
        st.builds(lambda text: {"type": "part", "kind": kind, "fields": {"text": text}}, WORDS),
        st.builds(lambda key: {"type": "part_end", "key": key, "kind": kind}, keys),
    )


CALL = {"type": "part", "kind": "tool_call", "fields": {"id": "c", "name": "f", "arguments": "{}"}}
OTHERS = st.sampled_from([CALL, {"type": "item", "key": 7, "id": "i"}, {"type": "item", "key": 7, "end": True}])
ORDERLY = st.one_of(orderly("text", [0, 1]), orderly("thinking", ["a", "b"]), OTHERS)


@settings(max_examples=200, deadline=None)
@given(way=st.sampled_from(["content", "fromContent"]), lists=st.lists(st.lists(ORDERLY, max_size=4), max_size=8))
def test_no_words_are_lost_or_made_up(way, lists):
    """The letters of text and thinking together are the same whether events are turned or not."""
    plain, other, turner = Assembler(), Assembler(), thoughts.turner(way, [])
    for events in lists:
        plain.feed(events)
        other.feed(turner.events(events))
    other.feed(turner.close())
    plain.close(False)
    other.close(False)
    assert plain.error is None
    assert other.error is None
    assert letters(response(plain.message)) == letters(response(other.message))


def letters(answer):
    said = "".join(part.get("text") or "" for part in answer["parts"] if part["type"] in ("text", "thinking"))
    return sorted(said.replace("<think>", "").replace("</think>", "").replace("\n", ""))


HOSTILE = st.recursive(
    st.none() | st.integers() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=4
)


@settings(max_examples=150, deadline=None)
@given(
    way=st.sampled_from(["content", "fromContent"]),
    lists=st.lists(st.lists(an_event(HOSTILE, HOSTILE), max_size=4), max_size=6),
)
def test_hostile_events_are_left_to_the_assembler(way, lists):
    turner, assembler = thoughts.turner(way, []), Assembler()
    for events in lists:
        assembler.feed(turner.events(events))
    assembler.feed(turner.close())
    assembler.close()
