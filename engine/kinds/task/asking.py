"""Questions to a vendor about tasks that it has: what became of them, cancel one, where a file lies.

Takes records and gives what was told of each, as Task documents' mappings make it. A question goes with the channel and
the key that made the task. Raises ``UpstreamFailure``, which says nothing of the task itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.jsonbytes import dumps
from engine.kinds.task.call import TaskCall
from engine.kinds.task.record import TaskRecord
from engine.program import Endpoint
from engine.relay.ingress.ids import fresh_id
from engine.relay.upstream.answer import accepted
from engine.relay.upstream.failure import UNREADABLE, UpstreamFailure
from engine.relay.upstream.refusal import parse, unreadable
from engine.relay.upstream.send import begin, failure, worded
from engine.routing.attempt import Attempt
from engine.transport import faults

if TYPE_CHECKING:
    from engine.program import Format, TaskQuestion, TaskRules
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot
    from engine.routing.channel import LiveChannel
    from engine.transport.answer import Answer

_MOST = 64 * 1024 * 1024
"""Bytes of an answer: some vendors put their films into it."""


class Asker:
    """Asks about the tasks of one channel that go with one key and one format."""

    def __init__(self, services: Services, snapshot: Snapshot, channel: LiveChannel, spoken: Format, key: str) -> None:
        self._services = services
        self.rules: TaskRules = snapshot.program.tasks[spoken.name]
        self.call = TaskCall(
            request_id=fresh_id(), started=time.monotonic(), now=int(time.time()), snapshot=snapshot, format=spoken,
            endpoint=Endpoint(spoken.name, "fetch_task", "GET", "/", (), (), None, False, {}, {}), path={}, query={},
            headers={}, ip="",
        )  # fmt: skip
        self.attempt = Attempt(channel, spoken, "", None, {}, "")
        self.attempt.secret = key or None
        self._ctx = self.call.ctx(self.attempt)

    def follow(self, ones: Sequence[TaskRecord]) -> dict[str, Mapping[str, Any]]:
        """What became of tasks, by their vendor's ids; one that the answer says nothing of is not in it."""
        rules = self.rules.follow
        answer = self._ask(rules, ones[0], [task.vendor_id for task in ones])
        if rules.many > 1:
            listed = answer if isinstance(answer, list) else []
            by_id = {str(entry.get("id")): entry for entry in listed if isinstance(entry, Mapping)}
        else:
            by_id = {ones[0].vendor_id: answer} if isinstance(answer, Mapping) else {}
        if self.rules.file is not None:
            self._files(ones, by_id)
        return by_id

    def cancel(self, one: TaskRecord) -> Mapping[str, Any]:
        """Cancel a task; what the answer says of it."""
        assert self.rules.cancel is not None
        answer = self._ask(self.rules.cancel, one, [one.vendor_id])
        return answer if isinstance(answer, Mapping) else {}

    def ask(self, question: TaskQuestion, one: TaskRecord) -> Any:
        """What is told of a task beside its state."""
        return self._ask(question, one, [])

    def path(self, path: str, one: TaskRecord, **more: str) -> str:
        """A path of the document about a task, whose model may decide on its region."""
        self.attempt.model = str(one.own.get("model") or "")
        words = {name: str(value) for name, value in (one.own.get("words") or {}).items() if value is not None}
        words |= {"id": one.vendor_id, "model": self.attempt.model, **more}
        return address(self.attempt, path, words)

    def _files(self, ones: Sequence[TaskRecord], by_id: dict[str, Mapping[str, Any]]) -> None:
        question = self.rules.file
        assert question is not None
        for task in ones:
            answer = by_id.get(task.vendor_id)
            if answer and answer.get("file") and self.rules.state(answer.get("status")) == "SUCCESS":
                results = self._ask(question, task, [], file=str(answer["file"]))
                by_id[task.vendor_id] = {**answer, "results": results}

    def _ask(self, question: TaskQuestion, record: TaskRecord, ids: list[str], **words: str) -> Any:
        """What the answer says, as the question's mapping has it."""
        body = None
        if question.body is not None:
            own = record.own
            task = {"id": record.vendor_id, "model": own.get("model"), "request": own.get("request") or {},
                    "words": own.get("words") or {}, "action": record.action}  # fmt: skip
            subject = ids if question is self.rules.follow else record.vendor_id
            body = question.body([], subject, task, self._ctx)
        described = {"content-type": "application/json", **question.headers}
        raw = b"" if body is None else dumps(body)
        answer = begin(
            self._services,
            self.call,
            self.attempt,
            question.method,
            self.path(question.path, record, **words),
            raw,
            described,
        )
        try:
            content = answer.read(_MOST)
        except faults.TransportError as ex:
            raise failure(ex) from None
        if content.lstrip()[:1] == b"[":
            content = b'{"list":' + content + b"}"
        return self._read(question, answer, content)

    def _read(self, question: TaskQuestion, answer: Answer, raw: bytes) -> Any:
        """A task that failed is an answer, though it tells an error; what tells no state may be a refusal."""
        body = parse(raw)
        try:
            decoded = None
            if isinstance(body, dict) and question.answer is not None:
                decoded = question.answer([], body, answer.headers, self._ctx)
            if not isinstance(decoded, dict) or self.rules.state(decoded.get("status")) is None:
                accepted(self.call, self.attempt, answer.status, answer.headers, raw or b"{}")
        except UNREADABLE as ex:
            raise UpstreamFailure(unreadable(ex, self.call, self.attempt)) from ex
        return decoded


def address(attempt: Attempt, path: str, words: Mapping[str, str]) -> str:
    """A path of a Task document at an attempt's channel, with its words."""
    hop = attempt.channel.provider.formats[attempt.format.name].path
    hop, mark, query = hop.partition("?")
    template = path.replace("{submit}", hop).replace("{beside}", hop.rpartition("/")[0])
    # What every address of such a provider has, as a version, stands in its query.
    suffix = f"{'&' if '?' in template else '?'}{query}" if mark and template != path else ""
    return attempt.channel.path(worded(template, words) + suffix)


def spoken_of(snapshot: Snapshot, channel: LiveChannel, one: TaskRecord) -> Format | None:
    """The format in which a task was made; of one that an older program made, its provider's first."""
    program = snapshot.program
    name = one.own.get("format")
    if name in channel.provider.formats and name in program.tasks:
        return program.formats[name]
    offered = (program.formats[format_name] for format_name in channel.provider.formats if format_name in program.tasks)
    return next((spoken for spoken in offered if spoken.task is not None and spoken.task.rows == one.rows), None)


def key_of(channel: LiveChannel, one: TaskRecord) -> str:
    """The key that made a task; the channel's own where it is not known, or not there any more."""
    return channel.noted_key(one.own.get("key")) or str(one.private.get("key") or channel.key() or "")


def channel_of(snapshot: Snapshot, one: TaskRecord) -> LiveChannel | None:
    """The channel that made a task, if it is in use."""
    return snapshot.table.noted(one.channel_id, one.own.get("channel"))
