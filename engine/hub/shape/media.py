"""Media in a form and of a kind that the target takes.

Declared per kind: ``{url: keep|fetch|refuse, data: bool, id: bool, types: [mime], max_bytes}``, or ``false`` when the
kind is not taken at all. Fetching is done by a callable given from outside; this module does no I/O.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any

from engine.bounds import FETCHES
from engine.errors import CallError, Refusal
from engine.hub.shape.work import Work
from engine.hub.types import Part

MOST_FETCHED = FETCHES.most
_KINDS = frozenset({"image", "audio", "video", "file"})
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
    found = [place for place in work.places() if place[1][place[2]].get("type") in _KINDS]
    fetched = _fetch(work, found, rules)
    for path, parts, index in found:
        part = parts[index]
        rule = rules.get(part["type"])
        if rule is None:
            continue
        none = isinstance(rule, dict) and rule.get("url") == "refuse" and rule.get("data") is False
        if rule is False or (none and not rule.get("id")):
            raise Refusal(path, f"the provider's format takes no {part['type']}")
        if isinstance(rule, dict):
            parts[index] = _fitted(part, rule, path, work, fetched)


def _fetch(work: Work, found: list[tuple[str, list[Part], int]], rules: dict[str, Any]) -> dict[str, tuple[str, bytes]]:
    """All addresses whose content the target wants inline."""
    wanted: dict[str, str] = {}
    for path, parts, index in found:
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
    got: dict[str, tuple[str, bytes]] = {}
    for url, file in work.fetch(list(wanted)).items():
        if isinstance(file, CallError):
            raise Refusal(f"{wanted[url]}.source.url", str(file))
        got[url] = file
    return got


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
    try:
        content = b64decode(source["data"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Refusal(f"{path}.source.data", "is not valid base64") from None
    most = rule.get("max_bytes")
    if most and len(content) > most:
        raise Refusal(path, f"has {len(content)} bytes, the provider's format takes {most} at most")
    mime = source.get("mime") or next((mime for magic, mime in _MAGIC if content.startswith(magic)), None)
    types = rule.get("types")
    if types and mime and mime.split(";")[0].strip().lower() not in types:
        raise Refusal(path, f"is {mime}, the provider's format takes {', '.join(types)}")
    return part if source.get("mime") or not mime else {**part, "source": {**source, "mime": mime}}
