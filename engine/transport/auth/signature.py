"""Signatures over a request by a declared recipe: canonical request, string to sign, a chain of keys, HMAC-SHA256.

Several clouds sign like this and differ in words alone: the name of the algorithm, which headers are signed, how time
is written, what the keys are derived from. A recipe says those; see ``spec.auth.sign`` of a Provider.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from engine.transport.auth.parts import fill
from engine.transport.spool import Body, steps
from engine.transport.url import Url

_DAYS = {"compact": "%Y%m%d", "dashed": "%Y-%m-%d"}
_UNRESERVED = "-_.~"


def sign(
    recipe: Mapping[str, Any],
    words: Mapping[str, str],
    headers: list[tuple[str, str]],
    url: Url,
    method: str,
    body: Body,
    now: float,
) -> None:
    """Put time, hash and ``Authorization`` into the headers of a request; ``now`` in unix seconds."""
    moment = datetime.fromtimestamp(now, UTC)
    basic = moment.strftime("%Y%m%dT%H%M%SZ")
    stamp = str(int(now)) if recipe["time"].get("as") == "unix" else basic
    words = {**words, "day": moment.strftime(_DAYS[recipe.get("day", "compact")])}
    hashed = _hashed(body)
    headers.append((recipe["time"]["header"], stamp))
    if recipe.get("hashHeader"):
        headers.append((recipe["hashHeader"], hashed))
    values = {"host": url.authority, **{name.lower(): " ".join(value.split()) for name, value in headers}}
    for name in recipe.get("lower") or ():
        values[name] = values.get(name, "").lower()
    names = sorted(name for name in recipe["signed"] if name in values)
    path, _, query = url.target.partition("?")
    canonical = "\n".join(
        (
            method,
            quote(path, safe=f"/{_UNRESERVED}") if recipe.get("path") == "encoded" else path,
            _canonical_query(query),
            *(f"{name}:{values[name]}" for name in names),
            "",
            ";".join(names),
            hashed,
        )
    )
    scope = fill(recipe["scope"], words)
    text = "\n".join((recipe["algorithm"], stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = hmac.digest(_key(recipe["keys"], words), text.encode(), hashlib.sha256).hex()
    credential = f"Credential={words[recipe.get('id', 'id')]}/{scope}"
    authorization = f"{recipe['algorithm']} {credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    headers.append(("Authorization", authorization))


def _hashed(body: Body) -> str:
    digest = hashlib.sha256()
    for piece in steps(body):
        digest.update(piece)
    return digest.hexdigest()


def _key(chain: list[str], words: Mapping[str, str]) -> bytes:
    """Each text is signed with the key so far; the first is the first key."""
    key = fill(chain[0], words).encode()
    for text in chain[1:]:
        key = hmac.digest(key, fill(text, words).encode(), hashlib.sha256)
    return key


def _canonical_query(query: str) -> str:
    pairs = sorted(
        (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )
    return "&".join(f"{name}={value}" for name, value in pairs)
