"""Which texts a mapping only hands on: whatever they say, all else stays the same."""

from __future__ import annotations

from typing import Any

import pytest

from engine.compiler.analyses.copied_texts import texts
from tests.compiler.workbench import Bench

SAY = {"type": "part_delta", "text": "{{ data.say }}"}
INNER = {"args": ["d"], "do": [{"$if": "{{ d.say != '' }}", "$then": {"text": "{{ d.say }}"}}]}
NOSY = {"args": ["d"], "do": [{"text": "{{ d.say | upper }}"}]}


def found(tree: Any, **fragments: Any) -> list[str]:
    return texts(tree, "data", Bench(("data",), fragments=fragments).scope())


@pytest.mark.parametrize(
    ("tree", "paths"),
    [
        ([SAY], ["say"]),
        ([{"$if": "{{ data.say is present }}", "$then": SAY}], ["say"]),
        ([{"$if": "{{ data.say is string and data.say != '' }}", "$then": SAY}], ["say"]),
        ([{"$if": "{{ data.say | default('') != '' }}", "$then": SAY}], ["say"]),
        ([{"text": "{{ data.say | default(data.told) }}"}], ["say", "told"]),
        ([{"text": "{{ data.items[0].delta.text }}"}], ["items.delta.text"]),
        ([{"$for": "c in data.items", "$do": {"text": "{{ c.say }}"}}], ["items.say"]),
        ([{"$let": {"c": "{{ data.items[0] }}"}, "$in": {"text": "{{ c.say }}"}}], ["items.say"]),
        # not where anything hangs on what the text says
        ([SAY, {"$if": "{{ data.say == 'stop' }}", "$then": {"type": "end"}}], []),
        ([SAY, {"$if": "{{ data.say }}", "$then": {"type": "end"}}], []),
        ([SAY, {"$switch": "{{ data.say }}", "$case": {"a": {"type": "end"}}}], []),
        ([SAY, {"n": "{{ data.say | length }}"}], []),
        ([SAY, {"n": "{{ data | length }}"}], []),
        ([SAY, {"id": "{{ 'a' ~ data.say }}"}], []),
        ([SAY, {"id": "a {{ data.say }}"}], []),
        ([SAY, {"id": "{{ data.say[0] == 'a' }}"}], []),
        ([SAY, {"$if": "{{ 'a' in data.say }}", "$then": {"type": "end"}}], []),
        ([SAY, {"$if": "{{ data.say is matching('a') }}", "$then": {"type": "end"}}], []),
        ([SAY, {"$if": "{{ data.say | default(data.other) == 'a' }}", "$then": {"type": "end"}}], []),
        ([SAY, {"$let": {"c": "{{ data.other | default(data.say) }}"}, "$in": {"n": "{{ c | length }}"}}], []),
        ([{"text": "{{ data.say | upper }}"}], []),
    ],
)
def test_texts_that_are_only_handed_on(tree: Any, paths: list[str]) -> None:
    assert found(tree) == paths


def test_fragments_are_followed() -> None:
    use = [{"$use": "inner", "$with": {"d": "{{ data.choice }}"}}]
    assert found(use, inner=INNER) == ["choice.say"]
    assert found(use, inner=NOSY) == []
    assert found([*use, {"$use": "nosy", "$with": {"d": "{{ data.choice }}"}}], inner=INNER, nosy=NOSY) == []
