"""Whether what a Format's decode gave is an answer, or the events of one, before anything is built on it.

Takes whatever a mapping gave; says in words what is wrong with it. Knows the outer form only: what the assembler and
replay can't do without. What lint can tell of it stands in the compiler.
"""

from __future__ import annotations

from typing import Any

from engine.errors import MappingError


def answer(decoded: Any) -> dict[str, Any]:
    """The hub response that response.decode gave, if it is one."""
    if type(decoded) is not dict:
        raise MappingError("response.decode", f"gave {_kind(decoded)} where a map {{id, model, parts, finish}} is due")
    parts = decoded.get("parts")
    if parts is not None and type(parts) is not list:
        raise MappingError("response.decode", f"gave {_kind(parts)} as parts, which are a list")
    for index, part in enumerate(parts or ()):
        if type(part) is not dict or type(part.get("type")) is not str:
            raise MappingError(
                "response.decode", f"gave {_kind(part)} as parts[{index}], where a map with a type is due"
            )
    for name in ("finish", "extensions"):
        if decoded.get(name) is not None and type(decoded[name]) is not dict:
            raise MappingError("response.decode", f"gave {_kind(decoded[name])} as {name}, which is a map")
    return decoded


def not_events(events: Any) -> str | None:
    """Why these are no hub events; None if they are. Asked only when something could not be done with them."""
    if type(events) is not list:
        return f"stream.decode gave {_kind(events)} where a list of hub events is due"
    for event in events:
        if type(event) is not dict or type(event.get("type")) is not str:
            return f"stream.decode gave {_kind(event)} where a hub event, a map with a type, is due"
    return None


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a map without a type ({', '.join(map(str, list(value)[:4]))})" if value else "an empty map"
    return {list: "a list", str: "a text", bool: "true or false"}.get(type(value), "a number")
