"""Bad input of every kind and at every place: a 400 in the caller's dialect that names the place, or correct passage.

The upstream is the demo, which refuses what the vendors refuse: what it refuses on the way to another format, we made
wrong. Nothing may fail (500), leave a stack trace, or keep another caller waiting.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest
import requests

from tests.relay import mutations, rich
from tests.relay.conftest import FORMATS, provider
from tests.support import PATIENCE, ROOT, Gateway, Running, free_port, missing

DIALECTS = {
    "openai.chat": "chat",
    "openai.responses": "responses",
    "anthropic.messages": "claude",
    "gemini.generateContent": "gemini",
}
FOREIGN = {
    "openai.chat": "anthropic.messages",
    "openai.responses": "gemini.generateContent",
    "anthropic.messages": "openai.responses",
    "gemini.generateContent": "openai.chat",
}
EVERYTHING = bool(os.environ.get("GATEWRIGHT_NIGHTLY"))
"""All values at every place to all formats (make nightly); else three of them, in turn, to two formats."""
PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
}
SLOW = 5.0
"""Seconds of the processors that no answer may take, however odd the request."""
USUAL = 0.25
"""The same, of many requests on average."""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "calls.jsonl"


@pytest.fixture(scope="module")
def strict(tmp_path_factory, log):
    """A gateway before the strict demo, which has each format under two models: ``own-`` and ``foreign-``."""
    port = free_port()
    command = [sys.executable, str(ROOT / "deploy/demo"), "--port", str(port), "--pace", "0", "--log", str(log)]
    upstream = Running([*command, "--any-model", "--any-signature"])
    version = "  headers: {set: {anthropic-version: '2023-06-01'}}\n"
    base = f"http://127.0.0.1:{port}"
    documents = [
        provider(f"p-{number}", base, fmt, f"own-{fmt}", f"foreign-{fmt}", more=version if "messages" in fmt else "")
        for number, fmt in enumerate(FORMATS)
    ]
    documents.append("\napiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: self-use}\nspec: {unpriced: allow}\n")
    gateway = Gateway(
        tmp_path_factory.mktemp("gateway"),
        specs={"bad.yaml": "---".join(documents)},
        env={"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{port}"},
    )
    try:
        yield gateway.ready()
    finally:
        while _SESSIONS:
            _SESSIONS.pop().close()
        gateway.stop()
        upstream.stop()
        assert "Traceback" not in gateway.output, gateway.output[-5000:]


_HELD = threading.local()
_SESSIONS: list[requests.Session] = []


def send(gateway, fmt, model, body):
    """A request as its client sends it; ``body`` may be bytes. Each thread keeps its connection."""
    if not hasattr(_HELD, "session"):
        _HELD.session = requests.Session()
        _SESSIONS.append(_HELD.session)
    path = PATHS.get(fmt) or f"/v1beta/models/{model}:generateContent"
    raw = (
        body
        if isinstance(body, bytes)
        else json.dumps(body if "model" in body or fmt not in PATHS else {"model": model, **body}).encode()
    )
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    return _HELD.session.post(gateway.base + path, data=raw, headers=headers, timeout=PATIENCE)


def message_of(fmt, answer):
    """The error's words, where the dialect's SDK looks for them."""
    error = answer.json()["error"]
    wanted = {
        "anthropic.messages": {"type", "message"},
        "gemini.generateContent": {"code", "message", "status"},
    }.get(fmt, {"message", "type", "param", "code"})
    assert wanted <= set(error), error
    return error["message"]


_PLACE = re.compile(r"(?P<path>\S+)(: | must | is missing)|the (request )?body|no channel serves the model")
_STEP = re.compile(r"[^.\[\]]+")


def leads(body, path):
    """Whether a path leads through what was sent, to something or to what is missing there."""
    *way, last = [int(step) if step.isdigit() else step for step in _STEP.findall(path)]
    for step in way:
        try:
            body = body[step]
        except (LookupError, TypeError):
            return False
    return isinstance(body, dict) or (isinstance(body, list) and isinstance(last, int))


def told(fmt, answer, model, body):
    """Nothing if the answer is one that bad input may have, else what is wrong with it."""
    if answer.status_code == 200:
        return None
    if answer.status_code != 400:
        return f"status {answer.status_code}: {answer.text[:300]}"
    message = message_of(fmt, answer)
    if model.startswith("foreign-"):
        place = _PLACE.match(message)
        if not place or (place["path"] and isinstance(body, dict) and not leads(body, place["path"])):
            return f"names no place in what was sent: {message[:300]}"
    return None


def wrongs(fmt):
    """Requests with one thing wrong, each with what it is."""
    values = cycle(rich.WRONG)
    body = rich.RICH[fmt]
    for path in rich.nodes(body):
        yield f"no {rich.spelled(path)}", rich.without(body, path)
        for value in rich.WRONG if EVERYTHING else islice(values, 3):
            yield f"{rich.spelled(path)} = {json.dumps(value)}", rich.replaced(body, path, value)


def refused(log, mark, begin):
    """What the upstream refused of calls for models so marked, since the log had ``begin`` bytes."""
    time.sleep(0.03)  # the demo notes a call once it is answered
    with log.open("rb") as lines:
        lines.seek(begin)
        records = [json.loads(line) for line in lines if line.startswith(b'{"method"') and line.endswith(b"}\n")]
    asked = [(record, f"{record['path']} {record['body'].get('model')}") for record in records if record["body"]]
    return [record["answer"][:300] for record, model in asked if mark in model and record["status"] >= 400]


def all_told(strict, fmt, model, requests_of):
    """Send everything; gives what went wrong, and the processors' seconds for each."""

    def one(case):
        answer = send(strict, fmt, model, case[1])
        fault = told(fmt, answer, model, case[1])
        return f"{case[0]}: {fault}" if fault else None

    began, cases = strict.cpu(), list(requests_of)
    with ThreadPoolExecutor(4) as pool:
        faults = [fault for fault in pool.map(one, cases) if fault]
    return faults, (strict.cpu() - began) / len(cases)


PAIRS = [(fmt, target) for fmt in FORMATS for target in FORMATS if EVERYTHING or target in (fmt, FOREIGN[fmt])]


@pytest.mark.parametrize(("fmt", "target"), PAIRS)
def test_any_value_of_any_wrong_type_is_refused_by_name_or_passes(strict, log, fmt, target):
    begin = log.stat().st_size if log.exists() else 0
    model = f"{'own' if fmt == target else 'foreign'}-{target}"
    valid = send(strict, fmt, model, rich.RICH[fmt])
    assert valid.status_code == 200, valid.text
    faults, each = all_told(strict, fmt, model, wrongs(fmt))
    assert not faults, "\n".join(faults)
    assert each < USUAL
    assert not refused(log, "foreign-", begin)


SPOILT = int(os.environ.get("GATEWRIGHT_MUTANTS") or (500 if EVERYTHING else 12))
"""Requests for each pair; the same ones, unless GATEWRIGHT_SEED says another number."""
SEED = int(os.environ.get("GATEWRIGHT_SEED") or 1)


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_recorded_requests_with_spoilt_fields_are_refused_by_name_or_pass(strict, log, fmt, target):
    begin = log.stat().st_size if log.exists() else 0
    model = f"{'own' if fmt == target else 'foreign'}-{target}"
    spoilt = list(mutations.mutants(fmt, SEED, SPOILT))
    if not spoilt:
        missing("no recordings: set GATEWRIGHT_RECORDED to the folder that holds them")
    faults, each = all_told(strict, fmt, model, spoilt)
    assert not faults, "\n".join(faults)
    assert each < USUAL
    assert not refused(log, "foreign-", begin)


# --- odd things, one by one ------------------------------------------------------------------------------


def _ask(fmt, text="hi"):
    """The least that can be asked."""
    return {
        "openai.chat": {"messages": [{"role": "user", "content": text}]},
        "openai.responses": {"input": text},
        "anthropic.messages": {"max_tokens": 9, "messages": [{"role": "user", "content": text}]},
        "gemini.generateContent": {"contents": [{"role": "user", "parts": [{"text": text}]}]},
    }[fmt]


def _turns(fmt, count):
    """A conversation of so many turns."""
    roles = ["user", "model" if fmt == "gemini.generateContent" else "assistant"]
    said = [(roles[number % 2], f"turn {number}") for number in range(count | 1)]
    if fmt == "gemini.generateContent":
        return {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in said]}
    messages = [{"role": role, "content": text} for role, text in said]
    return {**_ask(fmt), "input" if fmt == "openai.responses" else "messages": messages}


def _tool(fmt, schema):
    """A tool whose input has this schema."""
    tool = {
        "openai.chat": {"type": "function", "function": {"name": "f", "parameters": schema}},
        "openai.responses": {"type": "function", "name": "f", "parameters": schema},
        "anthropic.messages": {"name": "f", "input_schema": schema},
        "gemini.generateContent": {"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]},
    }[fmt]
    return {**_ask(fmt), "tools": [tool]}


def _orphan(fmt):
    """The result of a call that nobody made."""
    result = {
        "openai.chat": {"role": "tool", "tool_call_id": "call_x", "content": "sunny"},
        "openai.responses": {"type": "function_call_output", "call_id": "call_x", "output": "sunny"},
        "anthropic.messages": {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_x", "content": "sunny"}],
        },
        "gemini.generateContent": {
            "role": "user",
            "parts": [{"functionResponse": {"name": "weather", "response": {"output": "sunny"}}}],
        },
    }[fmt]
    return _with_turn(fmt, result)


def _twice(fmt):
    """Two calls under one id, and one result."""
    calls = {
        "openai.chat": {"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        "openai.responses": {"type": "function_call", "call_id": "call_x", "name": "f", "arguments": "{}"},
        "anthropic.messages": {"type": "tool_use", "id": "call_x", "name": "f", "input": {}},
        "gemini.generateContent": {"functionCall": {"id": "call_x", "name": "f", "args": {}}},
    }
    call, body = [calls[fmt]] * 2, _orphan(fmt)
    (where,) = {"messages", "input", "contents"} & set(body)
    asked, result = body[where]
    if fmt == "openai.responses":
        return {**body, where: [asked, *call, result]}
    members = {"openai.chat": "tool_calls", "anthropic.messages": "content", "gemini.generateContent": "parts"}
    role = "model" if fmt == "gemini.generateContent" else "assistant"
    told = json.loads(
        json.dumps(result).replace("toolu_x", "call_x").replace('{"name": "w', '{"id": "call_x", "name": "w')
    )
    return {**body, where: [asked, {"role": role, members[fmt]: call}, told]}


def _with_turn(fmt, turn):
    body = _turns(fmt, 1)
    where = {"openai.responses": "input", "gemini.generateContent": "contents"}.get(fmt, "messages")
    return {**body, where: [*body[where], turn]}


def _picture(fmt, data):
    """A picture with this for base64."""
    url = f"data:image/png;base64,{data}"
    part = {
        "openai.chat": {"type": "image_url", "image_url": {"url": url}},
        "openai.responses": {"type": "input_image", "image_url": url},
        "anthropic.messages": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        "gemini.generateContent": {"inlineData": {"mimeType": "image/png", "data": data}},
    }[fmt]
    content = "parts" if fmt == "gemini.generateContent" else "content"
    return _with_turn(fmt, {"role": "user", content: [part]})


def _nested(depth, leaf="x"):
    value = leaf
    for _ in range(depth):
        value = {"type": "object", "properties": {"a": value}} if isinstance(value, dict) else {"a": value}
    return value


def _deep_schema(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


RECURSIVE = {
    "type": "object",
    "properties": {"next": {"$ref": "#"}, "other": {"$ref": "#/$defs/n"}},
    "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}},
}
BOMB = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/n9"}},
    "$defs": {
        f"n{number}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/n{number - 1}"} for name in "abcdefgh"},
        }
        for number in range(1, 10)
    }
    | {"n0": {"type": "string"}},
}


def _raw(fmt, inner):
    """The least request with raw JSON in the place of the text."""
    model = {} if fmt == "gemini.generateContent" else {"model": "MODEL"}
    return json.dumps({**model, **_ask(fmt, "HERE")}).replace('"HERE"', inner).encode()


ODD = {
    "orphan tool result": _orphan,
    "one id for two calls": _twice,
    "unknown role": lambda fmt: _with_turn(fmt, {"role": "wizard", "content": "hi", "parts": [{"text": "hi"}]}),
    "no role": lambda fmt: _with_turn(fmt, {"content": "hi", "parts": [{"text": "hi"}]}),
    "invalid base64": lambda fmt: _picture(fmt, "@@@not base64@@@"),
    "truncated base64": lambda fmt: _picture(fmt, rich.PNG[:-3]),
    "recursive schema": lambda fmt: _tool(fmt, RECURSIVE),
    "schema that grows when written out": lambda fmt: _tool(fmt, BOMB),
    "schema with a loop of references": lambda fmt: _tool(
        fmt, {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}
    ),
    "schema of a type in capitals": lambda fmt: _tool(fmt, {"type": "OBJECT", "properties": {}}),
    "schema 300 deep": lambda fmt: _tool(fmt, _deep_schema(300)),
    "10,000 turns": lambda fmt: _turns(fmt, 10_000),
    "1,000 tools": lambda fmt: {**_ask(fmt), "tools": _tool(fmt, {"type": "object", "properties": {}})["tools"] * 1000},
    "nested 900 deep": lambda fmt: _raw(fmt, "[" * 900 + "]" * 900),
    "nested 100,000 deep": lambda fmt: _raw(fmt, "[" * 100_000 + "]" * 100_000),
    "objects 100,000 deep": lambda fmt: _raw(fmt, '{"a":' * 100_000 + "1" + "}" * 100_000),
    "string of 20 MB": lambda fmt: _ask(fmt, "word " * 4_000_000),
    "half a character": lambda fmt: _raw(fmt, '"a\\ud800b"'),
    "half a character in a key": lambda fmt: _raw(fmt, '"hi", "\\ud800": 1').replace(b'"HERE"', b""),
    "halves deep down": lambda fmt: _raw(fmt, '"\\udc00"' + ', "x": ' + "[" * 800 + '"\\ud800"' + "]" * 800),
    "NaN": lambda fmt: _raw(fmt, "NaN"),
    "infinity": lambda fmt: _raw(fmt, "1e999"),
    "integer of 400 digits": lambda fmt: _raw(fmt, "9" * 400),
    "integer of 5,000 digits": lambda fmt: _raw(fmt, "9" * 5000),
    "integer of 5,000 digits beside half a character": lambda fmt: _raw(fmt, '"\\ud800", "x": ' + "9" * 5000),
    "control characters": lambda fmt: _ask(fmt, "a\0b\u001b[31m\u2028\ufffe"),
    "no text at all": lambda fmt: _ask(fmt, ""),
    "a body that is cut": lambda fmt: _raw(fmt, '"hi')[:-4],
    "not UTF-8": lambda fmt: _raw(fmt, '"hi"').replace(b"hi", b"\xff\xfe"),
    "a key said twice": lambda fmt: _raw(fmt, '"hi"').replace(b"{", b'{"tools":[],"tools":null,', 1),
}
MALFORMED = {"NaN", "infinity", "integer of 5,000 digits", "a body that is cut", "not UTF-8", "nested 100,000 deep"}
"""What is no JSON at all, to its own provider neither."""


@pytest.mark.parametrize("how", ["own", "foreign"])
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("what", ODD)
def test_odd_requests_are_refused_by_name_or_pass_in_bounded_time(strict, log, what, fmt, how):
    begin = log.stat().st_size if log.exists() else 0
    model = f"{how}-{fmt if how == 'own' else FOREIGN[fmt]}"
    body = ODD[what](fmt)
    if isinstance(body, bytes):
        body = body.replace(b"MODEL", model.encode())
    statuses = []
    done = threading.Event()
    # that another caller has not to wait is what the gateway's own watchdog counts, which fails `stop`
    beside = threading.Thread(target=_knock, args=(strict, statuses, done))
    beside.start()
    started = strict.cpu()
    try:
        answer = send(strict, fmt, model, body)
    finally:
        took = strict.cpu() - started
        done.set()
        beside.join()
    fault = told(fmt, answer, model, body)
    assert fault is None, fault
    assert took < SLOW
    assert set(statuses) <= {200}, "another caller was not served meanwhile"
    assert not refused(log, "foreign-", begin)
    if what in MALFORMED:
        assert answer.status_code == 400


def _knock(gateway, statuses, done):
    """A small request, again and again, as another caller would send it."""
    with requests.Session() as session:
        while not done.is_set():
            body = {"model": "own-openai.chat", "messages": [{"role": "user", "content": "hi"}]}
            headers = {"authorization": f"Bearer {gateway.key}"}
            answer = session.post(gateway.base + "/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE)
            statuses.append(answer.status_code)
            done.wait(0.05)


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt != "gemini.generateContent"])
def test_odd_names_of_models_are_not_found_in_few_words(strict, fmt):
    for name in ("x" * 1_000_000, "\ud800", "a\0b", "../../etc", "é" * 1000, " ", "{{ model }}"):
        answer = send(strict, fmt, name, {"model": name, **_ask(fmt)})
        assert answer.status_code in (400, 404), answer.text[:300]
        assert len(message_of(fmt, answer)) < 1000


def test_odd_paths_and_queries_are_not_found(strict):
    for path in (
        "/v1beta/models/%ff%fe:generateContent",
        "/v1beta/models/:generateContent",
        "/v1/models/%00",
        "/%2e%2e/",
    ):
        answer = requests.post(
            strict.base + path, json=_ask("gemini.generateContent"), headers={"x-goog-api-key": strict.key}, timeout=20
        )
        assert answer.status_code in (400, 404, 405), (path, answer.status_code, answer.text[:200])
