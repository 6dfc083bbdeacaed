"""What a gateway understands: each dialect of callers, by each model, by each feature, asked over HTTP and looked at.

The questions are data (``templates/conformance.yaml``). Any gateway can be asked; a model of its own answers,
and what a small model may do otherwise (a tool that it does not call) is told as a difference too.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import orjson
import yaml

from engine import paths
from engine.errors import Invalid, Unavailable

_SECONDS = 120
_MOST = 4 * 1024 * 1024
FEATURES = (
    "whole", "stream", "tools", "tools streamed", "results", "images", "usage", "usage streamed", "limit", "errors"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One cell of the table; ``wrong`` is empty where all was as it should be."""

    model: str
    dialect: str
    feature: str
    wrong: str


def models(base: str, key: str) -> list[str]:
    """The models that the gateway lists for a key; raises ``Unavailable`` where it does not answer so."""
    status, raw = _send("GET", f"{base}/v1/models", {"authorization": f"Bearer {key}"}, None)
    try:
        return [str(each["id"]) for each in orjson.loads(raw)["data"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Unavailable(
            f"{base}/v1/models answered with status {status} and no list; name one with --model"
        ) from None


def run(base: str, key: str, models: Sequence[str]) -> Iterator[Check]:
    """Ask everything of each model, one after another: models of providers of several dialects make the pairs.

    Raises ``Unavailable`` where nobody answers at all.
    """
    _send("GET", base.rstrip("/") + "/", {}, None)
    table = yaml.safe_load((paths.TEMPLATES / "conformance.yaml").read_bytes())
    for model in models:
        words = {"key": key, "model": model, "picture": table["picture"]}
        for dialect, terms in table["dialects"].items():
            for feature in FEATURES:
                wrong = _asked(base.rstrip("/"), terms, terms["features"][feature], words)
                yield Check(model, dialect, feature, wrong)


def _asked(base: str, terms: Mapping[str, Any], feature: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """What is wrong with the answer to one question."""
    body = _filled({**terms["body"], **feature.get("body", {})}, words)
    headers = _filled(terms["headers"], words)
    try:
        status, raw = _send("POST", base + _filled(feature.get("path", terms["path"]), words), headers, body)
    except Unavailable as error:
        return str(error)
    if status not in feature.get("status", [200]):
        return f"status {status}: {raw[:200].decode('utf-8', 'replace')}"
    datas = [line[5:].strip().decode("utf-8", "replace") for line in raw.splitlines() if line.startswith(b"data:")]
    if "last" in feature and datas[-1:] != [feature["last"]]:
        return f"the stream does not end with {feature['last']}"
    answers = [value for text in datas or [raw.decode("utf-8", "replace")] if (value := _json(text)) is not None]
    for place, wanted in feature["expect"].items():
        found = [value for answer in answers if (value := _at(answer, place)) not in (None, "")]
        if not any(_is(value, wanted) for value in found):
            return f"{place} is {found[0] if found else 'not there'}, expected {wanted}"[:300]
    return ""


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    """The same with key, model and picture in their places."""
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace(f"{{{name}}}", word)
        return value
    if isinstance(value, dict):
        return {name: _filled(each, words) for name, each in value.items()}
    return [_filled(each, words) for each in value] if isinstance(value, list) else value


def _at(value: Any, place: str) -> Any:
    for name in place.split("."):
        if isinstance(value, list):
            value = value[int(name)] if name.isdigit() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _is(value: Any, wanted: Any) -> bool:
    if wanted == "text":
        return isinstance(value, str)
    if wanted == "number":
        return type(value) is int and value >= 0
    if wanted == "count":
        return type(value) is int and value > 0
    if wanted == "json":
        return isinstance(_json(value) if isinstance(value, str) else value, dict)
    return bool(value == wanted)


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _send(method: str, url: str, headers: Mapping[str, str], body: Any) -> tuple[int, bytes]:
    if not url.startswith(("https://", "http://")):
        raise Invalid("URL", f"{url!r} is no address", "write https://HOST")
    data = None if body is None else orjson.dumps(body)
    sent = {"content-type": "application/json", "accept": "*/*", "user-agent": "gatewright", **headers}
    request = urllib.request.Request(url, data, sent, method=method)  # noqa: S310 - looked at above
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return answer.status, answer.read(_MOST)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(_MOST)
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"no answer: {error}") from None
