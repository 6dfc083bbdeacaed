"""A credential of several parts (``token|appid``, a JSON object): taken apart, and put into texts that name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

_IN_ADDRESSES = re.compile(r"[A-Za-z0-9._:-]+")


def split(auth: Mapping[str, Any], secret: str) -> dict[str, str]:
    """The parts by their names; the last takes whatever is left. A credential of one part is ``{key}``."""
    form = auth.get("key") or {}
    pieces = _members(secret) if form.get("json") else _pieces(form, secret)
    words = {"key": secret, **(form.get("defaults") or {}), **{name: text for name, text in pieces.items() if text}}
    for name, rule in (form.get("derived") or {}).items():
        words[name] = _derived(rule, words.get(rule["from"], ""))
    return words


def _pieces(form: Mapping[str, Any], secret: str) -> dict[str, str]:
    names: list[str] = form.get("parts") or []
    pieces = secret.split(form.get("separator") or "|", max(len(names) - 1, 0))
    return dict(zip(names, (piece.strip() for piece in pieces), strict=False))


@lru_cache(256)
def _members(secret: str) -> dict[str, str]:
    """The texts of a JSON object; empty where it is none."""
    try:
        parsed = orjson.loads(secret)
    except ValueError:
        return {}
    return {name: text for name, text in parsed.items() if isinstance(text, str)} if isinstance(parsed, dict) else {}


def _derived(rule: Mapping[str, Any], text: str) -> str:
    """What stands for a part that begins so; the longest beginning holds."""
    begins = [begin for begin in rule["begins"] if text.startswith(begin)]
    return str(rule["begins"][max(begins, key=len)]) if begins else ""


def misfit(auth: Mapping[str, Any], secret: str) -> str | None:
    """What form the credential must have, where it has another."""
    form = auth.get("key") or {}
    if form.get("match") and not re.fullmatch(form["match"], secret):
        return f"the channel's credential must be {form.get('says') or 'of another form'}"
    names: list[str] = form.get("parts") or []
    least = form.get("least", len(names))
    words = split(auth, secret)
    if any(not words.get(name) for name in names[:least]):
        return f"the channel's credential must {_form(form, names, least)}"
    bad = [name for name in form.get("public") or () if words.get(name) and not _IN_ADDRESSES.fullmatch(words[name])]
    if bad:
        return f"the part {bad[0]} of the channel's credential may hold letters, digits, dots, dashes and colons alone"
    return None


def _form(form: Mapping[str, Any], names: list[str], least: int) -> str:
    if form.get("json"):
        return f"be a JSON object with the members {', '.join(names[:least])}"
    separator = form.get("separator") or "|"
    shapes = [separator.join(names[:count]) for count in range(least, len(names) + 1)]
    return f"have the form {' or '.join(shapes)}"


def fill(text: str, words: Mapping[str, str]) -> str:
    """The text with the parts in place of their names in braces; a part that is not there is empty."""
    if "{" not in text:
        return text
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text


def public(auth: Mapping[str, Any], secret: str | None) -> dict[str, str]:
    """The parts that may stand in addresses and names of models: no secret, checked by ``misfit``, and what follows."""
    form = auth.get("key") or {}
    names = [*(form.get("public") or ()), *(form.get("derived") or ())]
    if not names or not secret:
        return {}
    words = split(auth, secret.strip())
    return {name: words.get(name, "") for name in names}
