"""Where in a body that stands which a loss line names by the hub's words."""

from __future__ import annotations

import time

from engine.program.places import Places

READS = [
    ["cache_control.ttl", "cache", "ttl"],
    ["cache_control.?", "cache"],
    ["messages.content.cache_control.?", "cache", "messages", "parts"],
    ["messages.content.cache_control.ttl", "cache", "messages", "parts", "ttl"],
    ["tools.name", "name", "tools"],
    ["topK", "sampling", "top_k"],
]
WHY = "no word for it"


def named(path: str, body: object, read: object = None) -> str:
    [(told, why)] = Places(READS).named([(path, WHY)], body, body if read is None else read)
    assert told == path
    assert why.startswith(WHY)
    return why[len(WHY) :]


def test_places_of_a_part_are_those_where_it_was_said() -> None:
    mark = {"cache_control": {"ttl": "1h"}}
    body = {"messages": [{"content": "x"}, {"content": [{}, mark]}], "cache_control": {"ttl": "5m"}}
    assert named("messages.parts.cache", body) == " (in your request: messages[1].content[1].cache_control)"
    assert named("cache.ttl", body) == " (in your request: cache_control.ttl)"


def test_path_that_is_the_callers_own_is_not_said_twice() -> None:
    reads = [["reasoning.context", "reasoning", "context"]]
    body = {"reasoning": {"context": "x"}}
    assert Places(reads).named([("reasoning.context", WHY)], body, body) == [("reasoning.context", WHY)]


def test_first_places_stand_for_many() -> None:
    body = {"tools": [{"name": "f"} for _ in range(9)]}
    assert named("tools.name", body) == " (in your request: tools[0].name, tools[1].name, tools[2].name and others)"


def test_place_is_spelled_as_in_the_body() -> None:
    assert named("sampling.top_k", {"top_k": 1}, {"topK": 1}) == " (in your request: top_k)"


def test_what_is_not_said_in_the_nearest_place_is_looked_for_farther_off() -> None:
    mark = {"cache_control": {"ttl": "1h"}}
    assert named("cache", {"messages": [{"content": [mark]}]}) == (
        " (in your request: messages[0].content[0].cache_control)"
    )
    assert named("cache", {"messages": [{"content": [mark]}], **mark}) == " (in your request: cache_control)"


def test_what_is_not_there_or_is_the_callers_own_word_names_no_place() -> None:
    assert named("messages.parts.cache", {"messages": []}) == ""
    assert named("sampling.top_k", {"topK": None}) == ""
    assert named("unheard.of", {"topK": 1}) == ""
    assert named("topK", {"topK": 1}) == ""
    assert named("tools.name", {"tools": [{"name": False}]}) == ""
    assert named("messages[2].content", {"messages": [1]}) == ""


def test_a_body_of_any_size_and_shape_takes_a_moment() -> None:
    lines = [("messages.parts.cache", WHY)] * 50
    odd = {"messages": {"content": {"cache_control": [[[]]]}}}
    wide = {"messages": [{"content": [{"cache_control": None}] * 50}] * 20_000}
    before = time.process_time()
    Places(READS).named(lines, odd, odd)
    Places(READS).named(lines, wide, wide)
    assert time.process_time() - before < 1
