"""A kind of call that exists for the tests alone: bytes go up as they came, and bytes come back.

That it is written without a line in relay, routing or ledger is what it proves.
"""

from __future__ import annotations

import time
from typing import Any

from engine.relay.call import Call, Reply
from engine.relay.ingress.body import asked_model, read_body
from engine.relay.kind import Estimate, Kind, Outbound
from engine.relay.upstream.answer import headers_back, note_id, read_whole

_BYTES = "application/octet-stream"


class Bytes(Kind[Call, Outbound]):
    """A token is four bytes, of what goes up and of what comes back."""

    name = "x-bytes"
    call = Call

    def read(self, call: Call, environ: dict[str, Any]) -> Reply | None:
        call.raw = read_body(environ, self.services.settings.max_request_body)
        call.asked = asked_model(call, call.endpoint)
        return None

    def estimate(self, call: Call) -> Estimate:
        return Estimate(len(call.raw) // 4, 0)

    def encode(self, call: Call, attempt: Any) -> Outbound:
        described = {
            "content-type": call.headers.get("content-type", _BYTES),
            "accept": "*/*",
            "x-model": attempt.model,
        }
        return Outbound(call.raw, True, headers=described)

    def deliver(self, call: Call, attempt: Any, out: Outbound, answer: Any, handle: Any, unwatch: Any, *, spare: bool):  # type: ignore[no-untyped-def]
        note_id(attempt, answer.headers)
        raw = yield from read_whole(answer, 0.0)
        attempt.outcome.first_byte = time.monotonic()
        attempt.outcome.usage = _usage(len(call.raw) // 4, len(raw) // 4)
        unwatch()
        media_type = answer.headers.get("content-type", _BYTES)
        return Reply(200, [("content-type", media_type), *headers_back(call, attempt, answer.headers, same=True)], raw)

    def left(self, call: Call, attempt: Any) -> None:
        attempt.outcome.usage = _usage(len(call.raw) // 4, 0)


def _usage(sent: int, told: int) -> dict[str, int]:
    return {
        "input_fresh": sent, "input_total": sent, "output_text": told, "output_total": told, "total": sent + told
    }  # fmt: skip
