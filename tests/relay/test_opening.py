"""The beginning of streams: given up where nothing is said in time, kept back where a Policy says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.relay import plain
from tests.relay.failing import CHARGED, USED, Play, Site, answer, example, words
from tests.relay.scripted import Say
from tests.relay.test_attempts import DIALECTS
from tests.relay.test_channel_rows import Proxy
from tests.relay.test_passing import body_of
from tests.support import PATIENCE

pytestmark = pytest.mark.xdist_group("opening")
QUIET = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: quiet}
spec: {timeouts: {idle: 4}}
"""
PATIENT = {"headers": {"x-patience": "yes"}}


@pytest.fixture(scope="module", params=[("openai.chat", "anthropic.messages"), ("anthropic.messages", "openai.chat")])
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(
        tmp_path_factory.mktemp("opening"), example("first-word"), example("hold"), QUIET, formats=request.param
    )
    yield made
    made.close()


def parts(site: Site) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Opening, words and end of the first upstream's stream."""
    fmt = site.formats["first"]
    listed = (
        plain.opening(fmt, USED["first"]),
        plain.speech(fmt, words("first")),
        plain.closing(fmt, words("first"), USED["first"]),
    )
    return tuple([plain.wire(event) for event in each] for each in listed)  # type: ignore[return-value]


def saying(*pieces: bytes, then: Play | None = None) -> Play:
    """Say these pieces, one by one, and then what comes of it; nothing: silence until the caller has left."""

    def play(say: Say) -> None:
        say.events(*pieces, pause=0.02, end=False)
        if then is None:
            say.wait_until_left(PATIENCE)
            raise OSError
        then(say)

    return play


def cut(say: Say) -> None:
    raise OSError


def check_second(site: Site, reply: Any, why: str) -> None:
    assert reply.status_code == 200
    assert "second:Hello" in reply.text
    assert "first:" not in reply.text
    row = site.row(reply)
    assert (row.quota, row.input, row.output) == (CHARGED["second"], *USED["second"])
    assert row.other["channel"] == "second"
    assert row.other["admin_info"]["failed"] == [["first", why]]
    assert site.asked == (1, 1)


def test_a_stream_that_begins_and_says_nothing_is_given_up_for_the_next_channel(site: Site) -> None:
    opening, _, _ = parts(site)
    site.play(saying(*opening))
    began = time.monotonic()
    check_second(site, site.ask(streamed=True), "timeout")
    assert time.monotonic() - began >= 2.9
    assert site.upstreams["first"].got[0].left.wait(PATIENCE), "its connection is closed"


def test_what_comes_meanwhile_is_no_word(site: Site) -> None:
    """Comments, or pings of its format, every now and then: it is silent all the same."""
    opening, _, _ = parts(site)

    def play(say: Say) -> None:
        say.events(*opening, end=False)
        for _ in range(200):
            say.chunk(b": still here\n\n")
            time.sleep(0.1)

    site.play(play)
    check_second(site, site.ask(streamed=True), "timeout")


def test_a_stream_that_has_begun_to_speak_has_all_the_time_of_the_world(site: Site) -> None:
    opening, said, ending = parts(site)

    def play(say: Say) -> None:
        say.events(*opening, said[0], end=False)
        time.sleep(3.5)
        say.chunk(b"".join([*said[1:], *ending]))
        say.end()

    site.play(play)
    reply = site.ask(streamed=True)
    assert site.row(reply).quota == CHARGED["first"]
    assert site.asked == (1, 0)


def test_the_last_channel_that_says_nothing_ends_in_one_error_and_costs_nothing(site: Site) -> None:
    opening, _, _ = parts(site)
    second = [plain.wire(event) for event in plain.opening(site.formats["second"], USED["second"])]
    site.play(saying(*opening), saying(*second))
    reply = site.ask(streamed=True)
    assert reply.status_code == 504
    row = site.row(reply)
    assert (row.quota, row.type) == (0, 5)
    assert row.other["error_type"] == "timeout"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("end", ["cut", "error", "silence", "end"])
def test_what_breaks_off_in_what_is_kept_back_is_made_by_another_channel_unseen(
    site: Site, dialect: str, end: str
) -> None:
    opening, said, _ = parts(site)
    broken: dict[str, Play | None] = {
        "cut": cut,
        "silence": None,
        "end": lambda say: say.end(),
        "error": lambda say: (say.chunk(plain.wire(plain.error_event(site.formats["first"]))), say.end())[0],
    }
    site.play(saying(*opening, *said, then=broken[end]))
    path, body = body_of(dialect, "m")
    path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    body = body if dialect == "gemini" else {**body, "stream": True}
    answer = site.gateway.post(path, body, **PATIENT)
    assert "second:Hello" in answer.text
    assert "second: there" in answer.text
    assert "first:" not in answer.text
    assert "broke off" not in answer.text
    assert "busy" not in answer.text
    row = site.row(answer)
    assert (row.quota, row.input, row.output) == (CHARGED["second"], *USED["second"])
    assert site.asked == (1, 1)


def test_who_is_not_patient_has_the_first_word_at_once_and_the_error(site: Site) -> None:
    opening, said, _ = parts(site)
    site.play(saying(*opening, *said, then=cut))
    reply = site.ask(streamed=True)
    assert "first:Hello" in reply.text
    assert "second:" not in reply.text
    assert site.asked == (1, 0)


def test_a_whole_stream_that_was_kept_back_is_told_whole_and_charged_once(site: Site) -> None:
    site.play()
    reply = site.ask(streamed=True, **PATIENT)
    assert "first:Hello" in reply.text
    assert "[DONE]" in reply.text
    assert site.row(reply).quota == CHARGED["first"]


def test_no_more_than_so_many_pieces_are_kept_back(site: Site) -> None:
    """The seventh piece is told while the upstream still speaks."""
    fmt = site.formats["first"]
    many = [plain.wire(event) for event in plain.speech(fmt, tuple(f"w{number} " for number in range(8)))]
    site.play(saying(*parts(site)[0], *many, then=lambda say: (say.wait_until_left(1), cut(say))[1]))
    reply = site.ask(streamed=True, **PATIENT)
    assert "w0" in reply.text
    assert "second:" not in reply.text
    assert site.asked == (1, 0)


def test_a_stream_through_a_proxy_that_says_nothing_is_given_up_too(tmp_path: Path) -> None:
    proxy = Proxy()
    more = f"  proxy: http://127.0.0.1:{proxy.port}\n"
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{proxy.port}"}
    site = Site(tmp_path, example("first-word"), first=more, env=env)
    try:
        opening, said, ending = parts(site)
        site.play(saying(*opening))
        check_second(site, site.ask(streamed=True), "timeout")

        def slow(say: Say) -> None:
            say.events(*opening, said[0], end=False)
            time.sleep(3.5)
            say.chunk(b"".join([*said[1:], *ending]))
            say.end()

        site.play(slow)
        assert site.row(site.ask(streamed=True)).quota == CHARGED["first"]
        assert len(proxy.seen) == 2
    finally:
        site.close()
        proxy.close()


def test_a_route_says_how_long_its_calls_wait_whatever_provider_and_policy_say(tmp_path: Path) -> None:
    route = example("quick").replace("groups: [vip]", 'models: ["^m$"]').replace("5, firstToken: 8", "0.5")
    more = "  timeouts: {streamFirstByte: 60, firstByte: 60}\n"
    site = Site(tmp_path, route, QUIET.replace("idle: 4", "streamFirstByte: 60"), first=more)
    try:

        def late(say: Say) -> None:
            time.sleep(2)
            answer("first", say)

        site.play(late)
        check_second(site, site.ask(streamed=True), "timeout")
        assert "first:Hello" in site.ask(streamed=True, model="other").text
        assert "first:Hello" in site.ask().text, "it is for streams"
    finally:
        site.close()
