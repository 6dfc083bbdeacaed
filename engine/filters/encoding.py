"""Filters between text and other writings of it: JSON, base64, data URLs, short ids."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from functools import lru_cache
from typing import Any

from engine.filters.operations import compact
from engine.filters.record import Filter


def _constant(name: str) -> None:
    """JSON knows no NaN and no infinity."""
    raise ValueError(name)


# PERF: a decoder made once; json.loads with an option makes one for each call (5 us)
_DECODER = json.JSONDecoder(parse_constant=_constant)


def parse(text: Any) -> Any:
    """JSON text as data; None if it is none (or the JSON text ``null``)."""
    if type(text) is not str:
        return None
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _object(value: Any, report: list[tuple[str, str]]) -> dict[str, Any]:
    result = parse(value)
    if type(result) is dict:
        return result
    if value != "":
        report.append(("arguments", "are not a JSON object; sent as {}"))
    return {}


def _tojson(value: Any) -> str:
    return compact(value)


def _b64encode(value: Any) -> str | None:
    if type(value) is not str:
        return None
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")


def _b64decode(value: Any) -> str | None:
    if type(value) is not str:
        return None
    try:
        padded = value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4)
        return base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _b64standard(value: Any) -> str | None:
    """What is no base64 either stays as it is, so that whoever refuses it can say where it came from.

    PERF: media are long and nearly always standard already: two searches and no copy then (0.2 ms for 4 MB).
    """
    if type(value) is not str:
        return None
    lacking = -len(value) % 4
    if not lacking and "-" not in value and "_" not in value:
        return value
    standard = value.replace("-", "+").replace("_", "/") + "=" * lacking
    try:
        base64.b64decode(standard, validate=True)
    except (binascii.Error, ValueError):
        return value
    return standard


def _data_url(value: Any, mime: Any = None) -> str | None:
    if type(value) is not str:
        return None
    return f"data:{mime if type(mime) is str else 'application/octet-stream'};base64,{value}"


def _is_data_url(value: Any) -> bool:
    return type(value) is str and value[:5].lower() == "data:" and "," in value[:256]


def _parse_data_url(value: Any) -> dict[str, str] | None:
    if not _is_data_url(value):
        return None
    head, _, data = value.partition(",")
    words = [word.strip() for word in head[5:].split(";")]
    if words[-1].lower() == "base64":
        words.pop()
    else:
        data = base64.b64encode(_percent_decoded(data)).decode("ascii")
    return {"mime": words[0].lower() if words and words[0] else "text/plain", "data": data}


def _percent_decoded(text: str) -> bytes:
    first, *rest = text.encode("utf-8", "surrogatepass").split(b"%")
    pieces = [first]
    for piece in rest:
        try:
            pieces.append(bytes.fromhex(piece[:2].decode()) + piece[2:])
        except ValueError:
            pieces.append(b"%" + piece)
    return b"".join(pieces)


def _media_kind(value: Any) -> str | None:
    if type(value) is not str:
        return None
    kind = value.partition("/")[0].strip().lower()
    return kind if kind in ("image", "audio", "video") else "file"


def _hash_id(value: Any, prefix: Any = "") -> str:
    short = type(value) is str and len(value) < _SHORT
    return (prefix if type(prefix) is str else "") + (_kept_digest(value) if short else _digest(value))


def _digest(value: Any) -> str:
    return hashlib.sha256(compact(value).encode("utf-8", "surrogatepass")).hexdigest()[:24]


_SHORT = 256
_kept_digest = lru_cache(maxsize=4096)(_digest)
"""PERF: the chunks of a stream name the same few ids again and again."""

FILTERS = (
    Filter(
        "tojson",
        _tojson,
        "any",
        "text",
        "compact JSON; letters beyond ASCII as they are",
        (("{'a': [1, 'é']} | tojson", '{"a":[1,"é"]}'),),
        cost=8,
        longer=2,
        never_nothing=True,
        elsewhere=("to_json",),
    ),
    Filter(
        "fromjson",
        parse,
        "text",
        "any",
        "JSON text as data; nothing if it is not JSON",
        (("'[1]' | fromjson", [1]), ("'{' | fromjson", None), ("'NaN' | fromjson", None)),
        cost=4,
        elsewhere=("from_json",),
    ),
    Filter(
        "fromjson_object",
        _object,
        "text",
        "map",
        "JSON text as a map; anything else is {} with a line in the loss report (empty text is just {})",
        (("'{\"a\": 1}' | fromjson_object", {"a": 1}), ("'[1]' | fromjson_object", {}), ("'' | fromjson_object", {})),
        cost=4,
        never_nothing=True,
        reports=True,
        elsewhere=("tojson_object",),
    ),
    Filter(
        "b64encode",
        _b64encode,
        "text",
        "text",
        "the text's UTF-8 bytes in base64",
        (("'hé' | b64encode", "aMOp"),),
        longer=2,
    ),
    Filter(
        "b64decode",
        _b64decode,
        "text",
        "text",
        "the text whose UTF-8 bytes stand in base64; nothing if it is none",
        (("'aMOp' | b64decode", "hé"), ("'a' | b64decode", None)),
    ),
    Filter(
        "b64standard",
        _b64standard,
        "text",
        "text",
        "base64 that may be URL-safe (`-`, `_`) or lack its padding, as standard base64; other text as it is",
        (
            ("'-__-Aw' | b64standard", "+//+Aw=="),
            ("'+//+Aw==' | b64standard", "+//+Aw=="),
            ("'a!' | b64standard", "a!"),
        ),
        cost=0,
    ),
    Filter(
        "data_url",
        _data_url,
        "text",
        "text",
        "a data URL of base64 data",
        (("'QQ==' | data_url('image/png')", "data:image/png;base64,QQ=="),),
        ("mime?",),
    ),
    Filter(
        "is_data_url",
        _is_data_url,
        "text",
        "boolean",
        "is it a data URL",
        (("'data:image/png;base64,QQ==' | is_data_url", True), ("'https://a' | is_data_url", False)),
        cost=0,
        never_nothing=True,
    ),
    Filter(
        "parse_data_url",
        _parse_data_url,
        "text",
        "map",
        "mime type and base64 data of a data URL; nothing if it is none",
        (
            ("'data:image/png;base64,QQ==' | parse_data_url", {"mime": "image/png", "data": "QQ=="}),
            ("'data:,a%20b' | parse_data_url", {"mime": "text/plain", "data": "YSBi"}),
            ("'x' | parse_data_url", None),
        ),
    ),
    Filter(
        "media_kind",
        _media_kind,
        "text",
        "text",
        "image, audio, video or file, by a mime type",
        (("'image/png' | media_kind", "image"), ("'application/pdf' | media_kind", "file")),
        cost=0,
    ),
    Filter(
        "hash_id",
        _hash_id,
        "any",
        "text",
        "a short id that is always the same for the same value",
        (("'a' | hash_id('call_') | length", 29), ("1 | hash_id == 1 | hash_id", True)),
        ("prefix?",),
        cost=2,
        never_nothing=True,
    ),
)
