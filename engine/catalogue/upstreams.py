"""What upstreams say of themselves: their models, their balance. Paths are those of the provider's document.

Every call goes through the channel's proxy and the guard of what carries it (``through`` takes a proxy and gives that);
sizes and times are bounded.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from engine.catalogue import channels
from engine.errors import Conflict
from engine.routing import rows as routing_rows
from engine.storage.database import Database
from engine.storage.rows import channel_edits
from engine.texts import refusal
from engine.transport import auth
from engine.transport.faults import TransportError
from engine.transport.fetch import fetch

if TYPE_CHECKING:
    from engine.program import Program, Provider
    from engine.transport.leg import Pool
    from engine.transport.proxied import Sender

    Way = Pool | Sender
    Through = Callable[[str], Way]
_LIMIT = 4 * 1024 * 1024
_MODELS = "/v1/models"
_MOST = 5_000


def provider_of(program: Program, kind: int, key: str = "") -> Provider | None:
    """The provider that a channel type means, for a key of its form."""
    names = program.legacy.get(("newApi", kind))
    return routing_rows.fitting(program, names, key) if names else None


def _read(pool: Way, provider: Provider, base: str, key: str, path: str) -> Any:
    """The JSON that an upstream answers below its address."""
    headers: list[tuple[str, str]] = [("accept", "application/json")]
    headers += [
        (name, value) for name, value in provider.headers.items() if isinstance(value, str) and "{" not in value
    ]
    try:
        token = _token(pool, provider, key, base)
        url, _ = auth.apply(provider.auth, key, headers, base.rstrip("/") + path, "GET", token=token)
        raw, _ = fetch(pool, url, limit=_LIMIT, headers=headers)
        return orjson.loads(raw)
    except TransportError as error:
        raise refusal(Conflict, "channel.away", what=error.public) from None
    except orjson.JSONDecodeError:
        raise refusal(Conflict, "channel.away", what="its answer is no JSON") from None


def _token(pool: Way, provider: Provider, key: str, base: str) -> str | None:
    """What the key is exchanged for, where it does not go up itself; asked for anew, as nobody waits for much here."""

    def send(method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        answer = pool.send(method, url, headers, body)
        return answer.status, answer.read(_LIMIT)

    return auth.Tokens().get(provider.auth, key, base, send) if auth.exchanges(provider.auth, key) else None


def models(through: Through, program: Program, kind: int, base: str, key: str, proxy: str = "") -> list[str]:
    """The models that an upstream lists."""
    provider = provider_of(program, kind, key)
    if provider is None:
        raise refusal(Conflict, "channel.balance.none")
    path = provider.discover.get("path") or _MODELS
    body = _read(_way(through, provider, proxy), provider, base or provider.base_url, key, path)
    listed = body.get("data") or body.get("models") if isinstance(body, dict) else body
    at = str(provider.discover.get("nameAt") or "id")
    names = [_name(entry, at) for entry in listed[:_MOST]] if isinstance(listed, list) else []
    return list(dict.fromkeys(name for name in names if name))


def _name(entry: Any, at: str) -> str:
    if isinstance(entry, dict):
        return str(entry.get(at) or entry.get("name") or "").removeprefix("models/")[:255]
    return entry[:255] if isinstance(entry, str) else ""


def first_key(row: dict[str, Any]) -> str:
    """The key that is asked with: of several the first."""
    keys = channels.keys_of(row.get("key") or "", row.get("type") or 0)
    return keys[0] if keys else ""


def models_of(through: Through, program: Program, row: dict[str, Any]) -> list[str]:
    """The models that a channel's upstream lists."""
    return models(through, program, row.get("type") or 0, row.get("base_url") or "", first_key(row), _proxy(row))


def _proxy(row: dict[str, Any]) -> str:
    """The proxy that a channel's calls go through; empty for none of its own."""
    try:
        setting = orjson.loads(row.get("setting") or "{}")
    except orjson.JSONDecodeError:
        return ""
    proxy = setting.get("proxy") if isinstance(setting, dict) else ""
    return proxy.strip() if isinstance(proxy, str) else ""


def _way(through: Through, provider: Provider, proxy: str) -> Way:
    try:
        return through(proxy or provider.proxy or "")
    except TransportError as error:
        raise refusal(Conflict, "channel.away", what=error.public) from None


def tells_balance(program: Program, row: dict[str, Any]) -> bool:
    """Whether a channel's provider says what its account has left."""
    provider = provider_of(program, row.get("type") or 0, first_key(row))
    several = channels.info_of(row).get("is_multi_key")
    return provider is not None and bool(provider.discover.get("balance")) and not several


def balance(through: Through, program: Program, db: Database, row: dict[str, Any]) -> float:
    """What a channel's account still has, in dollars; it is noted in the row."""
    if channels.info_of(row).get("is_multi_key"):
        raise refusal(Conflict, "channel.balance.multi")
    key = first_key(row)
    provider = provider_of(program, row.get("type") or 0, key)
    rules = (provider.discover.get("balance") or {}) if provider is not None else {}
    if provider is None or not rules:
        raise refusal(Conflict, "channel.balance.none")
    base, pool = row.get("base_url") or provider.base_url, _way(through, provider, _proxy(row))
    amount = _amount(_read(pool, provider, base, key, rules["limit"]), rules["limitAt"])
    if rules.get("used"):
        today = datetime.datetime.now(datetime.UTC).date()
        path = rules["used"].replace("{from}", str(today - datetime.timedelta(days=100))).replace("{to}", str(today))
        amount -= _amount(_read(pool, provider, base, key, path), rules["usedAt"]) / float(rules.get("usedPer") or 1)
    values = {"balance": amount, "balance_updated_time": int(time.time())}
    channel_edits.change(db, {row["id"]: values}, quiet=True)
    return amount


def _amount(body: Any, name: str) -> float:
    value = body.get(name) if isinstance(body, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal(Conflict, "channel.away", what=f"its answer has no {name}")
    return float(value)
