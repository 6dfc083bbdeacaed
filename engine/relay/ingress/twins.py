"""Members of a request that two readers could take in two ways: written twice, or a known name in other letters.

A body that passes in its own format is read here and again at the provider. Some parsers take the first of two members
and some the last; many match names without regard to case. So that what is checked and charged here is what is served
there, such a body is refused and its member named. Knows the names of formats, no meaning of any.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import CallError
from engine.hub.fold import spelling
from engine.program.origins import path_text

if TYPE_CHECKING:
    from engine.program import Format, Patch, Program

Spell = Callable[[str], str]
_ESCAPED_COLON = (b"\\u003a", b"\\u003A")


class Names:
    """The names of one format's requests: at the top, and in maps one below."""

    __slots__ = ("_below", "_spell", "_top")

    def __init__(self, paths: Iterable[tuple[str, ...]], spell: Spell | None) -> None:
        self._spell = spell
        top: set[str] = set()
        below: dict[str, set[str]] = {}
        for path in paths:
            top.add(path[0])
            if len(path) > 1 and path[1].isidentifier():
                below.setdefault(path[0], set()).add(path[1])
        self._top = _Level(top)
        self._below = {name: _Level(names) for name, names in below.items()}

    def twin(self, body: dict[str, Any]) -> tuple[str, str] | None:
        """The place of a member that is another one but for case or spelling, and the name that it is like.

        PERF: names at the top are compared as sets, and those of each map there: 0.5 us for most requests.
        """
        spell, top = self._spell, self._top
        if not top.known.issuperset(body):
            pair = top.twin(body, spell)
            if pair is not None:
                return pair
        for name, value in body.items():
            if type(value) is dict:
                level = self._below.get(spell(name) if spell else name)
                pair = level.twin(value, spell) if level is not None else None
                if pair is not None:
                    return f"{name}.{pair[0]}", pair[1]
        return None


class _Level:
    __slots__ = ("_like", "known")

    def __init__(self, names: set[str]) -> None:
        self.known = frozenset(names)
        self._like = {name.casefold(): name for name in names}

    def twin(self, value: dict[str, Any], spell: Spell | None) -> tuple[str, str] | None:
        for name in value.keys() - self.known:
            spelled = spell(name) if spell else name
            like = spelled if spelled in self.known else self._like.get(spelled.casefold())
            if like is not None and (like != spelled or like in value):
                return name, like
        return None


def names_of(program: Program) -> dict[str, Names]:
    """The names of each format of a program: what its decode, the gateway itself, and patches read or write."""
    patched = list(_patched(program))
    return {
        name: Names([*_named(spoken), *patched], spelling(spoken.keys) if spoken.keys else None)
        for name, spoken in program.formats.items()
    }


def _named(spoken: Format) -> Iterator[tuple[str, ...]]:
    yield from spoken.places.paths
    yield from ((name,) for name in spoken.request_reads | spoken.droppable)
    if spoken.stored is not None:
        yield from ((name,) for name in (spoken.stored.field, spoken.stored.keep, spoken.stored.input))
    if spoken.stream is not None and spoken.stream.usage_request is not None:
        yield spoken.stream.usage_request.path
    for endpoint in spoken.endpoints:
        for place in (endpoint.model, endpoint.stream):
            if isinstance(place, tuple) and place[0] == "body":
                yield place[1:]


def _patched(program: Program) -> Iterator[tuple[str, ...]]:
    patches: list[Patch] = [patch for provider in program.providers.values() for patch in provider.patches]
    patches += [patch for alias in program.aliases for own in alias.wire.values() for patch in own]
    for patch in patches:
        yield from patch.drop
        yield from (path for paths in patch.rename for path in paths)
        yield from (path for path, _ in (*patch.default, *patch.set))


def check(raw: bytes, body: dict[str, Any], names: Names) -> None:
    """Refuse a body that others could read in another way."""
    twice = written_twice(raw, body)
    if twice is not None:
        raise CallError("bad_request", f"{twice}: this stands twice in one object; send it once", param=twice)
    twin = names.twin(body)
    if twin is not None:
        place, like = (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..." for text in twin)
        raise CallError(
            "bad_request",
            f"{place}: this is {like!r} in other letters, which some servers take for it; spell it {like!r}, once",
            param=place,
        )


_SHOWN = 200


def written_twice(raw: bytes, body: dict[str, Any]) -> str | None:
    """Where a name stands twice in one object of ``raw``, of which ``body`` was read; nothing where none does.

    PERF: what was read, written out again, has fewer colons if and only if a member was lost, as colons are escaped by
    nobody; 1 us per kB, less where it is the same text. Only where they differ, or someone did, is it read again member
    by member.
    """
    try:
        compact = orjson.dumps(body)
        if compact == raw:
            return None
        same = compact.count(b":") == raw.count(b":")
    except (TypeError, ValueError):  # nested deeper than the serialiser goes, or half characters
        same = False
    if same and (b"\\" not in raw or not any(colon in raw for colon in _ESCAPED_COLON)):
        return None
    repeats: list[_Twice] = []
    _walk(json.loads(raw, object_pairs_hook=partial(_members, repeats)), [], repeats)
    return path_text(tuple(repeats[0].place))[:_SHOWN] if repeats else None


class _Twice(dict[str, Any]):
    """An object in which a name stands twice; ``place`` is where, once that is known."""

    def __init__(self, pairs: list[tuple[str, Any]], name: str) -> None:
        super().__init__(pairs)
        self.place: list[str | int] = [name]


def _members(repeats: list[_Twice], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    counts = Counter(name for name, _ in pairs)
    twice = _Twice(pairs, next(name for name, count in counts.items() if count > 1))
    repeats.append(twice)
    return twice


def _walk(value: Any, place: list[str | int], repeats: list[_Twice]) -> bool:
    """Note the place of the first object in which a name stands twice."""
    if isinstance(value, _Twice):
        value.place[:0] = place
        repeats[0] = value
        return True
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return any(_walk(inner, [*place, key], repeats) for key, inner in items if isinstance(inner, dict | list))
