"""Channels and options of a database of the family become a draft; the database is only read.

``read(db, program)`` takes it as it is, of whatever age. A channel that can't be called with what its row asks for is
left out, as the gateway itself would leave it out; what a document has no word for is told by row and column.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.errors import NotFound
from engine.moving.draft import Draft
from engine.moving.options import carry
from engine.program import Program, Provider
from engine.routing import rows
from engine.routing.channel import LiveChannel
from engine.storage.database import Database
from engine.storage.rows import channels, options
from engine.storage.rows.channels import ChannelRow
from engine.storage.upgrade.checking import check
from engine.storage.values import ENABLED

_MOST_SHARES = 10_000
_PATTERNS = ("*", "re:", "regex:")
_HELD_BACK = "service_tier, inference_geo, speed, safety_identifier, stream_options.include_obfuscation"


def read(db: Database, program: Program) -> tuple[Draft, str]:
    """The draft, and which program made the database."""
    report = check(db)
    if not report.program or "channels" not in db.columns:
        raise NotFound(f"{db.label} is no database of this family: it has no tables users and channels")
    draft, listed = Draft(), channels.load(db)
    counts = [len(_live_keys(row)) or 1 for row in listed]
    shares = math.lcm(*counts) if counts else 1
    shares = shares if shares <= _MOST_SHARES else 1
    even = not any(row.weight for row in listed)
    for row, count in zip(listed, counts, strict=True):
        _channel(draft, program, row, (1 if even else row.weight) * max(1, shares // count))
    if any(row.status == ENABLED for row in listed):
        draft.leave("channels", f"{_HELD_BACK} of callers were held back unless a channel allowed them; they go up now",
                    "drop them by requestPatches of a Provider, if they may cost more")  # fmt: skip
    served = {model for channel in draft.channels for model in channel["models"]}
    carry(draft, program, options.load(db), served)
    return draft, report.program


def _live_keys(row: ChannelRow) -> list[str]:
    disabled = row.multi.disabled if row.multi else frozenset()
    return [key for index, key in enumerate(row.keys) if index not in disabled]


def _channel(draft: Draft, program: Program, row: ChannelRow, weight: int) -> None:
    place = f"channels #{row.id} {row.name!r}"
    try:
        live = rows.from_row(program, row)
    except LookupError as error:
        draft.leave(place, f"left out: {error.args[0]}", "write a Provider for it (docs/add-a-provider.md)")
        return
    name = draft.name(row.name, f"channel-{row.id}")
    if name != row.name:
        draft.leave(place, f"is called {name} in the documents")
    entry: dict[str, Any] = {"name": name, "provider": _provider(draft, live.provider, row, name, place)}
    entry["models"] = list(row.models)
    if row.groups != ("default",):
        entry["groups"] = list(row.groups)
    if row.priority:
        entry["priority"] = row.priority
    entry["weight"] = weight
    mapping = {model: live.mapped(model) for model in row.models if live.mapped(model) != model}
    more = {
        "modelMapping": mapping,
        "baseUrl": row.base_url.rstrip("/") if row.base_url and live.base_url != live.provider.base_url else "",
        "thinking": "content" if live.thinking else "",
        "parameters": _parameters(live.provider, row),
    }
    entry |= {key: value for key, value in more.items() if value}
    if row.status != ENABLED:
        entry["enabled"] = False
    keys = _live_keys(row)
    for number, key in enumerate(keys or [""], 1):
        own = name if number == 1 else draft.name(f"{name}-key-{number}", f"channel-{row.id}-{number}")
        draft.channels.append({**entry, "name": own, **({"credential": draft.secret(own, key)} if key else {})})
    _unsaid(draft, row, live, place)


def _provider(draft: Draft, provider: Provider, row: ChannelRow, name: str, place: str) -> str:
    """The provider itself, or one of the channel's own where its row asks for what only a Provider can say."""
    spec: dict[str, Any] = {}
    if proxy := row.setting.get("proxy"):
        spec["proxy"] = str(proxy)
    literal = {
        key: value
        for key, value in row.header_override.items()
        if isinstance(value, str) and value and not key.startswith(_PATTERNS) and "{" not in value
    }
    if literal:
        spec["headers"] = {"set": literal}
        draft.leave(place, "header_override stands in the document as it is", "see that no value is a secret")
    if other := sorted(set(row.header_override) - set(literal)):
        draft.leave(place, f"header_override {', '.join(other)}", "say headers.forward in a Provider")
    override = {key: value for key, value in row.param_override.items() if key != "operations"}
    if override:
        spec["requestPatches"] = [{"set": _literal(override)}]
    if "operations" in row.param_override:
        draft.leave(place, "param_override.operations", "say requestPatches in a Provider")
    if not spec:
        return provider.name
    own = draft.name(f"{provider.name}-{name}", f"{provider.name}-{row.id}")
    draft.providers[own] = {"extends": provider.name, "spec": spec}
    return own


def _literal(value: Any) -> Any:
    """A value as a tree of expressions that gives it: braces of a text are no expression, a dollar no directive."""
    if isinstance(value, dict):
        return {key: _literal(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return "{{ " + repr(value) + " }}"
    return value


def _parameters(provider: Provider, row: ChannelRow) -> Mapping[str, str]:
    values = {
        name: next(filter(None, (rows.told(row, column) for column in parameter.rows.get(row.numbering, ()))), "")
        for name, parameter in provider.parameters.items()
    }
    return {name: text for name, text in values.items() if text}


def _unsaid(draft: Draft, row: ChannelRow, live: LiveChannel, place: str) -> None:
    """What no document has a word for."""
    if live.instruction:
        draft.leave(place, "its system prompt", "keep the channel in the database, or have callers send it")
    if row.status_code_mapping:
        draft.leave(place, "status_code_mapping", "say errors in a Provider")
    for member in ("force_format", "pass_through_body_enabled"):
        if row.setting.get(member):
            draft.leave(place, f"setting.{member}")
    if row.settings.get("disable_store"):
        draft.leave(place, "settings.disable_store", "say requestPatches: [{drop: [store]}] in a Provider")
    if row.auto_ban:
        draft.leave(place, "auto_ban: it is not switched off by itself", "a Policy's breaker sets channels aside")
    if row.tag:
        draft.leave(place, f"tag {row.tag!r}")
