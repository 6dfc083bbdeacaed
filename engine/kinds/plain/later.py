"""Answers that are tasks at their provider: it is asked until its task has ended, and its last answer is the call's.

How it is asked says the Task document of a plain format, and for how long a caller waits. What is not done by then, or
has no caller any more, is cancelled where that can be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine.jsonbytes import dumps
from engine.kinds.task.asking import address
from engine.relay.upstream.answer import accepted
from engine.relay.upstream.failure import UNREADABLE, UpstreamFailure
from engine.relay.upstream.refusal import parse, unreadable
from engine.relay.upstream.send import begin, failure
from engine.transport import faults
from engine.transport.leg import Handle

if TYPE_CHECKING:
    from engine.program import TaskQuestion, TaskRules
    from engine.relay.call import Call
    from engine.relay.services import Services
    from engine.routing.attempt import Attempt

_MOST = 64 * 1024 * 1024
_GROWS = 1.3


def finished(
    services: Services, call: Call, attempt: Attempt, headers: Mapping[str, str], body: dict[str, Any], handle: Handle
) -> dict[str, Any]:
    """The answer of a task that a provider has begun; the body itself where its answers are none."""
    rules = call.program.tasks.get(attempt.format.name)
    if rules is None:
        return body
    try:
        submission = rules.submitted(attempt.outcome.report, body, headers, call.body, call.ctx(attempt)) or {}
    except UNREADABLE as ex:
        raise UpstreamFailure(unreadable(ex, call, attempt)) from ex
    state, name = rules.state(submission.get("status")), str(submission.get("id") or "")
    if state == "SUCCESS":
        return body
    if not name:
        raise UpstreamFailure({"meaning": "unknown", "message": "the provider took the task and told no id of it"})
    asking = _Asking(services, call, attempt, rules, name)
    try:
        return asking.until_done(handle)
    except BaseException:
        if not asking.ended:
            asking.cancel()
        raise


class _Asking:
    """One task, asked for again and again. ``ended``: its provider says so."""

    def __init__(self, services: Services, call: Call, attempt: Attempt, rules: TaskRules, name: str) -> None:
        self._services, self._call, self._attempt, self._rules, self._name = services, call, attempt, rules, name
        self.ended = False

    def until_done(self, handle: Handle) -> dict[str, Any]:
        """Its last answer. Raises ``UpstreamFailure``."""
        rules, over = self._rules, threading.Event()
        end, interval = time.monotonic() + rules.within, rules.follow.first
        handle.ender = over.set
        while (left := end - time.monotonic()) > 0 and not handle.aborted:
            over.wait(min(interval, left))
            interval = min(interval * _GROWS, max(rules.follow.first, rules.follow.most))
            body, told = self._ask(rules.follow, handle)
            state = rules.state(told.get("status"))
            if state == "SUCCESS":
                self.ended = True
                return body
            if state in ("FAILURE", "CANCELLED"):
                self.ended = True
                raise UpstreamFailure(_failed(told))
        message = f"the provider did not finish within {rules.within:g} seconds"
        raise UpstreamFailure({"meaning": "timeout", "message": message})

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if self._rules.cancel is not None:
            with suppress(UpstreamFailure):
                self._ask(self._rules.cancel, Handle())

    def _ask(self, question: TaskQuestion, handle: Handle) -> tuple[dict[str, Any], dict[str, Any]]:
        """The answer to a question, and what it says of the task; one that tells no state may be a refusal."""
        call, attempt = self._call, self._attempt
        task = {"id": self._name, "model": attempt.model, "request": call.body, "words": {}}
        subject: Any = [self._name] if question is self._rules.follow else self._name
        body = question.body([], subject, task, call.ctx(attempt)) if question.body is not None else None
        path = address(attempt, question.path, {"id": self._name, "model": attempt.model})
        described = {"content-type": "application/json", **question.headers}
        raw = b"" if body is None else dumps(body)
        answer = begin(self._services, call, attempt, question.method, path, raw, described, handle)
        try:
            content = answer.read(_MOST)
        except faults.TransportError as ex:
            raise failure(ex) from None
        body = parse(content)
        told: dict[str, Any] = {}
        if question.answer is not None and isinstance(body, dict):
            try:
                told = question.answer([], body, answer.headers, call.ctx(attempt)) or {}
            except UNREADABLE as ex:
                raise UpstreamFailure(unreadable(ex, call, attempt)) from ex
        if self._rules.state(told.get("status")) is None:
            body = accepted(call, attempt, answer.status, answer.headers, content or b"{}")
        return body, told


def _failed(told: Mapping[str, Any]) -> dict[str, Any]:
    error = told.get("error")
    error = error if isinstance(error, Mapping) else {"message": error}
    message = str(error.get("message") or "the provider's task failed")[:2000]
    meaning = error.get("meaning") or "unknown"
    return {"meaning": meaning, "message": message, **({"code": error["code"]} if error.get("code") else {})}
