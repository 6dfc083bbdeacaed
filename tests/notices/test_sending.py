"""Every way to receivers as strict as the services' pages: what they would refuse, the test's receiver refuses."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import policy
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from aiosmtpd.controller import Controller

from engine.accounts.people import Person
from engine.notices.sending import Sending
from engine.notices.telling import TO_PERSON, TO_WEBHOOK
from engine.outbox import Outcome, posting
from engine.program.outside.notices import Notice, NoticeCall
from engine.storage.rows.work import webhooks
from engine.storage.rows.work.outbox import Message
from engine.transport.egress import Guard
from engine.transport.leg import Pool
from tests.notices.conftest import Place
from tests.relay.scripted import Arrived, Say, Upstream
from tests.support import free_port

NASTY = "<b>x</b> & *y* <at user_id=\"all\"></at> <!channel> 'q'\r\nBcc: z@example.org"
ID = "0123456789abcdef0123456789abcdef"


def message(kind: str, about: str = "channel.aside", **body: Any) -> Message:
    return Message(1, ID, kind, "t", about, body, 0, int(time.time()))


def aside(person: Person, name: str = "c1") -> Message:
    values = {"channel": 7, "name": name, "reason": "status 401"}
    return message(TO_PERSON, user=person.id, values=values, at=1_700_000_000)


def hashed(key: str, text: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), hashlib.sha256)).decode()


# -- strict receivers: an empty text where all is well, else what is wrong


def webhook(got: Arrived) -> str:
    at, secret = got.headers["webhook-timestamp"], "topsecret"
    if abs(int(at) - time.time()) > 300 or got.headers["webhook-id"] != ID:
        return "an old one"
    if got.headers["x-webhook-signature"] != hmac.digest(secret.encode(), got.body, "sha256").hex():
        return "not signed as the family's receivers know it"
    text = f"{ID}.{at}.{got.body.decode()}"
    if got.headers["webhook-signature"] != f"v1,{hashed(secret, text)}":
        return "not signed"
    known = {"type", "title", "content", "values", "timestamp"}
    return "" if known <= got.json.keys() and isinstance(got.json["values"], list) else "no form"


def gotify(got: Arrived) -> str:
    body = got.json
    if got.path != "/message" or got.headers.get("x-gotify-key") != "token":
        return "unauthorized"
    return "" if body["message"] and type(body["priority"]) is int and 0 <= body["priority"] <= 10 else "bad"


def bark(got: Arrived) -> str:
    return "" if got.path == "/push-key" and got.method == "POST" and got.json["title"] and got.json["body"] else "bad"


def telegram(got: Arrived) -> str:
    body = got.json
    if got.path != "/bot12:ab/sendMessage" or body["chat_id"] != "4711":
        return "not found"
    if len(body["text"]) > 4096 or body["parse_mode"] != "HTML":
        return "too long"
    rest = body["text"].replace("<b>", "").replace("</b>", "")
    return "can't parse entities" if "<" in rest or body["text"].count("<b>") != 1 else ""


def slack(got: Arrived) -> str:
    return "" if got.json.keys() == {"text"} and "<" not in got.json["text"] else "invalid_payload"


def feishu(got: Arrived) -> str:
    body = got.json
    if body["msg_type"] != "text" or "<at" in body["content"]["text"]:
        return "bad request"
    good = hashed(f"{body['timestamp']}\nfs-secret", "") == body["sign"]
    return "" if good and abs(int(body["timestamp"]) - time.time()) < 3600 else "sign match fail"


def dingtalk(got: Arrived) -> str:
    query = {name: one[0] for name, one in parse_qs(urlsplit(got.path).query).items()}
    if query["access_token"] != "a" or abs(int(query["timestamp"]) / 1000 - time.time()) > 3600:
        return "invalid timestamp"
    if query["sign"] != hashed("SECx", f"{query['timestamp']}\nSECx"):
        return "sign not match"
    return "" if got.json["msgtype"] == "text" and got.json["text"]["content"] else "no content"


Strict = Callable[[Arrived], str]
# The way, what a person sets (`{}` is the receiver's address), who receives, what it says when all is well, when not.
WAYS: dict[str, tuple[dict[str, Any], Strict, Any, tuple[int, Any]]] = {
    "webhook": ({"webhook_url": "{}/hook", "webhook_secret": "topsecret"}, webhook, {}, (401, {})),
    "gotify": ({"gotify_url": "{}/", "gotify_token": "token", "gotify_priority": 8}, gotify, {"id": 3}, (401, {})),
    "bark": ({"bark_url": "{}/push-key"}, bark, {"code": 200}, (400, {})),
    "telegram": ({"telegram_chat_id": "4711"}, telegram, {"ok": True}, (400, {"ok": False})),
    "slack": ({"slack_url": "{}/services/T/B/x"}, slack, b"ok", (400, b"invalid_payload")),
    "feishu": ({"feishu_url": "{}/hook/x", "feishu_secret": "fs-secret"}, feishu, {"code": 0}, (200, {"code": 19021})),
    "dingtalk": (
        {"dingtalk_url": "{}/robot/send?access_token=a", "dingtalk_secret": "SECx"},
        dingtalk,
        {"errcode": 0},
        (200, {"errcode": 310000}),
    ),
}


def test_there_is_a_strict_receiver_for_each_way(documents: dict[str, Notice]) -> None:
    assert {name for name, one in documents.items() if one.send is not None} == WAYS.keys()


def send(place: Place, pool: Pool, which: Message) -> Outcome:
    sending = Sending(place.db, pool, place.ground)
    return sending.to_person(which) if which.kind == TO_PERSON else sending.to_webhook(which)


def towards(place: Place, way: str, receiver: Upstream) -> None:
    """Have a way with an address of its service go to the receiver."""
    one = place.notices[way]
    assert one.send is not None
    before = one.send.url

    def url(*arguments: Any) -> str:
        return str(before(*arguments)).replace("https://api.telegram.org", receiver.base)

    place.notices[way] = replace(one, send=replace(one.send, url=url))


@pytest.mark.parametrize("language", ["en", "zh", "fr", "ja"])
@pytest.mark.parametrize("way", WAYS)
def test_a_strict_receiver_takes_it(small: Place, receiver: Upstream, pool: Pool, way: str, language: str) -> None:
    setting, strict, well, ill = WAYS[way]
    small.options["TelegramBotToken"] = "12:ab"
    towards(small, way, receiver)
    filled = {name: one.replace("{}", receiver.base) if isinstance(one, str) else one for name, one in setting.items()}
    ann = small.person("ann", notify_type=way, language=language, **filled)
    wrong: list[str] = []

    def script(say: Say) -> None:
        wrong.append(strict(say.arrived))
        status, body = ill if wrong[-1] else (200, well)
        say.whole(body, status)

    receiver.script = script
    for name in ("c1", NASTY):
        assert send(small, pool, aside(ann, name)) == Outcome(True), wrong
    assert wrong == ["", ""]
    receiver.script = lambda say: say.whole(ill[1], ill[0])
    outcome = send(small, pool, aside(ann))
    assert not outcome.sent
    assert not outcome.again
    for value in filled.values():
        assert str(value) not in outcome.error


def test_a_bark_address_says_itself_where_the_words_go(small: Place, receiver: Upstream, pool: Pool) -> None:
    url = receiver.base + "/key/{{title}}/{{content}}?group=quota"
    ann = small.person("ann", notify_type="bark", bark_url=url)
    receiver.script = lambda say: say.whole({})
    assert send(small, pool, aside(ann, "a/b?c&d")).sent
    (got,) = receiver.got
    assert (got.method, got.body) == ("GET", b"")
    _, key, title, content = urlsplit(got.path).path.split("/")
    assert (key, unquote(title)) == ("key", "New API: channel set aside: a/b?c&d")
    assert "status 401" in unquote(content)


def test_words_in_four_languages_differ_and_are_whole(documents: dict[str, Notice]) -> None:
    values = {
        "units": 1,
        "threshold": 2,
        "money": "$1.00",
        "threshold_money": "$2.00",
        "key": "k",
        "why": "quota",
        "expires_at": 1_700_000_000,
        "name": "n",
        "period": "day",
        "percent": 80,
        "order": "o",
        "at": 1_700_000_000,
        "ip": "192.0.2.1",
        "agent": "a",
        "channel": 1,
        "reason": "r",
        "machine": "m",
        "fault": "f",
        "release": 3,
        "by": "b",
        "changes": 2,
        "message": "x",
        "canary": 4,
        "state": "dropped",
        "left": 1.5,
        "paid": 100.0,
    }
    for event in (one for one in documents.values() if one.words is not None):
        assert event.words is not None
        for more in ({}, {"why": "time"}):
            told = [event.words([], tongue, {**values, **more}, "Site") for tongue in ("en", "zh", "fr", "ja")]
            assert len({one["text"] for one in told}) == 4, event.name
            assert all(one["title"].startswith("Site") and one["text"] for one in told), event.name
        assert event.words([], "ru", values, "Site") == event.words([], "en", values, "Site")


# -- mail


class Box:
    """A mail server's side."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


@pytest.fixture
def box(small: Place) -> Iterator[Box]:
    one, port = Box(), free_port()
    controller = Controller(one, hostname="127.0.0.1", port=port)
    controller.start()
    small.options |= {"SMTPServer": "127.0.0.1", "SMTPPort": str(port), "SMTPFrom": "site@example.org"}
    yield one
    controller.stop()


def test_a_mail_has_text_and_markup_that_is_safe_and_one_id(small: Place, box: Box, pool: Pool) -> None:
    ann = small.person("ann", email="ann@example.org", language="fr")
    for _ in range(2):
        assert send(small, pool, aside(ann, NASTY)).sent
    first, second = box.mails
    assert first["Message-ID"] == second["Message-ID"] == f"<{ID}@example.org>"
    assert (first["To"], first["Bcc"]) == ("ann@example.org", None)
    assert "mis à l'écart" in first["Subject"]
    assert NASTY.split("\r\n", maxsplit=1)[0] in first.get_body(("plain",)).get_content()
    page = first.get_body(("html",)).get_content()
    assert "&lt;b&gt;x&lt;/b&gt; &amp; *y*" in page
    assert "<at" not in page


def test_an_own_address_goes_before_that_of_the_account(small: Place, box: Box, pool: Pool) -> None:
    ann = small.person("ann", email="ann@example.org", notification_email="other@example.org")
    assert send(small, pool, aside(ann)).sent
    assert [mail["To"] for mail in box.mails] == ["other@example.org"]


def test_a_mail_server_that_refuses_or_is_away_is_asked_again(small: Place, box: Box, pool: Pool) -> None:
    ann = small.person("ann", email="ann@example.org")
    box.answer = "451 later"
    assert send(small, pool, aside(ann)) == Outcome(False, "the mail server took no mail; the log says why")
    small.options["SMTPPort"] = str(free_port())
    assert send(small, pool, aside(ann)).again


# -- what can't leave


def test_nothing_inside_is_called_that_was_not_opened(small: Place, receiver: Upstream) -> None:
    closed = Pool(Guard())
    ann = small.person("ann", notify_type="webhook", webhook_url=f"{receiver.base}/x")
    outcome = send(small, closed, aside(ann))
    assert (outcome.sent, outcome.again) == (False, False)
    assert "127" not in outcome.error
    assert receiver.got == []


def test_who_has_gone_is_not_told_and_what_is_not_set_up_is_a_dead_letter(small: Place, pool: Pool) -> None:
    ann = small.person("ann", notify_type="gotify", gotify_url="http://a.example")
    assert send(small, pool, aside(ann)) == Outcome(False, "gotify is not set up: gotify_token is missing", again=False)
    small.set(ann.id, notify_type="pigeon")
    assert not send(small, pool, aside(ann)).again
    assert send(small, pool, message(TO_PERSON, user=999, values={})).sent
    assert send(small, pool, message(TO_WEBHOOK, webhook=999, values={})).sent


def test_a_document_that_gives_nonsense_is_told(small: Place, receiver: Upstream, pool: Pool) -> None:
    ann = small.person("ann", notify_type="slack", slack_url=receiver.base)
    nothing = dict.fromkeys(("form", "json", "headers"))
    odd = NoticeCall(url=lambda *_: "nonsense", method=lambda *_: "DELETE", **nothing)  # type: ignore[arg-type]
    small.notices["slack"] = replace(small.notices["slack"], send=odd)
    assert "GET or POST" in send(small, pool, aside(ann)).error
    small.notices["slack"] = replace(small.notices["slack"], send=replace(odd, method=None))
    outcome = send(small, pool, aside(ann))
    assert (outcome.sent, outcome.again) == (False, False)


def test_a_webhook_is_told_signed(small: Place, receiver: Upstream, pool: Pool) -> None:
    secret = posting.fresh_secret()
    values = {"name": "h", "url": f"{receiver.base}/h", "secret": secret, "events": "*", "enabled": 1}
    which = webhooks.add(small.db, values)
    receiver.script = lambda say: say.whole({})
    told = message(TO_WEBHOOK, webhook=which, values={"channel": 7}, at=1_700_000_000)
    assert send(small, pool, told).sent
    (got,) = receiver.got
    assert got.json == {"id": ID, "type": "channel.aside", "created_at": 1_700_000_000, "data": {"channel": 7}}
    at = int(got.headers["webhook-timestamp"])
    assert got.headers["webhook-signature"] == dict(posting.signed(secret, ID, at, got.body))["webhook-signature"]
    webhooks.change(small.db, which, {"enabled": 0})
    assert send(small, pool, told).sent
    assert len(receiver.got) == 1
