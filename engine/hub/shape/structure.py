"""Whether something said to be a JSON Schema has the structure of one.

Takes the value and where it stands; refuses the first member of a wrong type by its path. Keywords of any draft and of
any vendor pass: what the target makes of them is its own matter (`engine.hub.shape.schema`).
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from engine.errors import Refusal

_SCHEMA: dict[str, Any] = {"$ref": "#/$defs/schema"}
_MAP: dict[str, Any] = {"type": "object", "additionalProperties": _SCHEMA}
_LIST: dict[str, Any] = {"type": "array", "items": _SCHEMA}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_KEYWORDS: dict[str, Any] = {
    "type": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "minLength": 1},
    "enum": {"type": "array"},
    "required": _TEXTS,
    "$ref": {"type": "string"},
    "items": {
        "type": ["object", "boolean", "array"],
        "allOf": [{"if": {"type": "array"}, "then": _LIST, "else": _SCHEMA}],
    },
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), _MAP),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _LIST),
    **dict.fromkeys(("additionalProperties", "not"), _SCHEMA),
}
_WANTED = jsonschema_rs.validator_for(
    {**_SCHEMA, "$defs": {"schema": {"type": ["object", "boolean"], "properties": _KEYWORDS}}}
)
_MOST = 200


def check(schema: Any, path: str) -> None:
    """Refuse what is no JSON Schema."""
    try:
        if schema is None or _WANTED.is_valid(schema):
            return
        fault = next(iter(_WANTED.iter_errors(schema)))
    except ValueError:  # the validator's own bound on depth
        raise Refusal(path, "is nested too deep") from None
    trail = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.instance_path)
    raise Refusal(f"{path}{trail}", f"is not as JSON Schema wants it: {fault.message[-_MOST:]}")
