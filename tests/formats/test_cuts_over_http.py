"""Recorded streams cut between two events, through a running gateway: each SDK of another format raises.

A fixed sample; the bytes of the error event are those of the table in tests/formats/test_cuts.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.clients.drivers import DRIVERS
from tests.formats import streams
from tests.formats.recorded import FORMATS
from tests.formats.streams import Sample
from tests.formats.test_cuts import expected, finished, last, ran
from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.support import Gateway, serving

SPEAKS = dict(zip(DRIVERS, FORMATS, strict=True))
ASKED = {
    "openai.chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "openai.responses": ("/v1/responses", {"input": "hi"}),
    "anthropic.messages": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    "gemini.generateContent": (
        "/v1beta/models/MODEL:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}


def cut(sample: Sample) -> list[bytes]:
    """As many events of a stream as can come before one is missed."""
    events = sample.events()
    while finished(sample, "openai.chat", events):
        events.pop()
    return events


def fits(sample: Sample) -> bool:
    """Whether every caller is told something before the cut: else the call fails as a whole, or is tried again."""
    return all(ran(client, sample, cut(sample), broken=True) for client in FORMATS if client != sample.format)


def chosen() -> list[Sample]:
    """Three streams of each format, the shortest that have something to cut."""
    sound = [item for item in streams.shortest() if item.format in FORMATS and "error" not in item.features]
    return [item for name in FORMATS for item in [one for one in sound if one.format == name and fits(one)][:3]]


CASES = [(sample, driver) for sample in chosen() for driver in DRIVERS if SPEAKS[driver] != sample.format]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    documents = [provider(f"p-{n}", upstream.base, name, f"m-{name}") for n, name in enumerate(FORMATS)]
    running = Gateway(
        tmp_path_factory.mktemp("cuts"),
        specs={"cuts.yaml": "---".join(documents)},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"},
    )
    with serving(running):
        yield running


def told(gateway: Gateway, client: str, model: str) -> bytes:
    """The bytes that a caller gets."""
    path, body = ASKED[client]
    headers = {"authorization": f"Bearer {gateway.key}"}
    more = {} if "MODEL" in path else {"model": model, "stream": True}
    answer = requests.post(
        gateway.base + path.replace("MODEL", model), json={**body, **more}, headers=headers, timeout=30
    )
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize(("sample", "driver"), CASES, ids=[f"{sample.id}-{driver}" for sample, driver in CASES])
def test_a_stream_that_is_cut_raises_in_the_sdk_of_every_other_format(
    gateway: Gateway, upstream: Upstream, sample: Sample, driver: str
) -> None:
    pieces = cut(sample)

    def script(say: Say) -> None:
        say.events(*pieces, end=False)
        raise ConnectionResetError  # the connection is closed without the last chunk

    upstream.script = script
    found = last(told(gateway, SPEAKS[driver], f"m-{sample.format}"))
    found = re.sub(rb'"request_id":"[^"]+"', b'"request_id":"id"', found)
    why = re.search(rb"the [^\"]*broke off[^\"]*", found)
    assert why, found
    assert found == expected(SPEAKS[driver], why[0].decode(), "cut", found)
    talk = DRIVERS[driver](gateway.base, gateway.key)
    talk.say("hi")
    with talk.client, pytest.raises(talk.stream_error, match="broke off"):
        talk.ask(f"m-{sample.format}", stream=True)
