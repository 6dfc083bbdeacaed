"""JSON Schema in the dialect that the target takes.

Declared: ``schema: {refs: inline|keep|alone, recursive: cap|refuse, allow: [keywords] | drop: [keywords], rename,
nullable: keyword|type_list, types: upper|lower, const: enum|keep, additional: keep|drop|closed, object_required,
openapi, top: merged, items: filled, most: {keyword: number}}``. Takes a schema, gives a new one and a report of each
keyword that was lost. Data inside a schema (enum, const, default, examples) is never touched. Size and depth are
bounded, so that references can't grow into a bomb.
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
_WALKING = frozenset({"refs", "allow", "drop", "rename", "nullable", "types", "const", "additional", "items", "most"})
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
        self.alone = rules.get("refs") == "alone"
        self.most: dict[str, int] = rules.get("most") or {}

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
        if "$ref" in schema and (self.inline or (self.alone and not all(key.startswith("$") for key in schema))):
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
        target = dict(schema)
        if "const" in target and (self.rules.get("const") == "enum" or not self.takes("const")):
            target["enum"] = [target.pop("const")]
        if "oneOf" in target and not self.takes("oneOf") and self.takes("anyOf"):
            target["anyOf"] = [*(target.get("anyOf") or ()), *(target.pop("oneOf") or ())]
        if "allOf" in target and not self.takes("allOf"):
            target = _joined(target, self.inline, self.root)
        target = self._nullable(target)
        self._additional(target)
        if self.rules.get("items") == "filled" and _may_be_list(target.get("type")):
            target.setdefault("items", {})
        return target

    def _nullable(self, schema: dict[str, Any]) -> dict[str, Any]:
        how = self.rules.get("nullable")
        if how == "keyword":
            return _nullable_keyword(schema)
        if how == "type_list" and schema.pop("nullable", False):
            kinds = schema.get("type")
            if kinds is not None:
                schema["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
        return schema

    def _additional(self, schema: dict[str, Any]) -> None:
        how = self.rules.get("additional")
        if how == "drop":
            schema.pop("additionalProperties", None)
        elif how == "closed" and (schema.get("type") == "object" or "properties" in schema):
            schema["additionalProperties"] = False

    def _translated(self, schema: dict[str, Any], trail: tuple[str, ...], depth: int) -> dict[str, Any]:
        target: dict[str, Any] = {}
        renames: dict[str, str] = self.rules.get("rename") or {}
        for key, value in schema.items():
            if self.inline and key in ("$defs", "definitions"):
                continue
            name = renames.get(key, key)
            if not self.takes(name):
                if key not in _ABOUT:
                    self.work.report(f"{self.path}.{key}", "a schema keyword that the target does not know was dropped")
                continue
            target[name] = self._value(key, value, trail, depth)
        if target.get("required") == []:
            del target["required"]
        return target

    def _value(self, key: str, value: Any, trail: tuple[str, ...], depth: int) -> Any:
        if key in _DATA:
            return value
        if key in self.most and type(value) is int and value > self.most[key]:
            self.work.report(f"{self.path}.{key}", f"{value} is more than the target takes, {self.most[key]} was sent")
            return self.most[key]
        if key == "type":
            return self._type(value)
        if key in openapi.MAPS and isinstance(value, dict):
            return {name: self.convert(inner, trail, depth + 1) for name, inner in value.items()}
        if key in _LISTS and isinstance(value, list):
            return [self.convert(inner, trail, depth + 1) for inner in value]
        if key in _SINGLES:
            if isinstance(value, list):
                return [self.convert(inner, trail, depth + 1) for inner in value]
            return self.convert(value, trail, depth + 1)
        return value

    def _type(self, value: Any) -> Any:
        case = self.rules.get("types")
        if isinstance(value, list):
            return [self._type(name) for name in value]
        if not isinstance(value, str) or case not in ("upper", "lower"):
            return value
        return value.upper() if case == "upper" else value.lower()


def _may_be_list(kinds: Any) -> bool:
    return any(kind in ("array", "ARRAY") for kind in (kinds if isinstance(kinds, list) else (kinds,)))


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
    whole = {key: value for key, value in schema.items() if key != "allOf"}
    for branch in schema.get("allOf") or ():
        if isinstance(branch, dict) and inline and "$ref" in branch:
            target = _resolve(root, branch["$ref"])
            branch = target if isinstance(target, dict) and "$ref" not in target else {}
        if isinstance(branch, dict):
            _join(whole, branch)
    return whole


def _join(whole: dict[str, Any], schema: dict[str, Any]) -> None:
    """Put another schema's keywords beside those that there are."""
    for key, value in schema.items():
        have = whole.get(key)
        if key == "properties" and isinstance(have, dict):
            whole[key] = {**have, **value}
        elif key == "required" and isinstance(have, list):
            whole[key] = [*have, *(name for name in value if name not in have)]
        elif have is None:
            whole[key] = value


def _rooted(schema: Any) -> Any:
    """A root that says itself what it is, not by a reference, and is of a type or says none."""
    seen: set[str] = set()
    while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and schema["$ref"] not in seen:
        seen.add(schema["$ref"])
        target = _resolve(schema, schema["$ref"])
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**target, **beside} if isinstance(target, dict) else beside
    if isinstance(schema, dict) and "type" in schema:
        kinds = schema["type"]
        if kinds is None or (isinstance(kinds, list) and "object" in kinds):
            schema = {**schema, "type": "object"}
    return schema


def _top_merged(schema: Any, path: str, work: Work) -> Any:
    """A root without alternatives: what they say of members stands side by side, and none of it is required."""
    if not isinstance(schema, dict):
        return schema
    if "allOf" in schema:
        schema = _joined(schema, True, schema)
    whole = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
    options = [*_options(schema.get("anyOf")), *_options(schema.get("oneOf"))]
    if not options and len(whole) == len(schema):
        return schema
    members: dict[str, Any] = {}
    for option in options:
        target = _resolve(schema, option["$ref"]) if "$ref" in option else option
        members |= target.get("properties") or {} if isinstance(target, dict) else {}
    if members:
        whole["properties"] = {**members, **(whole.get("properties") or {})}
    work.report(path, "the target takes no alternatives at the root; their members stand side by side")
    return whole


def _options(value: Any) -> list[dict[str, Any]]:
    return [option for option in value if isinstance(option, dict)] if isinstance(value, list) else []


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") in ("null", ["null"]) and len(schema) == 1


def _nullable_keyword(schema: dict[str, Any]) -> dict[str, Any]:
    """ "May be null" as a keyword of its own; several types become alternatives."""
    target = dict(schema)
    kinds = target.get("type")
    if isinstance(kinds, list):
        others = [kind for kind in kinds if kind != "null"]
        if len(others) < len(kinds):
            target["nullable"] = True
        del target["type"]
        if len(others) == 1:
            target["type"] = others[0]
        elif others:
            target.setdefault("anyOf", [{"type": kind} for kind in others])
    options = target.get("anyOf")
    if isinstance(options, list) and any(map(_is_null, options)):
        rest = [option for option in options if not _is_null(option)]
        target["nullable"] = True
        del target["anyOf"]
        if len(rest) == 1 and isinstance(rest[0], dict):
            target = {**rest[0], **target}
        elif rest:
            target["anyOf"] = rest
    return target


def convert(schema: Any, rules: dict[str, Any], path: str, work: Work) -> Any:
    """A schema in the declared dialect."""
    if rules.get("openapi") != "keep":
        schema = openapi.translated(schema, path, work.report)
    # PERF: a dialect that only wants objects at the top (some 100 us per request of three tools) walks nothing.
    if rules.get("object_required") or rules.get("top") == "merged":
        schema = _rooted(schema)
    if rules.get("top") == "merged":
        schema = _top_merged(schema, path, work)
    walks = any(key in _WALKING and value != "keep" for key, value in rules.items())
    target = _Dialect(schema, rules, path, work).convert(schema, ("#",), 0) if walks else schema
    if rules.get("object_required") and isinstance(target, dict):
        if str(target.get("type", "object")).lower() != "object":
            raise Refusal(f"{path}.type", "must be object: a tool's input has members")
        target = {**target, "type": "OBJECT" if rules.get("types") == "upper" else "object"}
        target.setdefault("properties", {})
    return target
