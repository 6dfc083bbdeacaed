"""Recorded traffic through a running gateway: requests arrive as they were sent, or as a strict vendor takes them.

Same format: byte for byte. Another format: the demo upstream, which refuses what the vendor refuses, must take what we
made of it; else the gateway itself said in a 400 which field it can't carry. Streams come in one-byte chunks.
"""

from __future__ import annotations

import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support import PATIENCE, ROOT, Gateway, Running, free_port, missing

RECORDED = Path(os.environ.get("GATEWRIGHT_RECORDED") or ROOT.parent / "shared" / "fixtures" / "recorded")
REPLAY = RECORDED.parent / "replay_upstream.py"
FORMATS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generateContent")
PATHS = {
    "openai.chat": ("/v1/chat/completions", "{path: /v1/chat/completions}"),
    "openai.responses": ("/v1/responses", "{path: /v1/responses}"),
    "anthropic.messages": ("/v1/messages", "{path: /v1/messages}"),
    "gemini.generateContent": (
        "/v1beta/models/{model}:{verb}",
        "{path: '/v1beta/models/{model}:generateContent', "
        "stream: '/v1beta/models/{model}:streamGenerateContent?alt=sse'}",
    ),
}
EVERYTHING = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
"""All streams instead of a fixed sample (make nightly)."""
# What was recorded names its one owner's conversations and files.
SELF_USE = """apiVersion: gatewright/v1
kind: Policy
metadata: {name: self-use}
spec: {unpriced: allow, accountOwner: one}
"""


@pytest.fixture(autouse=True, scope="module")
def _recordings():
    if not RECORDED.is_dir():
        missing(f"no recordings at {RECORDED}; GATEWRIGHT_RECORDED names where they are")


def exchanges(fmt):
    return [json.loads(path.read_text("utf-8")) for path in sorted((RECORDED / fmt).glob("*.json"))]


def provider(name, fmt, port, model):
    return (
        f"apiVersion: gatewright/v1\nkind: Provider\nmetadata: {{name: {name}}}\nspec:\n"
        f"  baseUrl: http://127.0.0.1:{port}\n  formats: {{{fmt}: {PATHS[fmt][1]}}}\n"
        f"  auth: {{scheme: none}}\n  headers: {{set: {{anthropic-version: '2023-06-01'}}}}\n  models: [{model}]\n"
    )


def send(gateway, fmt, model, body, stream):
    """A request as its client sends it, but for the model."""
    path = PATHS[fmt][0]
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    if fmt == "gemini.generateContent":
        path = path.format(model=model, verb="streamGenerateContent?alt=sse" if stream else "generateContent")
    else:
        body = {**body, "model": model}
        if stream:
            body["stream"] = True
    raw = json.dumps(body).encode()
    return raw, requests.post(gateway.base + path, data=raw, headers=headers, timeout=PATIENCE)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """The demo upstream, strict but for models and signatures, behind a provider of each format."""
    port = free_port()
    upstream = Running(
        [
            sys.executable,
            str(ROOT / "deploy/demo"),
            "--port",
            str(port),
            "--pace",
            "0",
            "--any-model",
            "--any-signature",
        ]
    )
    documents = [provider(f"to-{fmt.replace('.', '-').lower()}", fmt, port, f"to-{fmt}") for fmt in FORMATS]
    policy = SELF_USE
    gateway = Gateway(
        tmp_path_factory.mktemp("strict"),
        specs={"to.yaml": "---\n".join([*documents, policy])},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}"},
    )
    try:
        yield gateway.ready()
    finally:
        gateway.stop()
        upstream.stop()
        assert "Traceback" not in gateway.output, gateway.output


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_recorded_requests_are_taken_by_a_strict_upstream_of_each_format(strict, source, target):
    """What the upstream refuses, we made wrong; what we refuse, we say why."""
    wrong, refused, taken = [], 0, 0
    for exchange in exchanges(source):
        if exchange["request"] is None or exchange["status"] >= 400 or '"!' in json.dumps(exchange["request"]):
            continue
        _, answer = send(strict, source, f"to-{target}", exchange["request"], False)
        if answer.status_code == 200:
            taken += 1
        elif answer.status_code in (400, 404) and (_ours(answer) or exchange["id"] in VENDORS_OWN):
            refused += 1
        else:
            wrong.append(f"{exchange['id']}: {answer.status_code} {answer.text[:300]}")
    print(f"{source} -> {target}: {taken} taken, {refused} refused by name, {len(wrong)} wrong")
    assert not wrong, f"{taken} taken, {refused} refused, wrong:\n" + "\n".join(wrong)
    assert taken > refused


VENDORS_OWN = {
    # Moving pictures: some chat vendors take them, this one does not.
    "test_google_model_mobile_youtube_video_url_input-0-b57a87",
}
_OURS = re.compile(
    "another format|takes no|is not valid base64|is not kept here|can't be fetched|can't be carried|can't carry"
    "|other formats|has no|not known here|does not take|only .* can|refus",
    re.IGNORECASE,
)


def _ours(answer):
    return bool(_OURS.search(answer.text))


@pytest.fixture(scope="module")
def replays(tmp_path_factory):
    """Recorded answers of each format, whole and in one-byte chunks, behind a provider of their format."""
    ports = {(fmt, how): free_port() for fmt in FORMATS for how in ("whole", "bytes:1")}
    log = tmp_path_factory.mktemp("log")
    running = [
        Running(
            [
                sys.executable,
                str(REPLAY),
                str(RECORDED / fmt),
                "--port",
                str(port),
                "--chunk",
                how,
                "--log",
                str(log / f"{port}.jsonl"),
            ]
        )
        for (fmt, how), port in ports.items()
    ]
    documents = []
    for fmt in FORMATS:
        for how in ("whole", "bytes:1"):
            name = f"{fmt.replace('.', '-').lower()}-{'one' if how != 'whole' else 'all'}"
            mapping = {f"{name}/{x['id']}": x["id"] for x in exchanges(fmt)}
            documents.append(provider(name, fmt, ports[fmt, how], "none"))
            documents.append(
                "apiVersion: gatewright/v1\nkind: Route\n"
                f"metadata: {{name: {name}}}\nspec:\n  channels:\n    - name: {name}-by-id\n      provider: {name}\n"
                f"      models: {json.dumps(list(mapping))}\n      modelMapping: {json.dumps(mapping)}\n"
            )
    documents.append(SELF_USE)
    allow = ",".join(f"127.0.0.1:{port}" for port in ports.values())
    gateway = Gateway(
        tmp_path_factory.mktemp("replays"),
        specs={"replays.yaml": "---\n".join(documents)},
        env={"GATEWRIGHT_EGRESS_ALLOW": allow},
    )
    try:
        yield gateway.ready(), {key: log / f"{port}.jsonl" for key, port in ports.items()}
    finally:
        gateway.stop()
        for one in running:
            one.stop()
        assert "Traceback" not in gateway.output, gateway.output


ASK = {
    "openai.chat": {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}},
    "openai.responses": {"input": "hi"},
    "anthropic.messages": {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]},
    "gemini.generateContent": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
MADE_UP = re.compile(r'"((?:resp|msg|fc|rs|gen|chatcmpl|call|item)[_-])[^"]+"|"(created(?:_at)?|completed_at)": ?\d+')


def streams(fmt):
    found = [x for x in exchanges(fmt) if x["response_stream"] and x["status"] == 200]
    return (
        found if EVERYTHING else sorted(found, key=lambda x: len(x["response_stream"]))[:: max(1, len(found) // 3)][:3]
    )


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_streams_in_one_byte_chunks_say_the_same_as_whole(replays, fmt, client):
    gateway, _ = replays
    base = fmt.replace(".", "-").lower()

    def both(exchange):
        told = [send(gateway, client, f"{base}-{how}/{exchange['id']}", ASK[client], True)[1] for how in ("all", "one")]
        assert [one.status_code for one in told] == [200, 200], (exchange["id"], told[0].text[:300])
        texts = [MADE_UP.sub("x", one.text.replace(f"{base}-one", f"{base}-all")) for one in told]
        assert texts[0] == texts[1], exchange["id"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(both, [x for x in streams(fmt) if len(x["response_stream"]) < 60_000 or EVERYTHING]))


@pytest.mark.parametrize("fmt", FORMATS)
def test_recorded_requests_of_the_same_format_arrive_byte_for_byte(replays, fmt):
    gateway, logs = replays
    base = fmt.replace(".", "-").lower()
    sent = {}
    for exchange in exchanges(fmt):
        if exchange["request"] is None:
            continue
        stream = bool(exchange["stream"])
        _, answer = send(gateway, fmt, f"{base}-all/{exchange['id']}", exchange["request"], stream)
        assert answer.status_code == exchange["status"], (exchange["id"], answer.text[:300])
        sent[exchange["id"]] = exchange["request"]
    arrived = {}
    for line in logs[fmt, "whole"].read_text().splitlines():
        record = json.loads(line)
        arrived[record["fixture"]] = record["body"]
    for name, body in sent.items():
        expected = dict(body)
        if fmt != "gemini.generateContent":
            expected["model"] = name
        got = arrived[name]
        if fmt == "openai.chat" and got.get("stream"):  # usage is asked for, and kept from a caller who did not
            options = got.pop("stream_options")
            assert options["include_usage"]
            expected.pop("stream_options", None)
        assert got == expected, name
