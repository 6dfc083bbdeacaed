"""The OpenAPI 3.1 document of ``/api/v2``, written from the records of its routes and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.questions import LIMIT, MOST, operators
from engine.api.route import NOBODY

_JSON = "application/json"
_ROLES = {0: "everybody", 1: "users", 10: "administrators", 100: "root"}
_REFUSED = "A refusal, as problem details (RFC 9457)."


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """All of it."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for operation in operations:
        path = re.sub(r":(\w+)", r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatewright management", "version": _version(), "description": _WORDS},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _TOKEN}},
        },
    }


def _version() -> str:
    try:
        return version("gatewright")
    except PackageNotFoundError:
        return "0"


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    may = _ROLES[operation.role] + (f" with the right {operation.right}" if operation.right else "")
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.words,
        "description": f"For {may}.",
        "tags": [operation.name.partition("_")[0]],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
        "security": [] if operation.role == NOBODY else [{"token": []}],
    }
    if operation.takes is not None:
        name = f"{operation.takes.name}{'New' if operation.fresh else 'Patch'}"
        schemas[name] = operation.takes.schema(sent=True, fresh=operation.fresh)
        content = {_JSON: {"schema": _reference(name)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    listed = [
        {"name": name, "in": "path", "required": True, "schema": _variable(name)}
        for name in re.findall(r":(\w+)", operation.path)
    ]
    listed += [_in_query(name, field.schema(), field.words) for name, field in operation.query.items()]
    if operation.many and operation.paged and operation.gives is not None:
        listed += _of_list(operation.gives)
    if operation.guarded:
        words = "The ETag of what was read, or *."
        listed.append({"name": "If-Match", "in": "header", "required": True, "description": words, "schema": _TEXT})
    if operation.makes:
        words = "The same call again with it gets the first one's answer."
        listed.append({"name": "Idempotency-Key", "in": "header", "description": words, "schema": _KEY})
    return listed


def _variable(name: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0} if name == "id" else dict(_TEXT)


def _of_list(shape: Shape) -> list[dict[str, Any]]:
    orders = [one for name, field in shape.fields.items() if field.sorted for one in (name, f"-{name}")]
    listed = [
        _in_query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}, "How many."),
        _in_query("cursor", _TEXT, "The next of the page before."),
    ]
    if orders:
        listed.append(_in_query("sort", {"type": "string", "enum": orders}, "The order."))
    for name, field in shape.fields.items():
        if field.filtered:
            listed += [_filter(name, field, operator) for operator in operators(field)]
    return listed


def _filter(name: str, field: Field, operator: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": field.kind} if operator != "in" else dict(_TEXT)
    if field.codes and operator != "in":
        schema["enum"] = list(field.codes)
    suffix = "" if operator == "eq" else f".{operator}"
    return _in_query(name + suffix, schema, f"{field.words} ({operator})")


def _in_query(name: str, schema: dict[str, Any], words: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": words, "schema": schema}


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": operation.words}
    if operation.stream and operation.stream != (_JSON,):
        answer["content"] = {media: {"schema": _TEXT} for media in operation.stream}
    elif operation.gives is not None:
        shape = operation.gives
        schemas.setdefault(shape.name, shape.schema(sent=False))
        schema = _reference(shape.name)
        if operation.many:
            items = {"type": "array", "items": schema}
            members = {"items": items, "next": {"type": ["string", "null"], "description": "The next page's cursor."}}
            schema = {"type": "object", "properties": members, "required": ["items", "next"]}
        elif not operation.stream:
            answer["headers"] = {"ETag": {"schema": _TEXT}}
        answer["content"] = {_JSON: {"schema": schema}}
    refused = {"description": _REFUSED, "content": {"application/problem+json": {"schema": _reference("Problem")}}}
    return {**{str(status): answer for status in (operation.status, *operation.also)}, "default": refused}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: dict[str, Any] = {"type": "string"}
_KEY: dict[str, Any] = {"type": "string", "maxLength": 255}
_TOKEN = "An access token (GET /api/user/token), or the short token of a login."  # noqa: S105 - words
_WORDS = (
    "What scripts ask of a gateway. Lists are filtered by FIELD=VALUE and FIELD.OPERATOR=VALUE, go on by cursor, and"
    f" are never counted. All paths begin with {PREFIX}."
)
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": _REFUSED,
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and how it is mended, in the caller's language."},
        "code": {"type": "string", "description": "A stable word for it."},
        "field": {"type": "string", "description": "The member or parameter at fault."},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
}
