"""Channels that say themselves what they speak and where: the routes of a row, as a provider's document reads them.

Takes the document's ``routed``, the row's text and the program; gives the provider with the formats that the routes
name, and rules for which calls go by which. Routes that can't stand beside one another in one channel are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.filters.patterns import Pattern, pattern

if TYPE_CHECKING:
    from engine.program import Program, Provider

_MOST = 100
_PATTERN = "re:"
_WHOLE, _STREAMED = ":generateContent", ":streamGenerateContent?alt=sse"
"""How addresses of formats that name the action in their path end."""


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """Calls in the formats ``asked`` for these models go in ``spoken``; no ``models``: for any."""

    asked: frozenset[str]
    spoken: str
    models: frozenset[str]
    patterns: tuple[Pattern, ...]

    def holds(self, asked: str, model: str) -> bool:
        """Whether it is for calls in this format for this model."""
        every = not self.models and not self.patterns
        return asked in self.asked and (
            every or model in self.models or any(rule.found(model) for rule in self.patterns)
        )


@dataclass(frozen=True, slots=True)
class Declared:
    """What a row declares: ``base_url`` is that of all its addresses, empty where they lie below the row's."""

    provider: Provider
    routes: tuple[DeclaredRoute, ...]
    base_url: str


def declared(program: Program, provider: Provider, said: str, column: str) -> Declared:
    """See the module; raises ``LookupError`` that names the route and says how it is mended."""
    routes = _routes(said, str(provider.routed.get("at") or ""), column)
    rules: list[DeclaredRoute] = []
    formats: dict[str, Any] = {}
    bases: set[str] = set()
    auths: list[Any] = []
    for number, route in enumerate(routes):
        where = f"its {column}, route {number + 1}"
        asked, spoken = _formats(program, provider, route, where)
        if not asked:
            continue
        base, path = _address(route, where)
        hop = _hop(provider, path)
        for name in spoken:
            if formats.setdefault(name, hop) != hop:
                raise LookupError(f"{where}: {name} is spoken at two addresses; make a channel for each")
        bases.add(base)
        auths.append(_auth(route.get("auth"), where))
        rules += [
            DeclaredRoute(asked if len(spoken) == 1 else frozenset({name}), name, *_models(route, where))
            for name in spoken
        ]
    if not rules:
        raise LookupError(f"its {column} declares no route that calls can go by")
    if len(bases) > 1:
        raise LookupError(f"its {column} names {len(bases)} hosts; make a channel for each")
    if any(auth != auths[0] for auth in auths):
        raise LookupError(f"its {column} sends the key in different ways; make a channel for each")
    provider = replace(provider, formats=formats, auth=auths[0] or provider.auth)
    return Declared(provider, tuple(rules), bases.pop())


def _routes(said: str, at: str, column: str) -> list[dict[str, Any]]:
    try:
        routes = json.loads(said or "null")
    except ValueError:
        routes = None
    routes = routes.get(at) if isinstance(routes, dict) else routes
    if (
        not isinstance(routes, list)
        or not routes
        or not all(isinstance(route, dict) for route in routes)
        or len(routes) > _MOST
    ):
        raise LookupError(f"its {column} must hold {at}: a list of 1 to {_MOST} routes, each a JSON object")
    return routes


def _formats(
    program: Program, provider: Provider, route: Mapping[str, Any], where: str
) -> tuple[frozenset[str], tuple[str, ...]]:
    """The formats that callers speak on the route's path, and those that go up; none of a path that lists models."""
    incoming = str(route.get("incoming_path") or "")
    served = [endpoint for endpoint in program.endpoints if incoming in (endpoint.path, *endpoint.aliases)]
    asked = frozenset(endpoint.format for endpoint in served if endpoint.operation == "generate")
    if not asked and any(endpoint.operation == "list_models" for endpoint in served):
        return frozenset(), ()
    if not asked:
        raise LookupError(f"{where}: {incoming[:80]!r} is no path that the gateway serves calls on")
    converter = route.get("converter") or "none"
    if converter == "none":
        return asked, tuple(sorted(asked))
    rule = (provider.routed.get("converters") or {}).get(converter)
    if rule is None or rule["from"] not in asked:
        known = [name for name, pair in (provider.routed.get("converters") or {}).items() if pair["from"] in asked]
        raise LookupError(f"{where}: converter {str(converter)[:80]!r} must be {' or '.join(['none', *known])}")
    return frozenset({rule["from"]}), (rule["to"],)


def _address(route: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Host, and path below it; no host where the path lies below the row's address."""
    address = str(route.get("upstream_path") or "")
    if address.startswith("/"):
        return "", address
    url = urlsplit(address)
    if url.scheme not in ("http", "https", "ws", "wss") or not url.netloc:
        raise LookupError(f"{where}: upstream_path must begin with a slash, or be a whole address")
    query = f"?{url.query}" if url.query else ""
    return f"{url.scheme.replace('ws', 'http')}://{url.netloc}", f"{url.path or '/'}{query}"


def _hop(provider: Provider, path: str) -> Any:
    """The provider's way of speaking, at this path."""
    streamed = path.removesuffix(_WHOLE) + _STREAMED if path.endswith(_WHOLE) else path
    first = next(iter(provider.formats.values()))
    return replace(first, path=path, stream_path=streamed)


def _auth(scheme: Any, where: str) -> dict[str, Any] | None:
    """How the key goes up; None: as the provider's document says."""
    if scheme is None:
        return None
    kind = scheme.get("type") if isinstance(scheme, dict) else None
    if kind == "none":
        return {"scheme": "none"}
    if kind not in ("header", "query") or not isinstance(scheme.get("name"), str) or not scheme["name"]:
        raise LookupError(f"{where}: auth must be {{type: none}}, or have the type header or query and a name")
    return {
        "scheme": kind,
        "name": scheme["name"],
        "value": str(scheme.get("value") or "{api_key}").replace("{api_key}", "{key}"),
    }


def _models(route: Mapping[str, Any], where: str) -> tuple[frozenset[str], tuple[Pattern, ...]]:
    names: Iterable[Any] = route.get("models") or ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        if names:
            raise LookupError(f"{where}: models must be a list of names")
        return frozenset(), ()
    try:
        patterns = tuple(pattern(f"^(?:{name.removeprefix(_PATTERN)})$") for name in names if name.startswith(_PATTERN))
    except ValueError as ex:
        raise LookupError(f"{where}: models holds a pattern that can't be read: {ex}") from None
    return frozenset(name for name in names if not name.startswith(_PATTERN)), patterns
