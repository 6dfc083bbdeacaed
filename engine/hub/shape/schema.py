"""JSON Schema in the dialect that the target takes.

Declared: ``schema: {refs: inline|keep, recursive: cap|refuse, allow: [keywords] | drop: [keywords], rename, nullable:
keyword|type_list, types: upper|lower, const: enum|keep, additional: keep|drop|closed, object_required, openapi}``.
Takes a schema, gives a new one and a report of each keyword that was lost. Data inside a schema (enum, const, default,
examples) is never touched. Size and depth are bounded, so that references can't grow into a bomb.
"""

from __future__ import annotations

from typing import Any

from engine.errors import Refusal
from engine.hub.shape import openapi
from engine.hub.shape.work import Work

_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLES = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties"}
)
_DATA = frozenset({"enum", "const", "default", "examples", "example", "required"})
_WALKING = frozenset({"refs", "allow", "drop", "rename", "nullable", "types", "const", "additional"})
_ABOUT = frozenset({"$schema", "$id", "$comment"})
"""Keywords that say nothing of the values: no loss."""
MAX_DEPTH = 64
MAX_NODES = 20_000
RECURSION = 3
"""How often a schema may contain itself before it is cut off."""


class _Dialect:
    """One conversion: its rules, where references lead, and how much was made so far."""

    def __init__(self, root: Any, rules: dict[str, Any], path: str, work: Work) -> None:
        self.root = root
        self.rules = rules
        self.path = path
        self.work = work
        self.nodes = 0
        self.allow = frozenset(rules["allow"]) if rules.get("allow") else None
        self.drop = frozenset(rules.get("drop") or ())
        self.inline = rules.get("refs") == "inline"

    def takes(self, keyword: str) -> bool:
        """Whether the target knows a keyword."""
        return keyword not in self.drop and (self.allow is None or keyword in self.allow)

    def convert(self, schema: Any, trail: tuple[str, ...], depth: int) -> Any:
        """One schema and all below it."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise Refusal(self.path, "is nested too deep or too large once its references are written out")
        if not isinstance(schema, dict):
            return schema
        if self.inline and "$ref" in schema:
            return self._inlined(schema, trail, depth)
        return self._translated(self._simplified(schema), trail, depth)

    def _inlined(self, schema: dict[str, Any], trail: tuple[str, ...], depth: int) -> Any:
        name = schema["$ref"]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if trail.count(name) >= RECURSION:
            if self.rules.get("recursive") == "refuse":
                raise Refusal(self.path, f"contains itself by {name!r}, which the provider's format can't say")
            self.work.report(self.path, f"{name} contains itself; it was cut off after {RECURSION} levels")
            return self.convert(
                {"type": "object", **{k: v for k, v in beside.items() if k == "description"}}, trail, depth
            )
        target = _resolve(self.root, name)
        if target is None:
            self.work.report(self.path, f"the reference {name!r} leads nowhere; it was dropped")
            return self.convert(beside, trail, depth)
        merged = {**target, **beside} if isinstance(target, dict) else target
        return self.convert(merged, (*trail, str(name)), depth + 1)

    def _simplified(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Keywords that have a twin in the target's dialect, said by it."""
        made = dict(schema)
        if "const" in made and (self.rules.get("const") == "enum" or not self.takes("const")):
            made["enum"] = [made.pop("const")]
        if "oneOf" in made and not self.takes("oneOf") and self.takes("anyOf"):
            made["anyOf"] = [*(made.get("anyOf") or ()), *(made.pop("oneOf") or ())]
        if "allOf" in made and not self.takes("allOf"):
            made = _joined(made, self.inline, self.root)
        if self.rules.get("nullable") == "keyword":
            made = _nullable_keyword(made)
        elif self.rules.get("nullable") == "type_list" and made.pop("nullable", False):
            kinds = made.get("type")
            if kinds is not None:
                made["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
        self._additional(made)
        return made

    def _additional(self, made: dict[str, Any]) -> None:
        how = self.rules.get("additional")
        if how == "drop":
            made.pop("additionalProperties", None)
        elif how == "closed" and (made.get("type") == "object" or "properties" in made):
            made["additionalProperties"] = False

    def _translated(self, schema: dict[str, Any], trail: tuple[str, ...], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        renames: dict[str, str] = self.rules.get("rename") or {}
        for key, value in schema.items():
            if self.inline and key in ("$defs", "definitions"):
                continue
            name = renames.get(key, key)
            if not self.takes(name):
                if key not in _ABOUT:
                    self.work.report(f"{self.path}.{key}", "a schema keyword that the target does not know was dropped")
                continue
            made[name] = self._value(key, value, trail, depth)
        if made.get("required") == []:
            del made["required"]
        return made

    def _value(self, key: str, value: Any, trail: tuple[str, ...], depth: int) -> Any:
        if key in _DATA:
            return value
        if key == "type":
            return self._type(value)
        if key in openapi.MAPS and isinstance(value, dict):
            return {name: self.convert(one, trail, depth + 1) for name, one in value.items()}
        if key in _LISTS and isinstance(value, list):
            return [self.convert(one, trail, depth + 1) for one in value]
        if key in _SINGLES:
            if isinstance(value, list):
                return [self.convert(one, trail, depth + 1) for one in value]
            return self.convert(value, trail, depth + 1)
        return value

    def _type(self, value: Any) -> Any:
        case = self.rules.get("types")
        if isinstance(value, list):
            return [self._type(one) for one in value]
        if not isinstance(value, str) or case not in ("upper", "lower"):
            return value
        return value.upper() if case == "upper" else value.lower()


def _resolve(root: Any, name: Any) -> Any:
    """What a reference inside the same schema leads to."""
    if not isinstance(name, str) or not name.startswith("#"):
        return None
    here = root
    for step in name[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isdecimal() and len(key) < 10 and int(key) < len(here):
            here = here[int(key)]
        else:
            return None
    return here


def _joined(schema: dict[str, Any], inline: bool, root: Any) -> dict[str, Any]:
    """``allOf`` written out as one schema: members side by side, requirements together."""
    made = {key: value for key, value in schema.items() if key != "allOf"}
    for one in schema.get("allOf") or ():
        if isinstance(one, dict) and inline and "$ref" in one:
            found = _resolve(root, one["$ref"])
            one = found if isinstance(found, dict) and "$ref" not in found else {}
        if not isinstance(one, dict):
            continue
        for key, value in one.items():
            have = made.get(key)
            if key == "properties" and isinstance(have, dict):
                made[key] = {**have, **value}
            elif key == "required" and isinstance(have, list):
                made[key] = [*have, *(name for name in value if name not in have)]
            elif have is None:
                made[key] = value
    return made


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") in ("null", ["null"]) and len(schema) == 1


def _nullable_keyword(schema: dict[str, Any]) -> dict[str, Any]:
    """ "May be null" as a keyword of its own; several types become alternatives."""
    made = dict(schema)
    kinds = made.get("type")
    if isinstance(kinds, list):
        others = [kind for kind in kinds if kind != "null"]
        if len(others) < len(kinds):
            made["nullable"] = True
        del made["type"]
        if len(others) == 1:
            made["type"] = others[0]
        elif others:
            made.setdefault("anyOf", [{"type": kind} for kind in others])
    options = made.get("anyOf")
    if isinstance(options, list) and any(map(_is_null, options)):
        rest = [option for option in options if not _is_null(option)]
        made["nullable"] = True
        del made["anyOf"]
        if len(rest) == 1 and isinstance(rest[0], dict):
            made = {**rest[0], **made}
        elif rest:
            made["anyOf"] = rest
    return made


def convert(schema: Any, rules: dict[str, Any], path: str, work: Work) -> Any:
    """A schema in the declared dialect."""
    if rules.get("openapi") != "keep":
        schema = openapi.translated(schema, path, work.report)
    # PERF: a dialect that only wants objects at the top (some 100 us per request of three tools) walks nothing.
    walks = any(key in _WALKING and value != "keep" for key, value in rules.items())
    made = _Dialect(schema, rules, path, work).convert(schema, ("#",), 0) if walks else schema
    if rules.get("object_required") and isinstance(made, dict):
        if str(made.get("type", "object")).lower() != "object":
            raise Refusal(f"{path}.type", "must be object: a tool's input has members")
        made = {**made, "type": "OBJECT" if rules.get("types") == "upper" else "object"}
        made.setdefault("properties", {})
    return made
