"""Where in a caller's body the values of its conversation came from; asked only when one of them is refused.

Takes the body and the conversation that decode made of it; gives paths in the caller's own terms. What decode hands on
as it is, is the same object on both sides. What a fragment made came from the first of its arguments that stands in the
body: for that the mapping is run again with its fragments watched, so that a call that goes well pays nothing. A value
without an origin of its own came from where all that it holds came from. Knows no format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from types import FunctionType
from typing import Any

from engine.errors import MappingError, Refusal
from engine.program.layout import Function
from engine.program.patch import Json

Path = tuple[str | int, ...]
Note = Callable[[Json, tuple[Json, ...]], None]

_FRAGMENT = "g_"
_STEP = re.compile(r"[^.\[\]]+")
_READ = re.compile(r"([^\W\d]\w*)((?:\.\w+)*)")
MOST = 100_000
"""Values that are looked at; of what lies beyond, the origin is not found."""
_DEEPEST = 64
_SMALL = 257
"""Numbers below it, and texts of one letter, are the same object wherever they stand."""


def trace(body: Json, read: Json, hub: Json, decode: Function, *others: Json) -> Origins:
    """The origins of ``hub``, which ``decode`` made of ``read``: the body, or the same in the format's own spelling."""
    origins = Origins(body, read)
    origins.follow(hub, _watched(decode, origins.note)([], read, *others))
    return origins


def _watched(function: Function, note: Note) -> Function:
    """A generated function that tells of each fragment what it gave for which arguments."""
    module = function.__globals__
    space = dict(module)

    def watch(fragment: Function) -> Function:
        def run(report: Json, budget: Json, depth: int, *arguments: Json) -> Json:
            result = fragment(report, budget, depth, *arguments)
            note(result, arguments)
            return result

        return run

    for name, value in module.items():
        if name.startswith(_FRAGMENT):
            space[name] = watch(FunctionType(value.__code__, space, name))
    return FunctionType(function.__code__, space, "mapping")


class Origins:
    """Paths in one body, by the values that stand there or were made of them."""

    def __init__(self, body: Json, read: Json, most: int = MOST) -> None:
        """``most``: values that are looked at, and as many again when one is asked for."""
        self._body = body
        self._paths: dict[int, Path | None] = {}
        self._left = most
        self._kept: list[Json] = []
        """Whatever is known by its identity must live as long."""
        self._place(body, read, ())
        self._left = most

    def _goes_on(self, value: Json, depth: int) -> bool:
        """Whether there is time left to look into a value."""
        self._left -= len(value) if isinstance(value, dict | list) else 0
        return self._left >= 0 and depth <= _DEEPEST

    def _place(self, value: Json, twin: Json, path: Path) -> None:
        if not self._goes_on(value, len(path)):
            return
        self._learn(value, path)
        if twin is not value:
            self._learn(twin, path)
        for (key, inner), (_, other) in zip(_members(value), _twins(value, twin), strict=True):
            self._place(inner, other, (*path, key))

    def _learn(self, value: Json, path: Path) -> None:
        if _own(value):
            self._kept.append(value)
            # One object in two places tells neither.
            self._paths[id(value)] = path if id(value) not in self._paths else None

    def note(self, made: Json, arguments: tuple[Json, ...]) -> None:
        """A fragment gave this for these arguments."""
        path = next(filter(None, (self._paths.get(id(argument)) for argument in arguments)), None)
        if path is not None and _own(made) and id(made) not in self._paths:
            self._kept.append(made)
            self._paths[id(made)] = path

    def follow(self, value: Json, twin: Json, depth: int = 0) -> None:
        """What was made the first time has the origin of its like that was made while watched."""
        if not self._goes_on(value, depth):
            return
        path = self._paths.get(id(twin))
        if path is not None and _own(value):
            self._kept.append(value)
            self._paths.setdefault(id(value), path)
        if isinstance(value, dict) and isinstance(twin, dict):
            for key in value.keys() & twin.keys():  # what was put beside it came from nowhere
                self.follow(value[key], twin[key], depth + 1)
        elif len(_members(value)) == len(_members(twin)):
            for (_, inner), (_, other) in zip(_members(value), _members(twin), strict=True):
                self.follow(inner, other, depth + 1)

    def of(self, value: Json, depth: int = 0) -> Path | None:
        """Where a value came from."""
        path = self._paths.get(id(value))
        if path is not None or not self._goes_on(value, depth):
            return path
        below = [origin for _, inner in _members(value) if (origin := self.of(inner, depth + 1))]
        if not below:
            return None
        together = zip(*below, strict=False)
        path = tuple(steps[0] for steps in takewhile(lambda steps: len(set(steps)) == 1, together))
        # What holds something came from what holds something.
        return (path if _members(self._at(path)) else path[:-1]) or None

    def told(self, error: Refusal | MappingError, otherwise: str | None = None) -> Refusal:
        """The refusal with the path of the value that it means; ``otherwise`` names all that is not in the body."""
        self._left = MOST
        trails = list(_trails(error))
        held = (value for trail in trails for value in reversed(trail))
        path = next(filter(None, map(self.of, held)), None)
        if path is None:
            return Refusal(otherwise or error.path, error.why)
        return Refusal(path_text(self._narrowed(path, trails[0][-1])), error.why)

    def _at(self, path: Path) -> Json:
        here = self._body
        for step in path:
            here = here[step]
        return here

    def _narrowed(self, path: Path, value: Json) -> Path:
        """The one place below a path that holds the same number, text or flag."""
        if isinstance(value, dict | list) or value is None or self.of(value):
            return path
        below = islice(leaves(self._at(path)), max(self._left, 0))
        places = [at for at, inner in below if inner == value and type(inner) is type(value)]
        return (*path, *places[0]) if len(places) == 1 else path


def own_path(body: Json, read: Json, path: Path) -> Path:
    """A path in what was read, in the spelling of the body. A validator may tell a name of digits as a number."""
    spelled: list[str | int] = []
    for step in path:
        there = list(_members(read))
        at = next((at for at, (key, _) in enumerate(there) if str(key) == str(step)), None)
        if at is None:
            return (*spelled, step)
        members = _members(body)
        spelled.append((members if len(members) == len(there) else there)[at][0])
        body, read = _twins(read, body)[at][1], there[at][1]
    return tuple(spelled)


def path_text(path: Path) -> str:
    """A path as people write it: ``messages[2].content``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _trails(error: Refusal | MappingError) -> Iterator[list[Json]]:
    """The values that an error may mean, each after those that hold it; the likeliest come first."""
    if isinstance(error, Refusal):
        yield _walk(error.within, _STEP.findall(error.path))
        return
    for variables in error.held[:1]:
        for name, steps in _READ.findall(error.path):
            if name in variables:
                yield _walk(variables[name], _STEP.findall(steps))
    for variables in error.held:
        yield from ([value] for value in variables.values())


def _walk(value: Json, steps: list[str]) -> list[Json]:
    """A value and those that the steps lead to, as far as they lead: a name of digits is a name or a position."""
    trail = [value]
    for step in steps:
        members = [inner for key, inner in _members(trail[-1]) if str(key) == step]
        if not members:
            return [*trail, None]
        trail.append(members[0])
    return trail


def _own(value: Json) -> bool:
    """Whether a value is an object of its own, which can be known again."""
    match value:
        case str():
            return len(value) > 1
        case bool() | None:
            return False
        case int():
            return abs(value) >= _SMALL
    return True


def _members(value: Json) -> list[tuple[Any, Json]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _twins(value: Json, twin: Json) -> list[tuple[Any, Json]]:
    """The members of the twin, which stand in the same order; the value's own where it is no twin."""
    members = _members(twin)
    return members if len(members) == len(_members(value)) else _members(value)


def leaves(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """What holds nothing else, with its path; raises RecursionError where a body nests too deeply."""
    members = _members(value)
    if not members:
        yield path, value
    for key, inner in members:
        yield from leaves(inner, (*path, key))
