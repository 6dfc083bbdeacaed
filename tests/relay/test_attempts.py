"""Each way in which an attempt can end, before the caller's first byte and after it, and who is charged for what.

One channel and two, whole and streamed, for the four clients over their own format and another; the books are compared
with what the upstream that answered counted.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.relay import plain
from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream, leave
from tests.relay.test_metering import Row
from tests.relay.test_passing import body_of
from tests.relay.test_streaming import ask, error_in, events
from tests.support import PATIENCE, Gateway, serving, until

pytestmark = pytest.mark.xdist_group("attempts")
DIALECTS = {
    "chat": "openai.chat",
    "responses": "openai.responses",
    "claude": "anthropic.messages",
    "gemini": "gemini.generateContent",
}
USED, PRICED = (100, 40), 260
"""Tokens in and out of an answer, and units by a price of 2 and 8 dollars a million."""
OTHER = {
    "chat": "anthropic.messages",
    "responses": "openai.chat",
    "claude": "gemini.generateContent",
    "gemini": "openai.responses",
}
PAIRS = [(dialect, fmt) for dialect in DIALECTS for fmt in (DIALECTS[dialect], OTHER[dialect])]
POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: attempts}
spec:
  timeouts: {firstByte: 0.4, idle: 0.4}
  retries:
    times: 2
    on: [rate_limit, overloaded, unavailable, upstream_auth, upstream_quota, cut, unknown, timeout, empty]
"""


class Wire:
    """What an upstream of one format says: "Hello there", or nothing."""

    def __init__(self, fmt: str) -> None:
        words = ("Hello", " there")
        self.whole = plain.whole(fmt, "".join(words), USED)
        self.empty = plain.whole(fmt, "", (100, 0))
        self.error = plain.error(fmt)
        self.failing = plain.wire(plain.error_event(fmt))
        self.opening = [plain.wire(event) for event in plain.opening(fmt, USED)]
        self.words = [plain.wire(event) for event in plain.speech(fmt, words)]
        self.ending = [plain.wire(event) for event in plain.closing(fmt, words, USED)]
        self.hush = [plain.wire(event) for event in plain.events(fmt, (), (100, 0))]

    @property
    def stream(self) -> list[bytes]:
        """The whole stream."""
        return [*self.opening, *self.words, *self.ending]


WIRES = {fmt: Wire(fmt) for fmt in plain.FORMATS}
Way = Callable[[Say, Wire], None]


def headless(say: Say, wire: Wire) -> None:
    """The connection ends before a head."""
    raise OSError


def status(say: Say, wire: Wire) -> None:
    say.whole(wire.error, 503)


def silent_head(say: Say, wire: Wire) -> None:
    say.wait_until_left(PATIENCE)


def whole_cut(say: Say, wire: Wire) -> None:
    data = json.dumps(wire.whole).encode()
    say.head(length=len(data))
    say.sock.sendall(data[: len(data) // 2])
    raise OSError


def whole_no_json(say: Say, wire: Wire) -> None:
    say.whole(b"<html>busy</html>", kind="text/html")


def whole_error(say: Say, wire: Wire) -> None:
    say.whole(wire.error)


def whole_empty(say: Say, wire: Wire) -> None:
    say.whole(wire.empty)


def stream_error_first(say: Say, wire: Wire) -> None:
    say.events(wire.failing)


def stream_opening_then_error(say: Say, wire: Wire) -> None:
    say.events(*wire.opening, wire.failing, pause=0.02)


def stream_words_and_error_at_once(say: Say, wire: Wire) -> None:
    say.events(b"".join([*wire.opening, *wire.words, wire.failing]))


def stream_nothing(say: Say, wire: Wire) -> None:
    say.events()


def stream_half_an_event(say: Say, wire: Wire) -> None:
    say.events(wire.words[0][:30], end=False)
    raise OSError


def stream_garbage_first(say: Say, wire: Wire) -> None:
    say.events(b'data: {"id": "c1", "choices": [{"delta": {"con\n\n', *wire.stream)


def stream_broken_gzip(say: Say, wire: Wire) -> None:
    say.head(200, "text/event-stream", content_encoding="gzip")
    say.chunk(gzip.compress(b"".join(wire.stream))[:20] + b"\0" * 20)
    say.end()


def stream_silent(say: Say, wire: Wire) -> None:
    say.events(end=False)
    say.wait_until_left(PATIENCE)


def stream_empty(say: Say, wire: Wire) -> None:
    say.events(*wire.hush, pause=0.02)


BEFORE: list[tuple[bool, Way]] = [
    *[(streamed, way) for streamed in (False, True) for way in (headless, status, silent_head)],
    *[(False, way) for way in (whole_cut, whole_no_json, whole_error)],
    *[
        (True, way)
        for way in (
            whole_error, stream_error_first, stream_words_and_error_at_once, stream_nothing, stream_half_an_event,
            stream_garbage_first, stream_broken_gzip, stream_silent,
        )
    ],
]  # fmt: skip


HEARD = threading.Event()
"""The caller has the words."""


def speak(say: Say, wire: Wire) -> None:
    """Say the words, and go on when the caller has them."""
    say.events(*wire.opening, *wire.words, end=False)
    HEARD.wait(PATIENCE)


def words_then_error(say: Say, wire: Wire) -> None:
    speak(say, wire)
    say.chunk(wire.failing)
    say.end()


def words_then_cut(say: Say, wire: Wire) -> None:
    speak(say, wire)
    raise OSError


def words_then_end(say: Say, wire: Wire) -> None:
    speak(say, wire)
    say.end()


def words_then_silence(say: Say, wire: Wire) -> None:
    speak(say, wire)
    say.wait_until_left(PATIENCE)


def words_then_garbage(say: Say, wire: Wire) -> None:
    speak(say, wire)
    say.chunk(b'data: {"id": "c1", "choices": [{"delta": {"con\n\n')
    say.chunk(b"".join(wire.ending))
    say.end()


AFTER: list[Way] = [words_then_error, words_then_cut, words_then_end, words_then_silence, words_then_garbage]


@pytest.fixture(scope="module")
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    one, two = Upstream(), Upstream()
    yield one, two
    one.close()
    two.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstreams: tuple[Upstream, Upstream]) -> Iterator[Gateway]:
    one, two = upstreams
    documents, channels, names = [POLICY], [], []
    for fmt in WIRES:
        word = fmt.replace(".", "-").lower()
        documents += [provider(f"one-{word}", one.base, fmt, f"lone-{word}", f"both-{word}")]
        documents += [provider(f"two-{word}", two.base, fmt)]
        channels.append(f"    - {{name: second-{word}, provider: two-{word}, models: [both-{word}], priority: -1}}")
        names += [f"lone-{word}", f"both-{word}"]
    documents.append(
        "\napiVersion: gatewright/v1\nkind: Route\nmetadata: {name: r}\nspec:\n  channels:\n" + "\n".join(channels)
    )
    documents.append(
        "\napiVersion: gatewright/v1\nkind: Price\nmetadata: {name: p}\n"
        f"spec: {{models: [{{names: [{', '.join(names)}], tokens: {{input: 2, output: 8}}}}]}}"
    )
    running = Gateway(
        tmp_path_factory.mktemp("attempts"),
        specs={"test.yaml": "\n---".join(documents)},
        env={
            "GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{one.port},127.0.0.1:{two.port}",
            "ERROR_LOG_ENABLED": "true",
        },
        priced=True,
    )
    with serving(running):
        yield running


class Scene:
    """Calls through the gateway: the first upstream fails in a way, the second answers."""

    def __init__(self, gateway: Gateway, upstreams: tuple[Upstream, Upstream], fmt: str) -> None:
        self.gateway = gateway
        self.wire = WIRES[fmt]
        self.word = fmt.replace(".", "-").lower()
        self.one, self.two = upstreams

    def call(self, dialect: str, way: Way, *, streamed: bool, both: bool) -> tuple[Any, Row]:
        """The answer, read to its end, and its log row."""

        def good(say: Say) -> None:
            if streamed:
                say.events(*self.wire.stream)
            else:
                say.whole(self.wire.whole)

        self.one.script = lambda say: way(say, self.wire)
        self.two.script = good
        self.one.got.clear()
        self.two.got.clear()
        model = f"{'both' if both else 'lone'}-{self.word}"
        HEARD.clear()
        answer = ask(self.gateway, dialect, model) if streamed else self.gateway.post(*body_of(dialect, model))
        came = b""
        for piece in answer.iter_content(None):
            came += piece
            if b"there" in came:
                HEARD.set()
        answer._content = came
        return answer, Row(self.gateway, answer.headers["x-request-id"])


@pytest.mark.parametrize(("dialect", "fmt"), PAIRS)
@pytest.mark.parametrize(("streamed", "way"), BEFORE)
def test_what_fails_before_the_first_byte_is_free_and_the_next_channel_is_charged(
    gateway, upstreams, dialect: str, fmt: str, streamed: bool, way: Way
) -> None:
    scene = Scene(gateway, upstreams, fmt)
    answer, row = scene.call(dialect, way, streamed=streamed, both=False)
    assert answer.status_code >= 500
    assert "Hello" not in answer.text
    assert (row.quota, row.type) == (0, 5)

    answer, row = scene.call(dialect, way, streamed=streamed, both=True)
    assert answer.status_code == 200
    assert "Hello" in answer.text
    assert "there" in answer.text
    assert "busy" not in answer.text
    assert (row.quota, row.input, row.output, row.type) == (PRICED, 100, 40, 2)
    assert row.source == "upstream"
    assert row.other["channel"] == f"second-{scene.word}"
    assert row.other["admin_info"]["use_channel"] == [f"one-{scene.word}", f"second-{scene.word}"]
    assert not {"stream_status", "error_type", "status_code"} & row.other.keys()


@pytest.mark.parametrize(("dialect", "fmt"), PAIRS)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("way", AFTER)
def test_what_fails_after_the_first_byte_ends_in_one_error_and_what_was_said_is_charged(
    gateway, upstreams, dialect: str, fmt: str, way: Way, both: bool
) -> None:
    scene = Scene(gateway, upstreams, fmt)
    answer, row = scene.call(dialect, way, streamed=True, both=both)
    assert answer.status_code == 200
    assert "Hello" in answer.text
    last = events(answer)[-1]
    assert last.get("type") == "error" or error_in(dialect, [last])
    assert not scene.two.got
    assert row.type == 2
    assert 0 < row.output <= 40
    assert row.quota == row.input + row.output * 4
    assert row.other["channel"] == f"one-{scene.word}"
    assert row.other["stream_status"]["status"] == "error"


@pytest.mark.parametrize(("dialect", "fmt"), PAIRS)
@pytest.mark.parametrize(("streamed", "way"), [(False, whole_empty), (True, stream_empty), (True, whole_empty)])
def test_an_empty_answer_is_another_channels_matter_and_passes_where_there_is_none(
    gateway, upstreams, dialect: str, fmt: str, streamed: bool, way: Way
) -> None:
    scene = Scene(gateway, upstreams, fmt)

    answer, row = scene.call(dialect, way, streamed=streamed, both=False)
    assert answer.status_code == 200
    assert row.output <= 1  # Claude's first event tells one, and a later 0 erases nothing
    answer, row = scene.call(dialect, way, streamed=streamed, both=True)
    assert "Hello" in answer.text
    assert (row.quota, row.input, row.output) == (PRICED, 100, 40)
    assert row.other["admin_info"]["failed"] == [[f"one-{scene.word}", "empty"]]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_who_leaves_before_the_first_byte_pays_the_input(gateway, upstreams, dialect: str, streamed: bool) -> None:
    scene = Scene(gateway, upstreams, DIALECTS[dialect])
    scene.one.script = lambda say: say.wait_until_left(PATIENCE)
    scene.one.got.clear()
    model = f"lone-{scene.word}"
    path, body = body_of(dialect, model)
    if streamed:
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
        body = body if dialect == "gemini" else {**body, "stream": True}
    leave(gateway, path, json.dumps(body).encode(), lambda: scene.one.got)
    row = newest_row(gateway, model)
    assert row["quota"] > 0
    assert row["completion_tokens"] == 0
    assert row["quota"] == row["prompt_tokens"]
    assert json.loads(row["other"])["stream_status"]["end_reason"] == "client_gone"


def newest_row(gateway: Gateway, model: str) -> Any:
    """The last row of a model's caller who left."""
    query = "SELECT * FROM logs WHERE model_name = ? AND other LIKE '%client_gone%' ORDER BY id DESC"

    def newest() -> Any:
        with closing(sqlite3.connect(gateway.data / "gatewright.db")) as db:
            db.row_factory = sqlite3.Row
            return db.execute(query, (model,)).fetchone()

    return until(newest)
