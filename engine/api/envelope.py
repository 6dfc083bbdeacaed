"""Answers in the envelope of the family's programs: ``success``, ``message``, ``data``; refusals with a ``code``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import falcon
import orjson

from engine.api.reading import BodyTooLargeError, body_of, call_of, unread
from engine.api.refusals import PLAIN, Denied, code_of, refused
from engine.api.route import Answer, Ask
from engine.errors import GatewrightError, Invalid, Unauthenticated
from engine.texts import say, told

_TYPE = "application/json; charset=utf-8"


class Envelope:
    """See the module."""

    def nowhere(self, method: str, path: str, allowed: list[str], resp: falcon.Response) -> None:
        """No route has this path."""
        message = f"Invalid URL ({method} {path})"
        error = {"message": message, "type": "invalid_request_error", "param": "", "code": ""}
        resp.status, resp.content_type, resp.data = 404, _TYPE, orjson.dumps({"error": error})

    def serve(self, ask: Ask, req: falcon.Request) -> Answer:
        """Read the body and do what the route does."""
        if ask.route.raw:
            ask.raw = call_of(ask.route, req.env)
        else:
            ask.body = body_of(ask.route, req.env)
        return ask.route.call(ask)

    def tell(self, ask: Ask, answer: Answer, resp: falcon.Response) -> None:
        """Put an answer into the response."""
        resp.content_type = _TYPE
        resp.status = answer.status
        if answer.stream is not None:
            resp.set_headers(answer.headers)
            resp.stream = answer.stream
        else:
            resp.data = self._enveloped(ask, answer)

    def _enveloped(self, ask: Ask, answer: Answer) -> bytes:
        if answer.whole is not None:
            return answer.whole if isinstance(answer.whole, bytes) else orjson.dumps(answer.whole, default=plain)
        words = say(answer.message, ask.language, **answer.values) if answer.message else ""
        body: dict[str, Any] = {"success": answer.success, "message": words}
        if answer.data is not None or answer.shown:
            body["data"] = answer.data
        body |= answer.beside
        if ask.body and (extra := unread(ask.body, ask.route)):
            body["ignored_fields"] = extra
        return orjson.dumps(body, default=plain, option=orjson.OPT_NON_STR_KEYS)

    def refuse(self, ask: Ask, error: GatewrightError, request_id: str, resp: falcon.Response) -> None:
        """Put a refusal into the response."""
        resp.content_type = _TYPE
        if isinstance(error, BodyTooLargeError):
            resp.status, resp.data, resp.content_type = 413, b"", ""
        elif isinstance(error, PLAIN):
            status = 401 if isinstance(error, Unauthenticated) else 403 if isinstance(error, Denied) else 200
            if isinstance(error, Invalid) and ask.route.broken[0] != status and not ask.body:
                status = ask.route.broken[0]
            status = getattr(error, "status", 0) or status
            body: dict[str, Any] = {"success": False, "message": told(error, ask.language), "code": code_of(error)}
            if isinstance(error, Invalid) and error.field:
                body["field"] = error.field
            resp.status, resp.data = status, orjson.dumps({**body, **getattr(error, "beside", {})})
        else:
            words = refused(error, request_id)
            resp.status = words.status
            if words.wait is not None:
                resp.set_header("retry-after", f"{words.wait:.0f}")
            code = "unavailable" if words.wait is not None else "internal"
            resp.data = orjson.dumps({"success": False, "message": words.message, "code": code})


def plain(value: object) -> Any:
    """What JSON has no word for: exact numbers of some engines, moments, bytes."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
