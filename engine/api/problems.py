"""Answers of ``/api/v2``: bare objects with HTTP's statuses, entity tags, and problem details (RFC 9457).

What needs ``If-Match`` is refused without it (428) and where the thing has changed since (412). What makes something
takes an ``Idempotency-Key``: the same call again gets the first one's answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import falcon
import orjson

from engine.accounts import once
from engine.api.envelope import plain
from engine.api.operation import Operation, entity_tag
from engine.api.reading import BodyTooLargeError, call_of, raw_of
from engine.api.refusals import PLAIN, Told, code_of, refused
from engine.api.route import Answer, Ask
from engine.errors import Conflict, GatewrightError, Invalid, NotFound, Unauthenticated
from engine.texts import refusal, told

_JSON, _PROBLEM = "application/json", "application/problem+json"
_STATUS: tuple[tuple[type[GatewrightError], int], ...] = (
    (Invalid, 400),
    (NotFound, 404),
    (Unauthenticated, 401),
    (Conflict, 409),
)
_LONGEST_KEY = 255


class Problems:
    """See the module."""

    def nowhere(self, method: str, path: str, allowed: list[str], resp: falcon.Response) -> None:
        """No route has this path, or none with this method."""
        if allowed:
            resp.set_header("allow", ", ".join(allowed))
            _problem(resp, 405, "method_not_allowed", f"{path} takes {', '.join(allowed)}, not {method}")
        else:
            _problem(resp, 404, "no_route", f"there is no {path} here; /api/v2/openapi.json lists what there is")

    def serve(self, ask: Ask, req: falcon.Request) -> Answer:
        """Read the body and do what the route does."""
        operation = cast(Operation, ask.route)
        if operation.raw:
            ask.raw = call_of(operation, req.env)
            return operation.call(ask)
        raw = raw_of(operation, req.env)
        _known(ask, operation)
        if operation.takes is not None:
            ask.body = _body(req, raw)
            ask.values = operation.takes.take(ask.body, fresh=operation.fresh)
        elif raw.strip():
            raise refusal(Invalid, "v2.body")
        if operation.guarded:
            ask.match = (req.get_header("If-Match") or "").strip()
            if not ask.match:
                raise Told.of("v2.match.none", 428, "precondition_required")
        key = req.get_header("Idempotency-Key") or ""
        if not operation.makes or not key:
            return operation.call(ask)
        return _once(ask, operation, key, raw)

    def tell(self, ask: Ask, answer: Answer, resp: falcon.Response) -> None:
        """Put an answer into the response."""
        operation = cast(Operation, ask.route)
        resp.set_headers(answer.headers)
        resp.status = answer.status if answer.status != HTTPStatus.OK else operation.status
        if answer.stream is not None:
            resp.stream = answer.stream
            return
        if answer.data is None and answer.whole is None:
            resp.status = HTTPStatus.NO_CONTENT
            return
        resp.content_type = _JSON
        if answer.whole is not None:
            resp.data = answer.whole
            return
        body = {"items": answer.data, **answer.beside} if operation.many else answer.data
        if operation.gives is not None and not operation.many:
            resp.set_header("etag", entity_tag(operation.gives, answer.data))
        resp.data = orjson.dumps(body, default=plain, option=orjson.OPT_NON_STR_KEYS)

    def refuse(self, ask: Ask, error: GatewrightError, request_id: str, resp: falcon.Response) -> None:
        """Put a refusal into the response."""
        if isinstance(error, BodyTooLargeError):
            _problem(resp, 413, "too_large", str(error), request_id)
        elif isinstance(error, PLAIN):
            status = next((status for kind, status in _STATUS if isinstance(error, kind)), 403)
            own = getattr(error, "status", 0)
            more = dict(getattr(error, "beside", {}))
            if isinstance(error, Invalid) and error.field:
                more["field"] = error.field
            # a refusal that New API tells at status 200 is one of what is there
            _problem(resp, own if own > 200 else status, code_of(error), told(error, ask.language), request_id, more)
        else:
            words = refused(error, request_id)
            if words.wait is not None:
                resp.set_header("retry-after", f"{words.wait:.0f}")
            code = "unavailable" if words.wait is not None else "internal"
            _problem(resp, words.status, code, words.message, request_id)


def _problem(
    resp: falcon.Response,
    status: int,
    code: str,
    detail: str,
    request_id: str = "",
    more: Mapping[str, Any] | None = None,
) -> None:
    body: dict[str, Any] = {"type": f"urn:gatewright:problem:{code.lower()}", "title": HTTPStatus(status).phrase}
    body |= {"status": status, "detail": detail, "code": code.lower(), **(more or {})}
    if request_id:
        body["request_id"] = request_id
    if status == HTTPStatus.UNAUTHORIZED:
        resp.set_header("www-authenticate", "Bearer")
    resp.status, resp.content_type, resp.data = status, _PROBLEM, orjson.dumps(body)


def _known(ask: Ask, operation: Operation) -> None:
    """Parameters that nothing reads are told: a filter that is misspelt would give all."""
    if operation.many and operation.paged:
        return  # the reader of lists does that
    for name in ask.query:
        if name not in operation.query:
            raise refusal(Invalid, "v2.parameter", field=name[:80], near="")


def _body(req: falcon.Request, raw: bytes) -> dict[str, Any]:
    kind = (req.content_type or _JSON).partition(";")[0].strip().lower()
    if kind not in (_JSON, "application/merge-patch+json"):
        raise Told.of("v2.media", 415, "unsupported_media_type", what=kind[:80])
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise refusal(Invalid, "v2.json", what=str(error)[:120]) from None
    if not isinstance(body, dict):
        raise refusal(Invalid, "v2.json", what="a JSON object is expected")
    return body


def _once(ask: Ask, operation: Operation, key: str, raw: bytes) -> Answer:
    """The answer of the first call with this key, or of this one."""
    if not key.isascii() or not key.isprintable() or len(key) > _LONGEST_KEY:
        raise refusal(Invalid, "invalid.field", field="Idempotency-Key", what=f"{_LONGEST_KEY} printable characters")
    place = f"{operation.method} {operation.path} {sorted(ask.path.items())}"
    claim = once.Claim(ask.worker.db, ask.worker.secret, ask.user.id, place, key, raw)
    kept = claim.take()
    if kept is not None:
        ask.headers.append(("idempotency-replayed", "true"))
        return Answer(kept["data"], headers=kept["headers"], noted=False)
    try:
        answer = operation.call(ask)
    except PLAIN:
        claim.drop()  # nothing was made: the same may be tried again
        raise
    claim.keep({"data": answer.data, "headers": dict(answer.headers)})
    return answer
