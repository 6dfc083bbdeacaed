"""How messages leave: to a person on the way of its choice, to a webhook, to a caller's own address.

What is sent is built when it leaves, out of the setting of that moment: so no secret lies in the outbox, and a dead
letter that is sent again goes where the mended setting says. All calls go through the guard for addresses that callers
name, so nothing inside is reached that an operator did not open for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from engine.accounts.mail import MailFailed, Server
from engine.accounts.people import Person
from engine.errors import MappingError, Refusal
from engine.notices.ground import Ground, reader, tongue, way_of
from engine.outbox import Outcome, posting
from engine.outbox.sending import SENT
from engine.program.outside.notices import Notice, NoticeCall, NoticeMail
from engine.storage.database import Database
from engine.storage.rows import people
from engine.storage.rows.work import webhooks
from engine.storage.rows.work.outbox import Message
from engine.storage.values import ENABLED
from engine.transport.leg import Pool

_TITLE, _TEXT = 200, 2_000
_MONEY = {"units": "money", "threshold": "threshold_money"}
"""Quota units among an event's values, and the name under which words find them in dollars."""
_JSON = ("content-type", "application/json")
_FORM = ("content-type", "application/x-www-form-urlencoded")


class Sending:
    """See the module. Each method is the sender of a kind of message."""

    def __init__(self, db: Database, pool: Pool, ground: Callable[[], Ground]) -> None:
        self._db, self._pool, self._ground = db, pool, ground

    def to_person(self, message: Message) -> Outcome:
        """A notice; who has gone or is switched off is not told."""
        ground, user = self._ground(), message.body.get("user")
        row = people.by_id(self._db, user) if type(user) is int else None
        event = ground.events.get(message.about)
        if row is None or row.get("status") != ENABLED or event is None:
            return SENT
        person = Person(row)
        way = way_of(ground, person)
        if way is None:
            return Outcome(False, "the chosen way is not there any more", again=False)
        lacking = way.lacks(person.setting, ground.options)
        if lacking:
            return Outcome(False, f"{way.name} is not set up: {', '.join(lacking)} is missing", again=False)
        try:
            return self._on_way(ground, way, person, self._notice(ground, event, person, message))
        except (MappingError, Refusal) as error:
            return Outcome(False, f"Notice/{way.name} can't be built: {error}"[:200], again=False)

    def to_webhook(self, message: Message) -> Outcome:
        """An event as a webhook of the operator gets it; one that is gone or switched off gets nothing."""
        which = message.body.get("webhook")
        row = webhooks.one(self._db, which) if type(which) is int else None
        if row is None or not row["enabled"]:
            return SENT
        values, at = message.body.get("values"), message.body.get("at")
        body = {"id": message.message, "type": message.about, "created_at": at, "data": values}
        return self._signed(message, str(row["url"] or ""), webhooks.secret_of(self._db, row), body)

    def _signed(self, message: Message, url: str, secret: str, body: Any) -> Outcome:
        raw = orjson.dumps(body)
        headers = [_JSON, *posting.signed(secret, message.message, int(time.time()), raw)]
        return posting.call(self._pool, "POST", url, headers, raw)[0]

    def _notice(self, ground: Ground, event: Notice, person: Person, message: Message) -> dict[str, Any]:
        """What ways read of a notice: its words in the reader's language, and where they come from."""
        values = message.body.get("values")
        values = dict(values) if isinstance(values, dict) else {}
        facts = {**values, **{name: ground.dollars(values[key]) for key, name in _MONEY.items() if key in values}}
        assert event.words is not None
        words = event.words([], tongue(person), facts, ground.site)
        words = words if isinstance(words, dict) else {}
        return {
            "id": message.message,
            "event": event.name,
            "title": " ".join(str(words.get("title") or event.name).split())[:_TITLE],
            "text": str(words.get("text") or "")[:_TEXT],
            "values": values,
            "language": tongue(person),
            "site": ground.site,
            "at": message.body.get("at") or message.created_at,
        }

    def _on_way(self, ground: Ground, way: Notice, person: Person, notice: dict[str, Any]) -> Outcome:
        setting, options, who = way.own(person.setting), way.read(ground.options), reader(person)
        arguments = (setting, options, who, notice, int(time.time()))
        if way.mail is not None:
            return self._mail(ground, way.mail, arguments)
        assert way.send is not None
        return self._call(way, way.send, arguments)

    def _mail(self, ground: Ground, mail: NoticeMail, arguments: tuple[Any, ...]) -> Outcome:
        server, notice = Server.of(ground.value), arguments[3]
        to = str(mail.to([], *arguments[:3]) or "")
        if server is None or not to:
            return Outcome(False, "there is no mail server, or no address", again=False)
        html = str(mail.html([], *arguments) or "") if mail.html else ""
        subject, text = str(mail.subject([], *arguments) or ""), str(mail.text([], *arguments) or "")
        try:
            server.send(to, " ".join(subject.split()), text, html=html, message=notice["id"])
        except MailFailed:
            return Outcome(False, "the mail server took no mail; the log says why")
        return SENT

    def _call(self, way: Notice, call: NoticeCall, arguments: tuple[Any, ...]) -> Outcome:
        method = str(call.method([], *arguments) or "") if call.method else "POST"
        if method not in ("GET", "POST"):
            return Outcome(False, f"Notice/{way.name} asks for {method[:10]}: it can be GET or POST", again=False)
        kind, body = _body(call, arguments)
        fields = call.headers([], *arguments, body.decode()) if call.headers else {}
        headers = [*kind, *_headers(fields if isinstance(fields, Mapping) else {})]
        url = str(call.url([], *arguments) or "")
        outcome, raw = posting.call(self._pool, method, url, headers, body)
        if not outcome.sent or way.works is None:
            return outcome
        try:
            accepted = way.works([], orjson.loads(raw)) is True
        except (orjson.JSONDecodeError, MappingError):
            accepted = False
        return SENT if accepted else Outcome(False, f"{way.title} answered that it did not take it", again=False)


def _body(call: NoticeCall, arguments: tuple[Any, ...]) -> tuple[list[tuple[str, str]], bytes]:
    if call.form is not None:
        fields = call.form([], *arguments) or {}
        return [_FORM], urlencode({name: value for name, value in fields.items() if value is not None}).encode()
    value = call.json([], *arguments) if call.json else None
    return ([_JSON], orjson.dumps(value)) if value is not None else ([], b"")


def _headers(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Those that say something, each in one line."""
    return [(str(name).lower(), " ".join(str(value).split())) for name, value in fields.items() if value is not None]
