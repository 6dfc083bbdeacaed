"""Changes to a wire body that need no translation: drop, rename, default, set.

Takes a body and the variables of a document's expressions; gives a changed copy. A member that no change touches stays
the same object, so that a caller can tell by identity which members to write anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine import filters
from engine.program import layout
from engine.program.layout import Function, Functions, data

Report = list[tuple[str, str]]
Json = Any
_MISSING: Any = object()


def _renamed(value: Any, functions: Functions) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    return tuple((tuple(old.split(".")), tuple(new.split("."))) for old, new in (value or {}).items())


def _put_in(value: Any, functions: Functions) -> tuple[tuple[tuple[str, ...], Function], ...]:
    return tuple((tuple(path.split(".")), functions[name]) for path, name in (value or {}).items())


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes to a wire body: drop, rename, default, set, in this order; keys may be dotted paths."""

    when: Function | None = data(read=layout.function)
    format: str | None = data()
    drop: tuple[tuple[str, ...], ...] = data(read=layout.paths)
    rename: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = data(read=_renamed)
    default: tuple[tuple[tuple[str, ...], Function], ...] = data(read=_put_in)
    set: tuple[tuple[tuple[str, ...], Function], ...] = data(read=_put_in)

    def applies(self, subject: Json, body: dict[str, Any], *rest: Json) -> bool:
        """Whether it holds; of a provider's: (model, body, format, traits, header, options), of an
        alias's: (groups, body, options).
        """
        return self.when is None or bool(self.when([], subject, body, *rest))

    def apply(self, report: Report, subject: Json, body: dict[str, Any], *rest: Json) -> dict[str, Any]:
        """The patched body; the given one stays as it was."""
        variables = (subject, body, *rest)
        body = dict(body)
        for path in self.drop:
            _take(body, path)
        for old, new in self.rename:
            value = _take(body, old)
            if value is not _MISSING:
                _put(body, new, value)
        for path, function in self.default:
            if _peek(body, path) is None:
                _put_unless_nothing(body, path, function(report, *variables))
        for path, function in self.set:
            _put_unless_nothing(body, path, function(report, *variables))
        return body


def _peek(body: Json, path: tuple[str, ...]) -> Json:
    for key in path:
        if not isinstance(body, dict):
            return None
        body = body.get(key)
    return body


def _owner(body: dict[str, Any], path: tuple[str, ...], *, make: bool) -> dict[str, Any] | None:
    """The map that holds a path's last key; every map on the way is copied, so that the caller's stays untouched."""
    for key in path[:-1]:
        inner = body.get(key)
        if inner is None and make:
            inner = {}
        if not isinstance(inner, dict):
            return None
        body[key] = body = dict(inner)
    return body


def _take(body: dict[str, Any], path: tuple[str, ...]) -> Json:
    owner = _owner(body, path, make=False)
    return _MISSING if owner is None else owner.pop(path[-1], _MISSING)


def _put(body: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    owner = _owner(body, path, make=True)
    if owner is not None:
        owner[path[-1]] = value


def _put_unless_nothing(body: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    if value is not None:
        _put(body, path, None if value is filters.NULL else value)
