"""Operations on the headers that go up, and fields kept alike in body and headers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.routing.overrides.edit import Edit, Step
from engine.routing.overrides.paths import MISSING, find, path_of, places, put
from engine.transport.faults import TransportError
from engine.transport.wire import header_name

Rule = dict[str, Any]
_APPEND, _ONLY, _ELSE = "$append", "$keep_only_declared", "*"


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("needs a header's name")
    try:
        return header_name(value.strip())
    except TransportError as ex:
        raise ValueError(ex.public) from None


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if not text.isprintable() or not text.isascii():
        raise ValueError("the value of a header holds a character that can't be sent")
    return text


def _set(rule: Rule) -> Step:
    name, value, keep = _name(rule.get("path")), rule.get("value"), rule.get("keep_origin") is True
    make: Callable[[Edit], str | None]
    if isinstance(value, dict):
        make = _mapped(name, value)
    else:
        text = _plain("" if value is None else value)
        make = lambda edit: text or None  # noqa: E731 - one of two ways

    def run(edit: Edit) -> None:
        if not (keep and (edit.headers.get(name) or edit.own.get(name))):
            edit.headers[name] = make(edit)

    return run


def _mapped(name: str, table: Rule) -> Callable[[Edit], str | None]:
    """The header's tokens by a table: a text or several in place of one, null for none of it."""
    tokens = {key: _tokens(value) for key, value in table.items() if key not in (_APPEND, _ONLY)}
    more, only = _tokens(table.get(_APPEND)), table.get(_ONLY) is True
    otherwise = tokens.pop(_ELSE, None)

    def made(edit: Edit) -> str | None:
        after: dict[str, None] = {}
        for token in (edit.header(name) or "").split(","):
            token = token.strip()
            unknown = [] if only else [token] if token else []
            chosen = tokens.get(token, unknown if otherwise is None else otherwise if token else [])
            after.update(dict.fromkeys(chosen))
        return ",".join({**after, **dict.fromkeys(more)}) or None

    return made


def _tokens(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    return [_plain(item).strip() for item in listed]


def _delete(rule: Rule) -> Step:
    name = _name(rule.get("path"))

    def run(edit: Edit) -> None:
        edit.headers[name] = None

    return run


def _copy(rule: Rule, *, move: bool = False) -> Step:
    source, target = _name(rule.get("from")), _name(rule.get("to"))
    keep = rule.get("keep_origin") is True

    def run(edit: Edit) -> None:
        value = edit.header(source)
        if value is None or (keep and edit.headers.get(target)):
            return
        edit.headers[target] = value
        if move:
            edit.headers[source] = None

    return run


def _move(rule: Rule) -> Step:
    return _copy(rule, move=True)


def pass_headers(rule: Rule) -> Step:
    """The caller's headers of these names go up; a ``*`` at the end of one means any that begin so."""
    value = rule.get("value")
    if isinstance(value, dict):
        value = value.get("headers") or value.get("names")
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise ValueError("needs names of headers, as a list or a text with commas")
    names = [name.strip().lower() for name in listed if name.strip()]
    exact = [name for name in names if not name.endswith("*")]
    starts = tuple(name[:-1] for name in names if name.endswith("*"))
    keep = rule.get("keep_origin") is True

    def run(edit: Edit) -> None:
        sent, unsent = edit.known.sent, edit.known.unsent
        wanted = [*exact, *(name for name in sent if name.startswith(starts))] if starts else exact
        for name in wanted:
            if name in sent and name not in unsent and not (keep and (edit.headers.get(name) or name in edit.own)):
                edit.headers[name] = sent[name]

    return run


def _sync(rule: Rule) -> Step:
    """Two places, each ``json:PATH`` or ``header:NAME``: what only one of them has, the other gets."""
    ends = [_end(rule.get(side)) for side in ("from", "to")]

    def run(edit: Edit) -> None:
        (read, _), (other, write) = ends
        for value, there, target in ((read(edit), other(edit), write), (other(edit), read(edit), ends[0][1])):
            if value is not None and there is None:
                target(edit, value)
                return

    return run


def _end(text: Any) -> tuple[Callable[[Edit], Any], Callable[[Edit, Any], None]]:
    kind, _, name = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind == "header":
        header = _name(name)

        def write(edit: Edit, value: Any) -> None:
            edit.headers[header] = _plain(value)

        return (lambda edit: edit.header(header)), write
    if kind != "json":
        raise ValueError("needs from and to, each json:PATH or header:NAME")
    path = path_of(name)

    def read(edit: Edit) -> Any:
        value = find(edit.body, path)
        return None if value is MISSING or value == "" else value

    def put_in(edit: Edit, value: Any) -> None:
        for owner, key in places(edit.body, path, make=True):
            put(owner, key, value)

    return read, put_in


HEADER_MODES: dict[str, Callable[[Rule], Step]] = {
    "set_header": _set,
    "delete_header": _delete,
    "copy_header": _copy,
    "move_header": _move,
    "pass_headers": pass_headers,
    "sync_fields": _sync,
}
