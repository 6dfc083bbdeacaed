"""Ingress: bytes and a route become a ``Call``: body decoded and parsed once, model asked for, stream or not.

Refuses with 400, 413, 415. Knows nothing of accounts or channels.
"""

from __future__ import annotations

import gc
import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import orjson

from engine import bounds
from engine.bounds import VALUES
from engine.errors import CallError
from engine.program.origins import own_path, path_text
from engine.relay.ingress import twins
from engine.relay.ingress.lane import is_heavy
from engine.relay.ingress.structure import at_most, values
from engine.transport import coding
from engine.transport.spool import STEP, Spool

if TYPE_CHECKING:
    from engine.program import Endpoint
    from engine.relay.call import Call, Reply
    from engine.relay.ingress.lane import Lane
    from engine.relay.live import Live
    from engine.settings import Settings


class IngressServices(Protocol):
    """What taking a request in takes of a worker's services."""

    @property
    def settings(self) -> Settings: ...
    @property
    def live(self) -> Live: ...
    @property
    def lane(self) -> Lane | None: ...


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """Return the request's body with its content codings undone; ``limit`` in bytes holds before and after that."""
    length = environ.get("CONTENT_LENGTH") or ""
    encoding = environ.get("HTTP_CONTENT_ENCODING", "")
    if length.isdigit() and int(length) > limit:
        raise too_large(limit)
    stream = environ["wsgi.input"]
    # A plain body of known length comes in one read; a chunked one is read a step past the limit and no further.
    try:
        raw: bytes = stream.read(int(length)) if length.isdigit() else stream.read(limit + 1)
    except OSError as ex:
        raise CallError("bad_request", "the connection ended within the request body") from ex
    if length.isdigit() and len(raw) < int(length):
        raise CallError("bad_request", f"the body ended after {len(raw)} of {length} bytes announced in content-length")
    if len(raw) > limit:
        raise too_large(limit)
    if encoding and encoding.strip().lower() != "identity":
        try:
            return coding.decode_body(encoding, raw, limit)
        except CallError as ex:
            raise too_large(limit) if ex.meaning == "too_large" else ex from None
    return raw


def receive(environ: dict[str, Any], limit: int, directory: Path) -> bytes | Spool:
    """The same, but a body of more than a megabyte in a file without a name below ``directory``.

    One under a content coding is undone in memory, within the limit.
    """
    length, encoding = environ.get("CONTENT_LENGTH") or "", environ.get("HTTP_CONTENT_ENCODING", "")
    if encoding or (length.isdigit() and not _SPOOLED_FROM < int(length) <= limit):
        return read_body(environ, limit)
    stream = environ["wsgi.input"]
    spool = Spool(directory)
    declared = int(length) if length.isdigit() else None
    try:
        while piece := stream.read(STEP if declared is None else min(STEP, declared - len(spool))):
            if len(spool) + len(piece) > limit:
                raise too_large(limit)
            spool.write(piece)
    except OSError as ex:
        raise CallError("bad_request", "the connection ended within the request body") from ex
    if declared is not None and len(spool) < declared:
        raise CallError("bad_request", f"the body ended after {len(spool)} of {declared} bytes")
    return spool if len(spool) > _SPOOLED_FROM else spool[:]


def too_large(limit: int) -> CallError:
    """The 413 for a body over ``limit`` bytes."""
    return CallError(
        "too_large",
        f"the request body is over {limit / 1048576:g} MB after decompression; send less",
    )


def _parse(raw: bytes, lane: Lane | None) -> dict[str, Any] | None:
    """The JSON object that ``raw`` holds; nothing where reading it would take others' time and ``lane`` can do it.

    Half characters, which no other format can carry, become U+FFFD.
    """
    if not raw:
        raise CallError("bad_request", "the request body is empty; send a JSON object")
    if lane is not None and is_heavy(raw):
        return None
    if len(raw) > VALUES.most and at_most(raw) > VALUES.most:
        VALUES.check(values(raw), "the request body")
    try:
        body = _loads(raw)
    except ValueError:
        if lane is not None and len(raw) > _LENIENT:
            return None
        body = _parse_leniently(raw)  # lone surrogates, which clients do send; else it words the fault
    if not isinstance(body, dict):
        raise CallError("bad_request", f"the request body must be a JSON object, found {_kind(body)}")
    return body


def _loads(raw: bytes) -> Any:
    """PERF: of many values the collector would look at all again and again while they are made, and find nothing."""
    if len(raw) <= _SMALL or not gc.isenabled():
        return orjson.loads(raw)
    gc.disable()
    try:
        return orjson.loads(raw)
    finally:
        gc.enable()


_SMALL = 65_536
_SPOOLED_FROM = 1_048_576
_LENIENT = 262_144
"""Bytes up to which what is no plain JSON is read by the slow parser on the spot."""
_DIGITS = 40


def _parse_leniently(raw: bytes) -> Any:
    def refuse(name: str) -> NoReturn:
        raise CallError("bad_request", f"the request body is not valid JSON: {name[:_DIGITS]} is no JSON number")

    def whole(text: str) -> int:
        return int(text) if len(text) <= _DIGITS else refuse(text)

    def broken(text: str) -> float:
        number = float(text)
        return number if isfinite(number) else refuse(text)

    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=refuse, parse_int=whole, parse_float=broken)
        return _without_halves(value)
    except UnicodeDecodeError as ex:
        raise CallError("bad_request", f"the request body is not valid UTF-8 at byte {ex.start}") from None
    except json.JSONDecodeError as ex:
        raise CallError(
            "bad_request", f"the request body is not valid JSON: {ex.msg.lower()} at line {ex.lineno} column {ex.colno}"
        ) from None
    except RecursionError:
        raise CallError("bad_request", "the request body is nested too deep") from None


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(inner) for key, inner in value.items()}
    return [_without_halves(inner) for inner in value] if isinstance(value, list) else value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {str: "a string", list: "a list", dict: "an object", bool: "a boolean", int: "a number", float: "a number"}
    return names[type(value)]


def take(services: IngressServices, call: Call, environ: dict[str, Any]) -> Reply | None:
    """Read, parse and fill ``call``: raw, body, asked, stream, framing; or give the reply from elsewhere."""
    elsewhere = parsed(services, call, environ)
    if elsewhere is not None:
        return elsewhere
    endpoint = call.endpoint
    call.asked = asked_model(call, endpoint)
    if endpoint.model_as and endpoint.model is not None and endpoint.model[0] == "body":
        call.asked = _named_as(call.asked, endpoint.model_as)
        call.body = {**call.body, endpoint.model[-1]: call.asked}
    call.stream = streams(call, endpoint)
    call.framing = framing(call)
    return None


def parsed(services: IngressServices, call: Call, environ: dict[str, Any]) -> Reply | None:
    """Read and parse what a call sends: raw, body; or give the reply from elsewhere."""
    raw = read_body(environ, services.settings.max_request_body)
    body = _parse(raw, services.lane)
    if body is None and services.lane is not None:
        return services.lane.serve(call, environ, raw)
    call.raw, call.body = raw, body
    twins.check(call.raw, call.body, call.snapshot.names[call.format.name])
    return None


def asked_model(call: Call, endpoint: Endpoint) -> str:
    """Return the model's name, found where the endpoint says."""
    where = endpoint.model
    name, field = (read_at(call, where), where[-1]) if where else (call.body.get("model"), "model")
    if name is None or name == "":
        raise CallError("bad_request", f"{field} is missing; name one that the models endpoint lists", param=field)
    if not isinstance(name, str):
        raise CallError("bad_request", f"{field} must be a string, found {_kind(name)}", param=field)
    bounds.MODEL_NAME.check(len(name), field)
    return name


def _named_as(name: str, form: str) -> str:
    """A model's name in the form that a route has for it."""
    before, _, after = form.partition("{model}")
    return name if name.startswith(before) and name.endswith(after) else f"{before}{name}{after}"


def path_id(call: Call) -> str:
    """Return the id that stands in the path."""
    name = call.path.get("id", "")
    bounds.ID.check(len(name), "the id in the path")
    return name


def streams(call: Call, endpoint: Endpoint) -> bool:
    """Return whether a stream is wanted, as the endpoint says where the request tells it."""
    if isinstance(endpoint.stream, bool):
        return endpoint.stream
    value, field = read_at(call, endpoint.stream), endpoint.stream[-1]
    if value is None or isinstance(value, bool):
        return bool(value)
    if call.format.form and value in ("true", "false"):  # a form knows texts alone
        return bool(value == "true")
    raise CallError("bad_request", f"{field} must be true or false, found {_kind(value)}", param=field)


def framing(call: Call) -> dict[str, Any]:
    """Return the framing of the answer's stream: the format's, unless the endpoint chooses another."""
    endpoint = call.endpoint
    declared = call.format.stream.framing if call.format.stream else {}
    by = endpoint.framing_by
    if not by and not endpoint.framing:
        return declared
    kind = by["values"].get(call.query.get(by["query"], ""), by["default"]) if by else None
    return {**declared, **endpoint.framing, **({"type": kind} if kind else {})}


def read_at(call: Call, path: tuple[str, ...]) -> Any:
    """The value at an endpoint's dotted path, which begins with body, path, query or header."""
    root = path[0]
    if root == "header":
        return call.headers.get(".".join(path[1:]).lower())
    value: Any = call.body if root == "body" else call.path if root == "path" else call.query
    for key in path[1:]:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def check_schema(call: Call, body: dict[str, Any]) -> None:
    """Refuse a body that is not as its Format's schema says; ``body`` is the call's in the format's own spelling."""
    schema = call.format.request_schema
    try:
        if schema is None or schema.is_valid(body):
            return
        fault = next(iter(schema.iter_errors(body)))
    except ValueError:  # the validator's own bound on depth
        raise RecursionError from None
    path = path_text(own_path(call.body, body, tuple(fault.instance_path)))
    raise CallError(
        "bad_request", f"{path or 'the body'}: {_short(fault.message)}", param=path or None, code="invalid_type"
    )


def _short(message: str, most: int = 300) -> str:
    """Validators print the value at fault first, and it may be long: keep the end, which says what is wrong."""
    return message if len(message) <= most else "..." + message[-most:]
