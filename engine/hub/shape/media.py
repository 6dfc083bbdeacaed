"""Media in a form and of a kind that the target takes.

Declared per kind: ``{url: keep|fetch|refuse, data: bool, id: bool, types: [mime], max_bytes, text: [mime]}``, or
``false`` when the kind is not taken at all. Fetching is done by a callable given from outside; this module does no
I/O.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Collection
from typing import Any

from engine.bounds import FETCHES
from engine.errors import CallError, Refusal
from engine.hub.shape.work import Work
from engine.hub.types import Part

MOST_FETCHED = FETCHES.most
_KINDS = frozenset({"image", "audio", "video", "file"})
_SPELLINGS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/x-flac": "audio/flac",
    "application/x-pdf": "application/pdf",
    "text/x-markdown": "text/markdown",
}
"""Usual other names of types, by which a target that names types may not know them."""
_TEXTS = ("text/*", "application/json", "application/xml", "application/yaml", "application/javascript")
"""Types of files that are texts."""
_MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"%PDF", "application/pdf"),
)


def fit(work: Work) -> None:
    """Check and convert every medium of the conversation."""
    rules: dict[str, Any] | None = work.rules.get("media")
    if not rules or not _KINDS & work.seen.kinds:
        return
    places = [place for place in work.places() if place[1][place[2]].get("type") in _KINDS]
    fetched = _fetch(work, places, rules)
    takes = (work.ctx.get("traits") or {}).get("takes")
    own = {id(message["parts"]) for message in work.messages if message["role"] == "assistant"}
    for path, parts, index in places:
        part = parts[index]
        rule = rules.get(part["type"])
        why = _untaken(part["type"], rule, takes)
        if why:
            parts[index] = _in_words(part, why, path, work, own=id(parts) in own)
        elif isinstance(rule, dict):
            parts[index] = _fitted(part, rule, path, work, fetched)
    for message in work.messages:
        if not all(message["parts"]):
            message["parts"] = [part for part in message["parts"] if part]


def _untaken(kind: str, rule: Any, takes: Collection[str] | None) -> str | None:
    """Why a kind of media is not taken at all."""
    if takes is not None and kind not in takes:
        return f"this model takes no {kind}"
    none = isinstance(rule, dict) and rule.get("url") == "refuse" and rule.get("data") is False
    if rule is False or (none and not rule.get("id")):
        return f"the provider's format takes no {kind}"
    return None


def _in_words(part: Part, why: str, path: str, work: Work, *, own: bool) -> Part:
    """What stands for a medium that isn't taken: a file's text; nothing for what the model itself showed once."""
    source = part.get("source") or {}
    text = source.get("text")
    if part["type"] == "file" and text is None and _is_text(_bare(source.get("mime")), _TEXTS) and source.get("data"):
        text = _as_text(source, _decoded(source, path), path)["text"]
    if part["type"] == "file" and text is not None:
        work.report(path, f"{why}; its text was sent")
        return {"type": "text", "text": f"{part['name']}\n\n{text}" if part.get("name") else text}
    if not own:
        raise Refusal(path, why)
    work.report(path, f"{why}; what the model itself had shown was left out", part)
    return {}


def _fetch(
    work: Work, places: list[tuple[str, list[Part], int]], rules: dict[str, Any]
) -> dict[str, tuple[str, bytes]]:
    """All addresses whose content the target wants inline."""
    wanted: dict[str, str] = {}
    for path, parts, index in places:
        rule = rules.get(parts[index]["type"])
        url = (parts[index].get("source") or {}).get("url")
        if url and isinstance(rule, dict) and rule.get("url", "keep") == "fetch":
            wanted.setdefault(url, path)
    if not wanted:
        return {}
    if work.fetch is None:
        raise Refusal(
            next(iter(wanted.values())), "the provider's format takes no addresses; send the content as base64"
        )
    if len(wanted) > MOST_FETCHED:
        raise Refusal(
            f"{list(wanted.values())[MOST_FETCHED]}.source.url",
            f"is one more than the {MOST_FETCHED} files that are fetched for a request; send the content as base64",
        )
    files: dict[str, tuple[str, bytes]] = {}
    for url, file in work.fetch(list(wanted)).items():
        if isinstance(file, CallError):
            raise Refusal(f"{wanted[url]}.source.url", str(file))
        files[url] = file
    return files


def _fitted(part: Part, rule: dict[str, Any], path: str, work: Work, fetched: dict[str, tuple[str, bytes]]) -> Part:
    source = part.get("source")
    if not isinstance(source, dict):
        raise Refusal(path, "names no source")
    if source.get("url"):
        if ":" not in source["url"]:
            raise Refusal(f"{path}.source.url", "is no address; send a URL or a data URL")
        how = rule.get("url", "keep")
        if how == "refuse":
            raise Refusal(f"{path}.source.url", "the provider's format takes no addresses; send the content as base64")
        if how == "fetch":
            mime, content = fetched[source["url"]]
            source = {"mime": source.get("mime") or mime, "data": b64encode(content).decode("ascii")}
            work.report(path, "the target takes no addresses; the content was fetched")
            part = {**part, "source": source}
    strange = work.kin is not None and work.ctx.get("format") not in work.kin
    if source.get("id") and (strange or not rule.get("id", True)):
        raise Refusal(f"{path}.source.id", "a file id means nothing to the provider's format; send the content")
    if source.get("data") is not None:
        part = _inline(part, source, rule, path)
    return part


def _inline(part: Part, source: dict[str, Any], rule: dict[str, Any], path: str) -> Part:
    if rule.get("data") is False:
        raise Refusal(f"{path}.source.data", "the provider's format takes addresses only")
    content = _decoded(source, path)
    most = rule.get("max_bytes")
    if most and len(content) > most:
        raise Refusal(path, f"has {len(content)} bytes, the provider's format takes {most} at most")
    mime = source.get("mime") or next((mime for magic, mime in _MAGIC if content.startswith(magic)), None)
    types = rule.get("types")
    bare = _bare(mime)
    if bare not in (types or ()) and _is_text(bare, rule.get("text") or ()):
        return {**part, "source": _as_text(source, content, path)}
    if types and bare not in types and _SPELLINGS.get(bare) in types:
        mime = bare = _SPELLINGS[bare]
        part = {**part, "source": {**source, "mime": mime}}
    elif mime and not mime.startswith(bare):
        part = {**part, "source": {**source, "mime": bare}}
    if types and mime and bare not in types:
        raise Refusal(path, f"is {mime}, the provider's format takes {', '.join(types)}")
    return part if part["source"].get("mime") or not mime else {**part, "source": {**source, "mime": mime}}


def _bare(mime: Any) -> str:
    """A media type without its parameters, in small letters."""
    return mime.split(";")[0].strip().lower() if isinstance(mime, str) else ""


def _decoded(source: dict[str, Any], path: str) -> bytes:
    try:
        return b64decode(source["data"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Refusal(f"{path}.source.data", "is not valid base64") from None


def _is_text(mime: str, declared: Collection[str]) -> bool:
    return bool(mime) and (mime in declared or f"{mime.partition('/')[0]}/*" in declared)


def _as_text(source: dict[str, Any], content: bytes, path: str) -> dict[str, Any]:
    """A text that came as base64, as such."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Refusal(f"{path}.source.data", "is no text in UTF-8, though its type says that it is text") from None
    rest = {key: value for key, value in source.items() if key not in ("data", "mime")}
    return {**rest, "mime": "text/plain", "text": text}
