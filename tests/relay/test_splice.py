"""A spliced body means what the patched object says, and keeps every byte that no patch touched."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.relay.upstream.splice import splice

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=6)


@given(OBJECTS, OBJECTS, st.sets(st.text(max_size=6), max_size=3), st.sampled_from([None, 1]), st.booleans())
def test_spliced_bytes_parse_to_the_patched_object(before, changes, dropped, indent, ascii_only):
    raw = json.dumps(before, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    after = {k: v for k, v in before.items() if k not in dropped and (k not in changes or k in before)}
    after.update(changes)
    assert json.loads(splice(raw, before, after)) == after


def test_untouched_members_keep_their_bytes_and_odd_spacing():
    raw = b'{ "model" : "a",\n\t"n":1.50, "messages":[ {"model": "x"} ] }'
    before = json.loads(raw)
    assert (
        splice(raw, before, {**before, "model": "b"})
        == b'{ "model" : "b",\n\t"n":1.50, "messages":[ {"model": "x"} ] }'
    )


def test_a_dropped_member_takes_its_comma_and_an_added_one_comes_last():
    raw = b'{"a":1,"b":[1,2],"c":"}"}'
    before = json.loads(raw)
    assert splice(raw, before, {"a": 1, "c": before["c"]}) == b'{"a":1,"c":"}"}'
    assert splice(raw, before, {"a": before["a"], "b": before["b"]}) == b'{"a":1,"b":[1,2]}'
    assert splice(raw, before, {**before, "d": {"x": True}}) == b'{"a":1,"b":[1,2],"c":"}","d":{"x":true}}'
    assert splice(b"{}", {}, {"d": 1}) == b'{"d":1}'


def test_a_name_written_twice_is_resolved_to_what_was_parsed():
    raw = b'{"model":"a","model":"b","k":1}'
    before = json.loads(raw)
    assert json.loads(splice(raw, before, {**before, "k": 2})) == {"model": "b", "k": 2}
    assert json.loads(splice(raw, before, {**before, "model": "c"})) == {"model": "c", "k": 1}


def test_nothing_changed_returns_the_same_bytes():
    raw = b'{"a":1}'
    before = json.loads(raw)
    assert splice(raw, before, before) is raw
    assert splice(raw, before, dict(before)) is raw


def test_dropping_the_last_member_and_adding_one_leaves_one_comma():
    before = {"00": None, "0": None}
    assert splice(b'{"00": null, "0": null}', before, {"00": None, "": None}) == b'{"00": null,"":null}'


TRICKS = [
    b'{"a":"\\"model\\":1","model":"m","b":{"model":"x","z":["model",{"model":2}]}}',
    b'{"a":["model","x"],"b":{"model":"deep"},"model" : "m" }',
    b'{"a\\\\":"\\\\","model":"m","model\\"":"no","":"model"}',
    b'{"x":",","," : "model","model":"m"}',
    b'{"\\u006dodel":"m","metadata":{"model":"m"}}',
    '{"ключ":"model","model":"m","é":[{"model":1}]}'.encode(),
    b'{"tools":[{"parameters":{"properties":{"model":{},"stream":{}}}}],\n"model"\t:\r"m"\n,"stream":true}',
]


@pytest.mark.parametrize("raw", TRICKS)
def test_only_the_top_level_member_is_changed(raw):
    before = json.loads(raw)
    after = {**before, "model": "other"}
    assert json.loads(splice(raw, before, after)) == after
    less = {key: value for key, value in before.items() if key != "model"}
    assert json.loads(splice(raw, before, less)) == less
    for name in before:
        changed = {**before, name: {"new": [1]}}
        assert json.loads(splice(raw, before, changed)) == changed


def turns(text: str, count: int) -> bytes:
    return json.dumps({"stream": True, "messages": [{"role": "user", "content": text}] * count, "model": "m"}).encode()


@pytest.mark.parametrize("text", ["x" * 8_000_000, "Line of prose.\n" * 70, 'say "so"'])
@pytest.mark.parametrize("name", ["model", "stream"])
def test_a_large_body_is_changed_in_three_milliseconds_a_megabyte(text, name):
    raw = turns(text, 8_000_010 // len(json.dumps(text)))
    before = json.loads(raw)
    after = {**before, name: "other", "stream_options": {"include_usage": True}}
    assert min(_cpu(raw, before, after) for _ in range(5)) < 0.003 * len(raw) / 1_000_000


def test_a_member_behind_a_large_one_and_before_another_is_changed():
    raw = b'{"input":"' + b'a\\\\\\"b' * 400_000 + b'","model":"m","tools":["' + b"t" * 300_000 + b'"],"n":1}'
    before = json.loads(raw)
    after = {**before, "model": "other"}
    assert splice(raw, before, after) == raw.replace(b'"model":"m"', b'"model":"other"')
    assert json.loads(splice(raw, before, {"input": before["input"], "n": 2})) == {"input": before["input"], "n": 2}


def _cpu(raw: bytes, before: object, after: object) -> float:
    began = time.process_time()
    splice(raw, before, after)
    return time.process_time() - began


def test_half_characters_and_numbers_beyond_64_bits_are_written_anew():
    raw = b'{"user":"\\ud800","options":{"seed":1},"model":"a"}'
    before = {"user": "\ufffd", "options": {"seed": 1}, "model": "a"}
    assert json.loads(splice(raw, before, {**before, "user": "b"})) == {**before, "user": "b"}
    after = {**before, "options": {"seed": 10**30}}
    assert json.loads(splice(raw, before, after))["options"] == {"seed": 10**30}
