"""A call that somebody made by hand (a curl command) and its answer, as a Provider with a test of its own.

``provider(command, answer, program, name)`` gives the document's text. The format is the one that reads the answer, its
parts and its usage; of several the one whose path the address ends with. Knows formats by what the Program says.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import yaml

from engine.compiler.translation import WireMessage, translate
from engine.errors import Invalid
from engine.program import Format, Program

_TAKES = frozenset(
    """-H --header -d --data --data-raw --data-binary --json -X --request --url -u --user -o --output -A --user-agent
    --max-time -m -x --proxy --connect-timeout""".split()  # noqa: SIM905 - as people write them
)
_DATA = {"-d", "--data", "--data-raw", "--data-binary", "--json"}
_USUAL = {"content-type", "accept", "user-agent", "host", "content-length"}
_KEYED = re.compile(r"(?i)key|token|secret|auth")


@dataclass(slots=True)
class Request:
    """What the command would send."""

    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def request_of(command: str) -> Request:
    """Read a curl command; raises ``Invalid`` with what was expected."""
    try:
        words = shlex.split(command.replace("\\\n", " "))
    except ValueError as error:
        raise Invalid("--from-curl", f"the command can't be read: {error}", "quote it as your shell would") from None
    request, text = Request(), ""
    words = words[1:] if words[:1] == ["curl"] else words
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if option in _TAKES and not equals:
            value = words.pop(0) if words else ""
        if option in ("-H", "--header"):
            header, _, header_value = value.partition(":")
            request.headers[header.strip().lower()] = header_value.strip()
        elif option in _DATA:
            text = value
        elif option == "--url" or not word.startswith("-"):
            request.url = request.url or (value if option == "--url" else word)
    if urlsplit(request.url).scheme not in ("http", "https") or not urlsplit(request.url).netloc:
        raise Invalid("--from-curl", "the command names no http or https address", "paste the whole command")
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        raise Invalid("--from-curl", "its body (-d) is no JSON", "paste the body itself, not @file") from None
    if not isinstance(body, dict):
        raise Invalid("--from-curl", "its body is no JSON object", "paste a call of a model")
    request.body = body
    return request


def provider(command: str, answer: dict[str, Any], program: Program, name: str) -> str:
    """The text of a Provider document, with a test that carries the answer."""
    request = request_of(command)
    parts = urlsplit(request.url)
    model = str(request.body.get("model") or "") or _named(parts.path)
    if not model:
        raise Invalid("--from-curl", "neither the body nor the address names a model", "paste a call of a model")
    spoken = _format(parts.path, answer, program)
    auth = _auth(request)
    query = urlencode([pair for pair in parse_qsl(parts.query) if not _KEYED.search(pair[0])])
    path = parts.path.replace(model, "{model}") + (f"?{query}" if query else "")
    spec: dict[str, Any] = {
        "baseUrl": f"{parts.scheme}://{parts.netloc}",
        "formats": {spoken.name: {"path": path or "/"}},
        "auth": auth,
        "models": [model],
    }
    if auth["scheme"] != "none":
        spec["credential"] = {"secretRef": {"file": f"{name}.key"}}
    headers = {key: text for key, text in request.headers.items() if key not in _USUAL and not _KEYED.search(key)}
    if headers:
        spec["headers"] = {"set": headers}
    document = {"apiVersion": "gatewright/v1", "kind": "Provider", "metadata": {"name": name}, "spec": spec}
    return yaml.safe_dump(
        {**document, "tests": [_test(spoken, answer, program)]}, sort_keys=False, allow_unicode=True, width=120
    )


def _test(spoken: Format, answer: dict[str, Any], program: Program) -> dict[str, Any]:
    """The answer on its way to a caller of the same format, or of the first that takes answers."""
    to = (
        spoken.name
        if spoken.encode_response is not None
        else next(
            other.name
            for other in program.formats.values()
            if other.kind == spoken.kind and other.encode_response is not None
        )
    )
    first, second = (
        translate(program, spoken.name, to, "response", WireMessage(answer, request={}, ctx={})).result
        for _ in range(2)
    )
    same = {key: value for key, value in first.items() if second.get(key) == value}  # what is drawn by chance is not
    return {
        "name": "the sample answer reaches a caller",
        "translate": {"from": spoken.name, "to": to, "what": "response"},
        "input": answer,
        "expectPart": same,
    }


def _format(path: str, answer: dict[str, Any], program: Program) -> Format:
    """The format that reads the answer; of several the one whose own path the address ends with."""
    fitting = [endpoint.format for endpoint in program.endpoints if path.endswith(_tail(endpoint.path))]
    for name in dict.fromkeys([*fitting, *program.formats]):
        spoken = program.formats[name]
        if spoken.kind == "conversation" and _reads(spoken, answer):
            return spoken
    raise Invalid("--answer", "no format reads this answer", "declare its format: docs/declare-a-wire-format.md")


def _reads(spoken: Format, answer: dict[str, Any]) -> bool:
    if spoken.decode_response is None:
        return False
    try:
        hub = spoken.decode_response([], answer, {}, {}, {"model": "", "traits": {}})
        counted = spoken.usage.at([], answer, "", {}) if spoken.usage.at is not None else None
    except Exception:  # another format's answer may be of any shape
        return False
    return isinstance(hub, dict) and bool(hub.get("parts")) and counted is not None


def _tail(path: str) -> str:
    return path.rpartition("/")[2].rpartition("}")[2] or path


def _named(path: str) -> str:
    match = re.search(r"/(?:models?|deployments)/([^/:]+)", path)
    return match[1] if match else ""


def _auth(request: Request) -> dict[str, str]:
    if request.headers.get("authorization", "").lower().startswith("bearer "):
        return {"scheme": "bearer"}
    for name in request.headers:
        if _KEYED.search(name):
            return {"scheme": "header", "name": name}
    for name, _ in parse_qsl(urlsplit(request.url).query):
        if _KEYED.search(name):
            return {"scheme": "query", "name": name}
    return {"scheme": "none"}
