"""What of a caller goes up, and how: its headers as they are, its model's name as one piece of the address."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from engine.errors import CallError
from engine.relay.ingress.asks import refuse_kept
from engine.relay.upstream.send import _address, _signed
from tests.formats.recorded import program
from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.support import PATIENCE, Gateway, serving

SECRET = "sk-upstream-0123456789"
ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
EVERY = """
apiVersion: gatewright/v1
kind: Route
metadata: {name: every}
spec: {channels: [{name: every, provider: p-every, models: ["*"]}]}
"""


def sent(template: str, caller: dict[str, str]) -> dict[str, str]:
    """The headers that go up for a channel row's header and a caller's."""
    ours: Any = SimpleNamespace(headers=lambda _: {})
    provider = SimpleNamespace(auth=None, header_cases=())
    channel = SimpleNamespace(
        headers={"X-Up": template}, model_headers={}, passed=(), unsent=frozenset(), provider=provider
    )
    attempt: Any = SimpleNamespace(channel=channel, headers={})
    call: Any = SimpleNamespace(headers=caller)
    return dict(_signed(call, attempt, ours, SECRET, "http://up.test/")[0])


@pytest.mark.parametrize("given", ["{api_key}", "Bearer {api_key}", "{client_header:x-two}", "{api_key}{api_key}"])
def test_a_callers_header_is_never_read_again(given: str) -> None:
    told = sent("{client_header:X-One}", {"x-one": given, "x-two": "two"})
    assert told == {"x-up": given}
    assert SECRET not in str(told)


def test_the_secret_stands_where_the_row_says() -> None:
    assert sent("Key {api_key}", {}) == {"x-up": f"Key {SECRET}"}
    assert sent("{client_header:X-One}", {}) == {}


@pytest.mark.parametrize("given", ["a\r\nb: c", "a\nb", "a\x00b", "a\x1fb", "a\x7fb"])
def test_control_characters_do_not_go_up(given: str) -> None:
    with pytest.raises(CallError) as refused:
        sent("{client_header:X-One}", {"x-one": given})
    assert refused.value.status == 400
    assert refused.value.param == "x-one"


@pytest.mark.parametrize(
    ("fmt", "body", "place"),
    [
        (
            "openai.responses",
            {"tools": [{"type": "x"}, {"vector_store_ids": ["vs_1"]}]},
            "tools[1].vector_store_ids[0]",
        ),
        ("openai.responses", {"conversation": "conv_1"}, "conversation"),
        (
            "openai.chat",
            {"messages": [{"content": "x"}, {"content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
            "messages[1].content[0].file.file_id",
        ),
    ],
)
def test_what_another_may_own_is_refused_by_its_place(fmt: str, body: dict[str, Any], place: str) -> None:
    call: Any = SimpleNamespace(format=program().formats[fmt], raw=json.dumps(body).encode(), body=body)
    with pytest.raises(CallError) as refused:
        refuse_kept(call)
    assert refused.value.message.startswith(f"{place}: names '")
    assert refused.value.param == place


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
def test_a_state_that_only_the_account_owns_is_not_begun(thread: dict[str, str]) -> None:
    fmt = program().formats["anthropic.messages"]
    body = {"model": "m", "messages": [], "thread": thread}
    with pytest.raises(CallError) as refused:
        refuse_kept(SimpleNamespace(format=fmt, raw=json.dumps(body).encode(), body=body))  # type: ignore[arg-type]
    assert (refused.value.param, refused.value.code) == ("thread", "unsupported_value")
    refuse_kept(SimpleNamespace(format=fmt, raw=b'{"thread": null}', body={"thread": None}))  # type: ignore[arg-type]


def address(model: str, models: tuple[str, ...] = ("*",), mapping: dict[str, str] | None = None) -> str:
    channel = SimpleNamespace(
        base_url="http://up/v1/", models=frozenset(models), model_mapping=mapping or {}, by_model={}
    )
    attempt: Any = SimpleNamespace(channel=channel, model=model)
    return _address(SimpleNamespace(asked=model), attempt, "/models/{model}/converse")  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["a/b", "a?b", "a#b", "a%2fb", "a%2e%2e", "a b", "a;b", "\u00e9"])
def test_a_name_that_nobody_listed_stays_one_segment(model: str) -> None:
    told = address(model)
    inner = told.removeprefix("http://up/v1/models/").removesuffix("/converse")
    assert not set(inner) & set("/?#; ")
    assert "%2e" not in inner.lower().replace("%252e", "")


@pytest.mark.parametrize(
    "model", ["..", ".", "../x", "a/../b", "%2e%2e", "%2E%2E/x", "a/%2e%2e/b", "%252e%252e", "..\\x"]
)
def test_a_name_that_nobody_listed_leads_nowhere_else(model: str) -> None:
    with pytest.raises(CallError) as refused:
        address(model)
    assert (refused.value.status, refused.value.param) == (400, "model")


def test_a_listed_name_goes_up_as_it_is() -> None:
    assert address("org/m", ("org/m", "*")) == "http://up/v1/models/org/m/converse"
    assert address("org/m", ("*",), {"m": "org/m"}) == "http://up/v1/models/org/m/converse"


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, upstream):
    documents = [provider("p-every", upstream.base, "gemini.generateContent", "listed"), EVERY]
    running = Gateway(
        tmp_path_factory.mktemp("every"),
        specs={"every.yaml": "---".join(documents)},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}"},
    )
    with serving(running):
        yield running


@pytest.mark.parametrize("model", ["../admin", "x/../../admin", "%2e%2e/admin", "x?alt=y", "x#y", "x/y", "x\\..\\y"])
def test_a_channel_for_all_models_keeps_its_path(gateway, upstream, model) -> None:
    upstream.got.clear()
    upstream.script = lambda say: say.whole(ANSWER)
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = requests.post(f"{gateway.base}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code in (200, 400)
    for arrived in upstream.got:
        path, _, query = arrived.path.partition("?")
        assert path.startswith("/v1beta/models/")
        assert path.endswith(":generateContent")
        assert path.count("/") == 3
        assert ".." not in path.split("/")
        assert not query
