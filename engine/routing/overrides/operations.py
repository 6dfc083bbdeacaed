"""Operations on the body that goes up: each mode makes one function of its rule; what a rule lacks is found here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from engine.filters.patterns import pattern
from engine.routing.overrides.conditions import condition_of, test_of
from engine.routing.overrides.edit import Edit, OverrideError, ReturnedError, Step
from engine.routing.overrides.paths import MISSING, find, path_of, places, put, take

Rule = dict[str, Any]


def _set(rule: Rule) -> Step:
    path, value, keep = path_of(rule.get("path")), rule.get("value"), rule.get("keep_origin") is True

    def run(edit: Edit) -> None:
        for owner, key in places(edit.body, path, make=True):
            if not (keep and find(owner, (str(key),)) is not MISSING):
                put(owner, key, value)

    return run


def _delete(rule: Rule) -> Step:
    path = path_of(rule.get("path"))

    def run(edit: Edit) -> None:
        if find(edit.body, path) is not MISSING:
            for owner, key in reversed(list(places(edit.body, path, make=False))):
                take(owner, key)

    return run


def _copy(rule: Rule, *, move: bool = False) -> Step:
    source, target, keep = path_of(rule.get("from")), path_of(rule.get("to")), rule.get("keep_origin") is True

    def run(edit: Edit) -> None:
        value = find(edit.body, source)
        if value is MISSING:
            raise OverrideError(f"there is nothing at {'.'.join(source)}")
        if move:
            for owner, key in places(edit.body, source, make=False):
                take(owner, key)
        for owner, key in places(edit.body, target, make=True):
            if not (keep and find(owner, (str(key),)) is not MISSING):
                put(owner, key, value)

    return run


def _move(rule: Rule) -> Step:
    return _copy(rule, move=True)


def _changed(path: tuple[str, ...], change: Callable[[Any], Any]) -> Step:
    """A step that puts in place of what is at a path what ``change`` makes of it."""

    def run(edit: Edit) -> None:
        held = [(owner, key) for owner, key in places(edit.body, path, make=False)]
        if not held and "*" not in path:
            raise OverrideError(f"there is nothing at {'.'.join(path)}")
        for owner, key in held:
            value = find(owner, (str(key),))
            if value is MISSING:
                raise OverrideError(f"there is nothing at {'.'.join(path)}")
            put(owner, key, change(value))

    return run


def _text(path: tuple[str, ...], change: Callable[[str], str]) -> Step:
    def checked(value: Any) -> str:
        if not isinstance(value, str):
            raise OverrideError(f"what is at {'.'.join(path)} is no text")
        return change(value)

    return _changed(path, checked)


def _added(rule: Rule, *, before: bool = False) -> Step:
    path, more, keep = path_of(rule.get("path")), rule.get("value"), rule.get("keep_origin") is True
    items = more if isinstance(more, list) else [more]
    text = more if isinstance(more, str) else None

    def change(value: Any) -> Any:
        if isinstance(value, list):
            return [*items, *value] if before else [*value, *items]
        if isinstance(value, str) and text is not None:
            return text + value if before else value + text
        if isinstance(value, dict) and isinstance(more, dict):
            return {**more, **value} if keep else {**value, **more}
        raise OverrideError(f"what is at {'.'.join(path)} can't take more of this sort")

    return _changed(path, change)


def _prepended(rule: Rule) -> Step:
    return _added(rule, before=True)


def _by_text(change: Callable[[str, str], str]) -> Callable[[Rule], Step]:
    def make(rule: Rule) -> Step:
        value = rule.get("value", "")
        if not isinstance(value, str):
            raise ValueError("needs a text as value")
        return _text(path_of(rule.get("path")), lambda text: change(text, value))

    return make


def _alone(change: Callable[[str], str]) -> Callable[[Rule], Step]:
    return lambda rule: _text(path_of(rule.get("path")), change)


def _ends(rule: Rule) -> tuple[str, str]:
    old, new = rule.get("from", ""), rule.get("to", "")
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        raise ValueError("needs a text in from, which is not empty, and one in to")
    return old, new


def _replace(rule: Rule) -> Step:
    old, new = _ends(rule)
    return _text(path_of(rule.get("path")), lambda text: text.replace(old, new))


def _regex_replace(rule: Rule) -> Step:
    r"""``$1`` and ``${1}`` in the new text are groups of the pattern, as in the language that the option is from."""
    old, new = _ends(rule)
    compiled = pattern(old).compiled
    groups = compiled.groups
    names = dict(compiled.groupindex)

    def piece(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        number = names.get(name, int(name) if name.isdigit() else -1)
        return f"\\{number}" if 0 <= number <= groups else ""

    template = re.sub(r"\$(?:\{(\w+)\}|(\w+))", piece, new.replace("\\", "\\\\"))
    return _text(path_of(rule.get("path")), lambda text: str(compiled.sub(template, text)))


def _return_error(rule: Rule) -> Step:
    value = rule.get("value")
    value = {"message": value} if isinstance(value, str) else value
    if not isinstance(value, dict) or not isinstance(value.get("message"), str) or not value["message"].strip():
        raise ValueError("needs a message")
    status = value.get("status_code", 400)
    if not isinstance(status, int) or not 400 <= status <= 599:
        raise ValueError("needs a status_code between 400 and 599")
    error = {
        "message": value["message"],
        "status": status,
        "code": str(value.get("code") or "invalid_request"),
        "type": str(value.get("type") or "invalid_request_error"),
    }
    final = value.get("skip_retry", True) is not False

    def run(edit: Edit) -> None:
        raise ReturnedError(dict(error), final=final)

    return run


def _prune(rule: Rule) -> Step:
    """Members of lists that match are taken out; a text means that type. All the way down, unless told otherwise."""
    path = path_of(rule["path"]) if rule.get("path") else ()
    matches, deep = _pruned(rule.get("value"))

    def pruned(value: Any) -> Any:
        if isinstance(value, list):
            remaining = [item for item in value if not (isinstance(item, dict) and matches(item))]
            return [pruned(item) for item in remaining] if deep else remaining
        return {key: pruned(member) for key, member in value.items()} if isinstance(value, dict) and deep else value

    def run(edit: Edit) -> None:
        if not path:
            edit.body = pruned(edit.body)
        elif find(edit.body, path) is not MISSING:
            for owner, key in places(edit.body, path, make=False):
                put(owner, key, pruned(find(owner, (str(key),))))

    return run


def _pruned(value: Any) -> tuple[Callable[[Any], bool], bool]:
    if isinstance(value, str) and value:
        return (lambda item: item.get("type") == value), True
    if not isinstance(value, dict):
        raise ValueError("needs a type, or an object with where or conditions")
    rules = [{"path": "type", "value": value["type"]}] if "type" in value else []
    rules += [{"path": path, "value": wanted} for path, wanted in (value.get("where") or {}).items()]
    listed = value.get("conditions") or []
    if isinstance(listed, dict):
        listed = [{"path": path, "value": wanted} for path, wanted in listed.items()]
    tests = [_of_member(rule) for rule in (*rules, *listed)]
    if not tests:
        raise ValueError("needs a type, where or conditions")
    combine = any if str(value.get("logic") or "AND").upper() == "OR" else all
    return (lambda item: combine([test(item) for test in tests])), value.get("recursive", True) is not False


def _of_member(rule: Any) -> Callable[[Any], bool]:
    if not isinstance(rule, dict):
        raise ValueError("a condition must be an object")
    path, test, invert = path_of(rule.get("path")), test_of(rule), rule.get("invert") is True
    missing = rule.get("pass_missing_key") is True

    def holds(item: Any) -> bool:
        value = find(item, path)
        if value is MISSING:
            return missing
        try:
            return test(value) is not invert
        except OverrideError:  # members of one list differ: another sort of value is no match
            return False

    return holds


BODY_MODES: dict[str, Callable[[Rule], Step]] = {
    "set": _set,
    "delete": _delete,
    "copy": _copy,
    "move": _move,
    "append": _added,
    "prepend": _prepended,
    "trim_prefix": _by_text(str.removeprefix),
    "trim_suffix": _by_text(str.removesuffix),
    "ensure_prefix": _by_text(lambda text, start: text if text.startswith(start) else start + text),
    "ensure_suffix": _by_text(lambda text, end: text if text.endswith(end) else text + end),
    "trim_space": _alone(str.strip),
    "to_lower": _alone(str.lower),
    "to_upper": _alone(str.upper),
    "replace": _replace,
    "regex_replace": _regex_replace,
    "return_error": _return_error,
    "prune_objects": _prune,
}


def guarded(rule: Rule, step: Step, label: str) -> Step:
    """The step under its rule's conditions; what fails in it names the operation."""
    applies = condition_of(rule["conditions"], rule.get("logic")) if rule.get("conditions") else None

    def run(edit: Edit) -> None:
        try:
            if applies is None or applies(edit):
                step(edit)
        except OverrideError as ex:
            raise OverrideError(f"{label}: {ex}") from None

    return run
