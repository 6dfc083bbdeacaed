"""The kind of call that makes something that its provider keeps; what is asked of it later is ``operations``'s.

It is free: a row of the log says who made what where. A file of requests is measured on its way, so that whoever has
them carried out knows what they may use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallError
from engine.kinds.kept import operations, owned
from engine.kinds.kept.call import KeptCall
from engine.kinds.kept.requests import Measuring, measure, renamed
from engine.kinds.plain.form import MEDIA_TYPE, read_form
from engine.relay.call import Reply
from engine.relay.dialect import JSON
from engine.relay.ingress.body import check_schema, parsed, read_at, receive
from engine.relay.kind import Estimate, Kind, Outbound
from engine.relay.upstream.answer import accepted, headers_back, note_id, read_whole
from engine.relay.upstream.patches import named, patched
from engine.relay.upstream.splice import splice
from engine.routing.candidates import candidates
from engine.transport.spool import steps

if TYPE_CHECKING:
    from engine.kinds.plain.form import Part
    from engine.program import KeptRules
    from engine.relay.services import Services
    from engine.routing.attempt import Attempt
    from engine.transport.leg import Answer, Handle
    from engine.transport.waiting import Waiting


class Kept(Kind[KeptCall, Outbound]):
    """See the module."""

    name = "kept"
    call = KeptCall

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.operations = {
            "ask_kept": partial(operations.ask, services),
            "list_kept": partial(operations.list_page, services),
        }

    def read(self, call: KeptCall, environ: dict[str, Any]) -> Reply | None:
        kind = call.headers.get("content-type", "")
        if call.format.form and (not call.format.form_or_json or kind.lower().lstrip().startswith(MEDIA_TYPE)):
            settings = self.services.settings
            call.form = read_form(receive(environ, settings.max_request_body, settings.data), kind)
            call.body = call.form.fields()
        elif (elsewhere := parsed(self.services, call, environ)) is not None:
            return elsewhere
        check_schema(call, call.body)
        self._measure(call)
        call.asked = self._model(call)
        return None

    def _measure(self, call: KeptCall) -> None:
        """What the requests in a file may use."""
        rules = _rules(call).requests
        if rules is None or call.form is None or (rules.when is not None and not rules.when([], call.body)):
            return
        part, terms = _file(call, rules.file), call.snapshot.terms
        measuring = Measuring(call.program, rules, usual=terms.max_tokens, most=terms.batch_output)
        call.work = measure(measuring, steps(call.form.body(part)), rules.file)

    def _model(self, call: KeptCall) -> str:
        """The model whose channel is to keep it: named, or that of the requests in it, or any that goes."""
        where = call.endpoint.model
        model = read_at(call, where) if where else None
        if model is not None and not isinstance(model, str):
            raise CallError("bad_request", f"{where[-1] if where else 'model'} must be a text", param="model")
        return model or (call.work.model if call.work is not None else self._any(call))

    def _any(self, call: KeptCall) -> str:
        """A model of a channel that keeps such things for the caller."""
        assert call.account is not None
        snapshot, account = call.snapshot, call.account
        pinned = snapshot.table.by_id.get(call.pinned or 0)
        if call.pinned is not None:
            return min(pinned.models, default="-") if pinned is not None else "-"
        groups = snapshot.groups.groups(account)
        for model in snapshot.table.models(groups):
            call.asked = model
            if account.model_limits is not None and model not in account.model_limits:
                continue
            if snapshot.book.find(model) is None and not snapshot.unpriced:
                continue
            if any(candidates(call, call.program, snapshot.table, group, (model,)) for group in groups):
                return model
        raise CallError(
            "not_found",
            f"no channel that serves this API key takes {call.format.name} requests",
            code="no_available_channel",
        )

    def estimate(self, call: KeptCall) -> Estimate:
        """Nothing: what is kept costs nothing here, whatever calls for its model cost."""
        call.book = call.rule = None
        return Estimate(0, 0)

    def encode(self, call: KeptCall, attempt: Attempt) -> Outbound:
        out = Outbound(b"", True)
        if call.form is None:
            body = patched(attempt, call.body, out.report, guarded=False, options=call.snapshot.values)
            out.body = splice(call.raw, call.body, body)
            return out
        rules = _rules(call).requests
        body = patched(attempt, call.body, out.report, guarded=False, options=call.snapshot.values)
        out.headers = {"content-type": call.form.media_type, "accept": "*/*"}
        out.body = call.form.changed(call.body, body)
        without = attempt.channel.provider.formats[attempt.format.name].paths_without
        other_name = attempt.model != call.asked or attempt.alias is not None
        if call.work is not None and rules is not None and (other_name or without):
            part = _file(call, rules.file)
            change = partial(named, call, attempt, report=out.report)
            other = renamed(steps(call.form.body(part)), rules, change, self.services.settings.data, without)
            out.body = call.form.with_file(part, other)
            out.report = list(dict.fromkeys(out.report))
        return out

    def deliver(
        self,
        call: KeptCall,
        attempt: Attempt,
        out: Outbound,
        answer: Answer,
        handle: Handle,
        unwatch: Callable[[], None],
        *,
        spare: bool,
    ) -> Waiting[Reply]:
        note_id(attempt, answer.headers)
        raw = yield from read_whole(answer, 0.0)
        attempt.outcome.first_byte = time.monotonic()
        body = accepted(call, attempt, answer.status, answer.headers, raw)
        facts = {"work": call.work.facts()} if call.work is not None else {}
        owned.note(self.services, owned.told(call, attempt, _rules(call), body, **facts))
        unwatch()
        back = headers_back(call, attempt, answer.headers, same=True)
        return Reply(200, [("content-type", JSON), *back], raw)

    def left(self, call: KeptCall, attempt: Attempt) -> None:
        """Nothing is charged."""


def _rules(call: KeptCall) -> KeptRules:
    if call.format.kept is None:
        raise CallError("internal", f"the format {call.format.name} says nothing of what it keeps")
    return call.format.kept


def _file(call: KeptCall, name: str) -> Part:
    part = next((part for part in call.form.files() if part.name == name), None) if call.form is not None else None
    if part is None:
        raise CallError("bad_request", f"{name} is missing: send the file in a part of the form", param=name)
    return part
