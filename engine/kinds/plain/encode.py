"""What goes up of a plain call: the caller's bytes with what has to differ, or its body in the provider's format."""

from __future__ import annotations

from typing import Any

from engine.errors import CallError
from engine.jsonbytes import dumps
from engine.kinds.plain.batches import cut
from engine.kinds.plain.call import PlainCall, PlainOutbound, hub_of
from engine.relay.upstream.patches import named, patched
from engine.relay.upstream.splice import splice
from engine.routing.attempt import Attempt

_WHY = "the provider does not take it"


def encode(call: PlainCall, attempt: Attempt) -> PlainOutbound:
    """What goes up in an attempt; raises ``CallError`` where the provider's format can't be made of it."""
    same = call.format.passthrough_as == attempt.format.passthrough_as
    batch = attempt.channel.provider.formats[attempt.format.name].batch
    hubs = cut(_hub(call), batch) if batch and call.form is None else []
    if same and len(hubs) < 2:
        return _same(call, attempt)
    if attempt.format.raw_file is not None:
        return _raw_file(call, attempt.format.raw_file)
    first, *rest = hubs or [_hub(call)]
    out = encode_part(call, attempt, first)
    out.report += call.report
    out.rest = rest
    return out


def encode_part(call: PlainCall, attempt: Attempt, hub: dict[str, Any]) -> PlainOutbound:
    """What goes up of a request in the hub's form."""
    out = PlainOutbound(b"", False, hub={**hub, "model": attempt.model})
    target, body = attempt.format, out.hub or {}
    if target.encode_request is not None:
        reads = {path.partition(".")[0] for path in target.hub_reads}
        out.report += [(name, _WHY) for name in body if name not in reads and name not in ("model", "user")]
        body = target.encode_request(out.report, body, call.ctx(attempt))
    out.body = dumps(patched(attempt, body, out.report, guarded=False, options=call.snapshot.values))
    return out


def _same(call: PlainCall, attempt: Attempt) -> PlainOutbound:
    out = PlainOutbound(b"", True)
    body = named(call, attempt, _with_model(call), out.report)
    if known := attempt.format.request_keys:
        gone = [name for name in body if name not in known]
        out.report += [(name, _WHY) for name in gone]
        body = {name: value for name, value in body.items() if name in known} if gone else body
    body = patched(attempt, body, out.report, guarded=False, options=call.snapshot.values)
    if call.form is not None:
        out.body = call.form.changed(call.body, body)
        out.headers = {"content-type": call.form.media_type, "accept": "*/*"}
    else:
        out.body = splice(call.raw, call.body, body)
        if call.format.any_answer:
            out.headers = {"accept": "*/*"}
    return out


def _raw_file(call: PlainCall, field: str) -> PlainOutbound:
    """The bytes of a file as the whole request; the form's other fields are told as lost."""
    part = next((part for part in call.form.files() if part.name == field), None) if call.form is not None else None
    if call.form is None or part is None:
        raise CallError("bad_request", f"{field} is missing: send the file in a part of a form", param=field)
    out = PlainOutbound(call.form.body(part), False, hub=call.body)
    out.headers = {"content-type": part.media_type}
    out.report += [(name, _WHY) for name in call.body if name not in (field, "model", "response_format")]
    return out


def _hub(call: PlainCall) -> dict[str, Any]:
    """The request in the hub's format; made once, however many channels are tried."""
    if call.hub is None:
        decode = call.format.decode_request
        body = _with_model(call) if call.form is None else _with_files(call.body, call.form.inline())
        if decode is not None and hub_of(call.format) != call.format.passthrough_as:
            body = decode(call.report, body, call.path, call.query, call.headers, call.ctx())
        call.hub = body
    return call.hub


def _with_files(fields: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """A form's fields, its files with their bytes; several of one name (`image[]`) stand under that name once."""
    texts = {name: value for name, value in fields.items() if name.removesuffix("[]") not in files}
    return {**texts, **files}


def _with_model(call: PlainCall) -> dict[str, Any]:
    """The body; with the model that the path named, where the format's other endpoints have it in the body."""
    body: dict[str, Any] = call.body
    places = [endpoint.model for endpoint in call.format.endpoints]
    at = call.endpoint.model or ("body", "model")
    if at[0] == "body" or ("body", "model") not in places:
        return body
    return {**body, "model": call.asked}
