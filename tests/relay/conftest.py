"""One gateway for the room's tests, with a scripted upstream behind providers of all four formats."""

from __future__ import annotations

import pytest

from tests.relay.scripted import Upstream
from tests.support import Gateway, deaf_port, serving

FORMATS = {
    "openai.chat": "{path: /v1/chat/completions}",
    "openai.responses": "{path: /v1/responses}",
    "anthropic.messages": "{path: /v1/messages}",
    "gemini.generateContent": "{path: '/v1beta/models/{model}:generateContent', "
    "stream: '/v1beta/models/{model}:streamGenerateContent?alt=sse'}",
}

HOPS = {**FORMATS, "cohere.chat": "{path: /v2/chat}", "openai.embeddings": "{path: /v1/embeddings}"}
"""How each format is spoken: those of conversations, and one of another kind."""


def provider(name: str, base: str, fmt: str, *models: str, more: str = "") -> str:
    """A provider document that is a channel itself."""
    return f"""
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: {name}}}
spec:
  baseUrl: {base}
  formats: {{{fmt}: {HOPS[fmt]}}}
  auth: {{scheme: none}}
  models: [{", ".join(models)}]
{more}"""


@pytest.fixture(scope="package")
def upstreams():
    made = {name: Upstream() for name in ("one", "two")}
    yield made
    for upstream in made.values():
        upstream.close()


@pytest.fixture(scope="package")
def closed():
    with deaf_port() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="package")
def running(tmp_path_factory, upstreams, closed):
    one, two = upstreams["one"], upstreams["two"]
    documents = [
        provider("p-chat", one.base, "openai.chat", "chat-model", "gpt-5-base", "org/slashed"),
        provider("p-responses", one.base, "openai.responses", "responses-model"),
        provider("p-responses-two", two.base, "openai.responses", "responses-two"),
        provider("p-claude", one.base, "anthropic.messages", "claude-model", "claude-3-7-sonnet-20250219"),
        provider("p-gemini", one.base, "gemini.generateContent", "gemini-model", "gemini-2.5-flash"),
        provider("p-first", one.base, "openai.chat", "both-model", more="  timeouts: {firstByte: 2, idle: 2}\n"),
        provider("p-second", two.base, "openai.chat"),
        provider(
            "p-project", one.base, "openai.chat", "project-model", more="  headers: {forward: [openai-project]}\n"
        ),
        provider("p-cohere", one.base, "cohere.chat", "cohere-model"),
        provider("p-vectors", one.base, "openai.embeddings", "embed-model"),
        f"""
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: p-host}}
extends: openai-host
spec: {{baseUrl: {one.base}, auth: {{scheme: none}}, models: [host-model]}}
""",
        f"""
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: p-kept}}
spec:
  baseUrl: {one.base}
  formats:
    openai.files: {{path: /v1/files}}
    openai.uploads: {{path: /v1/uploads}}
    anthropic.files: {{path: /v1/files}}
    openai.responses.compact: {{path: /v1/responses/compact}}
    openai.search: {{path: /v1/alpha/search}}
  auth: {{scheme: none}}
  models: [kept-model]
""",
        provider("p-private", "http://127.0.0.1:1", "openai.chat", "private-model"),
        provider("p-down", f"http://{closed}", "openai.chat", "down-model"),
        """
apiVersion: gatewright/v1
kind: Route
metadata: {name: r-two}
spec:
  channels:
    - {name: second, provider: p-second, models: [both-model], priority: -1}
    - {name: told-claude, provider: p-claude, models: [told-claude], thinking: content}
    - {name: told-chat, provider: p-chat, models: [told-chat], thinking: content}
    - {name: heard-chat, provider: p-chat, models: [heard-chat], thinking: fromContent}
    - {name: mapped, provider: p-second, models: [asked-model], modelMapping: {asked-model: sent-model}}
    - {name: mapped-ending, provider: p-second, models: [plain-name], modelMapping: {plain-name: gpt-5-high}}
    - {name: folded, provider: p-second, models: ["gpt-4-gizmo-*"]}
""",
    ]
    data = tmp_path_factory.mktemp("gateway")
    allow = f"127.0.0.1:{one.port},127.0.0.1:{two.port},{closed}"
    env = {"GATEWRIGHT_EGRESS_ALLOW": allow, "ERROR_LOG_ENABLED": "true", "MAX_REQUEST_BODY_MB": "1"}
    env["GATEWRIGHT_FETCH_ALLOW"] = f"127.0.0.1:{two.port}"
    gateway = Gateway(data, specs={"test.yaml": "---".join(documents)}, env=env)
    with serving(gateway):
        yield gateway


@pytest.fixture
def gateway(running, upstreams):
    for upstream in upstreams.values():
        upstream.got.clear()
        upstream.script = Upstream.nothing
    return running


@pytest.fixture
def one(upstreams):
    return upstreams["one"]


@pytest.fixture
def two(upstreams):
    return upstreams["two"]
