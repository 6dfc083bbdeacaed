"""Translation: one message through a pair of formats, every hop kept, for spec tests and ``gatewright translate``.

Takes a Program, two formats and a wire message; gives the steps wire -> hub -> shaped hub -> wire with the loss report.
It goes the relay's way without its I/O: media are not fetched, nothing is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.errors import CallError, MappingError, Refusal
from engine.hub import shape, usage, validate_decoded
from engine.hub.fold import fold_keys
from engine.hub.stream import assembler, replay
from engine.program import Format, Models, Program, Stream
from engine.program.origins import Origins, own_path, path_text, trace
from engine.program.refused import body_of, for_caller, refused, status_of

Report = list[tuple[str, str]]

KINDS = ("request", "response", "stream")
NOW = 1_700_000_000


@dataclass(slots=True)
class Translation:
    """What came of a message: each step by name in order, the last one's value, and what was lost."""

    steps: list[tuple[str, Any]] = field(default_factory=list)
    report: Report = field(default_factory=list)
    models: Models = field(default_factory=Models)
    """What is known of models."""
    options: dict[str, Any] = field(default_factory=dict)
    """The console's, of which none is set."""

    @property
    def result(self) -> Any:
        """What the target would be sent."""
        return self.steps[-1][1]

    def step(self, name: str, value: Any) -> Any:
        """Keep a step; gives its value."""
        self.steps.append((name, value))
        return value


@dataclass(slots=True)
class WireMessage:
    """A wire message and what goes with it."""

    wire: Any
    path: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    """The hub request that an answer belongs to."""
    ctx: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    """Of an answer."""


def translate(program: Program, source: str, target: str, what: str, message: WireMessage) -> Translation:
    """Carry a message from one format to another."""
    out = Translation(models=program.models, options=program.told({}))
    here, there = program.formats[source], program.formats[target]
    out.step(f"{source} {what}", message.wire)
    if what == "request":
        _request(out, here, there, message)
    elif what == "response":
        _response(out, here, there, message)
    else:
        _stream(out, here, there, message)
    return out


def context(here: Format, there: Format, message: WireMessage, out: Translation, *, answer: bool) -> dict[str, Any]:
    """ctx as the relay would give it; for an answer the caller speaks the target format."""
    caller, provider = (there, here) if answer else (here, there)
    model = message.request.get("model") if answer else _model(message)
    base = {
        "request_id": "req-test",
        "now": NOW,
        "asked": model,
        "model": model,
        "format": caller.name,
        "target": provider.name,
        "provider": "test",
    }
    ctx = {**base, **message.ctx}
    return {"traits": out.models.traits(str(ctx["model"] or "")), "options": out.options, **ctx}


def _model(message: WireMessage) -> Any:
    body = message.wire if isinstance(message.wire, dict) else {}
    return body.get("model") or message.path.get("model")


def _request(out: Translation, here: Format, there: Format, message: WireMessage) -> None:
    ctx = context(here, there, message, out, answer=False)
    if here.decode_request is None or there.encode_request is None:
        raise CallError("bad_request", f"{here.name} has no request.decode, or {there.name} no request.encode")
    body = fold_keys(message.wire, here.keys) if here.keys else message.wire
    _valid(here, message.wire, body)
    _leftovers(out, here, body)
    others = (message.path, message.query, message.header, ctx)
    try:
        hub = out.step("hub request", here.decode_request(out.report, body, *others))
    except MappingError as ex:
        raise Origins(message.wire, body).told(ex) from ex
    try:
        shaped, _ = shape.shape(hub, there.shape, ctx, out.report, native=_native(there), reads=there.hub_reads)
        out.step("shaped hub request", shaped)
        out.step(f"{there.name} request", there.encode_request(out.report, shaped, ctx))
        out.report = here.places.named(out.report, message.wire, body)
    except (Refusal, MappingError) as ex:
        raise trace(message.wire, body, hub, here.decode_request, *others).told(ex) from ex


def _native(there: Format) -> set[str]:
    """Formats whose opaque parts the target can take."""
    return {there.name, there.passthrough_as}


def _valid(here: Format, wire: Any, body: Any) -> None:
    schema = here.request_schema
    if schema is None or schema.is_valid(body):
        return
    fault = next(iter(schema.iter_errors(body)))
    at = path_text(own_path(wire, body, tuple(fault.instance_path))) or "the body"
    raise CallError("bad_request", f"{at}: {fault.message}", param=at)


def _leftovers(out: Translation, here: Format, body: Any) -> None:
    """Wire fields that decode doesn't read: dropped with a report, or refused."""
    for key in body if isinstance(body, dict) else ():
        if body[key] is None or key in here.request_reads:
            continue
        if key in here.meant:
            raise CallError("bad_request", f"{key}: another format can't carry it", param=key)
        out.report.append((key, "dropped: another format can't carry it"))


def _response(out: Translation, here: Format, there: Format, message: WireMessage) -> None:

    ctx = context(here, there, message, out, answer=True)
    if here.decode_response is None or there.encode_response is None:
        raise CallError("bad_request", f"{here.name} has no response.decode, or {there.name} no response.encode")
    body = fold_keys(message.wire, here.keys) if here.keys else message.wire
    failed = refused([here.error.rules], here.error.decode, message.status, message.header, message.wire)
    if failed is not None:
        _refusal(out, here, there, failed[0], ctx)
        return
    hub = validate_decoded.answer(here.decode_response(out.report, body, message.header, message.request, ctx))
    counts = here.usage.at([], body, "", message.header) if here.usage.at else None
    if counts:
        hub["usage"] = usage.normalise(counts, here.usage.counts, None)
    out.step("hub response", hub)
    prepared = replay.prepare(hub, there.stream, native=_native(there), report=out.report)
    losses = here.fields.loss_finder(there.name, there.passthrough_as, there.says)
    losses.look(body)
    out.report += losses.lines()
    settled = out.step("settled hub response", prepared)
    out.step(f"{there.name} response", there.encode_response(out.report, settled, message.request, ctx))


def _refusal(out: Translation, here: Format, there: Format, error: dict[str, Any], ctx: dict[str, Any]) -> None:
    """What the caller is told of an answer that is an error."""
    out.step("hub error", error)
    error = for_caller(error, here, there)
    out.step(f"{there.name} error, status {status_of(there.error, error)}", body_of(there.error, error, ctx))


def assemble(program: Program, source: str, message: WireMessage) -> Translation:
    """A stream as far as the hub: the answer that its events come to."""
    out = Translation(models=program.models, options=program.told({}))
    here = program.formats[source]
    _decoded(out, here, here, None, message)
    return out


def _stream(out: Translation, here: Format, there: Format, message: WireMessage) -> None:
    if there.stream is None:
        raise CallError("bad_request", f"{there.name} has no stream")
    out.step(f"{there.name} stream", _decoded(out, here, there, there.stream, message))


def _decoded(out: Translation, here: Format, there: Format, target: Stream | None, message: WireMessage) -> list[Any]:
    """The steps as far as the hub; gives the target's wire events."""
    if here.stream is None or here.stream.decode is None:
        raise CallError("bad_request", f"{here.name} has no stream.decode")
    ctx = context(here, there, message, out, answer=True)
    line = assembler.Assembler(
        here.stream,
        target,
        plan=usage.Plan(here.usage),
        native=_native(there),
        make_id=lambda: "gen-test",
    )
    losses = None
    if target is not None:
        losses = here.stream.fields.loss_finder(there.name, there.passthrough_as, target.says)
    hub_events: list[Any] = []
    wire: list[Any] = []
    for name, data in map(_event, message.wire if isinstance(message.wire, list) else [message.wire]):
        if data == here.stream.framing.get("done"):
            events: list[Any] = [{"type": "end"}]
        else:
            folded = fold_keys(data, here.keys) if here.keys else data
            events = here.stream.decode(out.report, name, folded, message.header, message.request, ctx) or []
            why = validate_decoded.not_events(events)
            if why is not None:
                raise MappingError("event", why)
            if losses is not None:
                losses.look(folded)
        hub_events += events
        _encode(wire, line.feed(events), target, line, message, ctx, out.report)
    _encode(wire, line.close(), target, line, message, ctx, out.report)
    out.report += line.report + (losses.lines() if losses is not None else [])
    out.step("hub events", hub_events)
    out.step("hub message", line.message)
    return wire


def _event(item: Any) -> tuple[str | None, Any]:
    """A wire event: its data, or {event, data}."""
    if isinstance(item, dict) and set(item) == {"event", "data"}:
        return item["event"], item["data"]
    return None, item


def _encode(
    wire: list[Any],
    emitted: Any,
    target: Stream | None,
    line: assembler.Assembler,
    message: WireMessage,
    ctx: dict[str, Any],
    report: Report,
) -> None:
    for name, event, part, item in emitted:
        function = target.encode.get(name) if target is not None else None
        if function is not None:
            wire.extend(function(report, event, part, item, line.message, message.request, ctx) or [])
