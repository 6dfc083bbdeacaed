"""A spliced body means what the patched object says, and keeps every byte that no patch touched."""

import json

from hypothesis import given
from hypothesis import strategies as st

from engine.relay.splice import splice

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
    assert splice(raw, before, {**before, "k": 2}).count(b"model") == 1


def test_nothing_changed_returns_the_same_bytes():
    raw = b'{"a":1}'
    before = json.loads(raw)
    assert splice(raw, before, before) is raw
    assert splice(raw, before, dict(before)) is raw


def test_dropping_the_last_member_and_adding_one_leaves_one_comma():
    before = {"00": None, "0": None}
    assert splice(b'{"00": null, "0": null}', before, {"00": None, "": None}) == b'{"00": null,"":null}'
