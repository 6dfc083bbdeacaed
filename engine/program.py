"""What a compiled document set is at run time: an immutable Program, and how to load one from its artefact.

Both halves meet here: the compiler writes an artefact, workers load it. Knows nothing of YAML, expressions, HTTP or
databases; needs only the filters that generated functions call.

An artefact is ``marshal`` of ``{"version", "python", "hash", "code", "data"}``. ``code`` is the generated module, a
code object; ``data`` is a tree of plain values in which a function is written as its name in that module ("fn" below;
``None`` where the document says nothing). Functions take the loss report ``_r`` first and are called by position:

    data       {formats: [format], providers: [provider], aliases: [alias], channels: [channel], policy: {},
                legacy: [[numbering, number, provider name]]}
    format     {name, dialect, passthroughAs, keys, credentials, headers, shape,
                endpoints: [{operation, method, path, aliases, model: fn, stream: fn | bool, framing: fn | str}],
                request: {schema, decode: fn, encode: fn, droppable: [], reads: [], hubReads: []},
                response: {decode: fn, encode: fn},
                stream: {framing, marks, parts, ends, oneOpen, accepts, items, ping, decode: fn, encode: {event: fn}},
                usage: {at: fn, counts}, error: {decode: fn, encode: fn, status, rules: [rule]},
                models: {list: fn, get: fn}, countTokens: {decode: fn, encode: fn}}
    rule       {status: [429, "5xx"] | None, when: fn, meaning}
    provider   {name, baseUrl, formats: {format: {path, stream, headers}}, auth, headers, requestPatches: [patch],
                errors: [rule], errorBody: fn, usage, models, credential, groups, timeouts, discover, proxy, price}
    patch      {when: fn, format, drop: [path], rename: {path: path}, default: {path: fn}, set: {path: fn}}
    alias      {name, match, groups: [name], except: [pattern], model: fn, hub: fn, wire: {format: [patch]}, priority}
    channel    {name, provider, models, groups, priority, weight, credential, modelMapping, baseUrl, format, enabled}

Arguments after ``_r``: endpoint (body, path, query, header); request.decode (body, path, query, header, ctx) and
encode (request, ctx); response.decode (body, header, request, ctx) and encode (response, request, ctx); stream.decode
(event, data, header, request, ctx) and encode (event, part, item, message, request, ctx); usage.at (body); error.decode,
rule.when and errorBody (status, header, body); error.encode (error, ctx); models.list (models, ctx) and get (model,
ctx); countTokens.decode (body, ctx) and encode (count, ctx); a provider's patch (model, body, format); an alias (each
of ``groups``), then ``request`` for hub and ``body`` for its patches. Only name, and what a thing can't be without,
must be present in ``data``; the rest has defaults.
"""

from __future__ import annotations

import importlib.util
import marshal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType, MappingProxyType
from typing import Any, cast

import jsonschema_rs
import re2

from engine import filters

Function = Callable[..., Any]
Report = list[tuple[str, str]]
Json = Any

VERSION = 1
PYTHON = importlib.util.MAGIC_NUMBER
_EMPTY: Mapping[str, Any] = MappingProxyType({})


class ArtefactError(ValueError):
    """Bytes that are no artefact of this version of the program."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route that a format is served on; ``model``, ``stream``, ``framing`` are functions or constants."""

    format: str
    operation: str
    method: str
    path: str
    aliases: tuple[str, ...]
    model: Function | None
    stream: Function | bool | None
    framing: Function | str | None


@dataclass(frozen=True, slots=True)
class Stream:
    """How a format streams: framing, what ends it, what it can carry, and its mappings."""

    framing: dict[str, Any]
    marks: dict[str, Any]
    parts: dict[str, str]
    ends: dict[str, bool]
    one_open: bool
    accepts: frozenset[str]
    items: dict[str, list[str]]
    ping: dict[str, Any]
    decode: Function | None
    encode: dict[str, Function]


@dataclass(frozen=True, slots=True)
class UsageRules:
    """Where an answer holds its counts and what each of them means."""

    at: Function | None
    counts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One line of an error map; ``when(_r, status, header, body)`` may be missing, and so may the status test."""

    status: frozenset[int | str]
    when: Function | None
    meaning: str

    def matches(self, status: int, header: Mapping[str, str], body: Json) -> bool:
        """Does an answer fall under this rule? A rule without status holds only if its condition does."""
        if self.status:
            if status not in self.status and f"{status // 100}xx" not in self.status:
                return False
        elif self.when is None:
            return False
        return self.when is None or bool(self.when([], status, header, body))


@dataclass(frozen=True, slots=True)
class ErrorRules:
    """A format's errors, both ways."""

    decode: Function | None
    rules: tuple[ErrorRule, ...]
    encode: Function | None
    status: dict[str, int]


@dataclass(frozen=True, slots=True)
class Format:
    """A wire format: where it is served and how each of its messages maps to the hub and back."""

    name: str
    dialect: str
    passthrough_as: str
    keys: dict[str, Any]
    endpoints: tuple[Endpoint, ...]
    credentials: tuple[dict[str, str], ...]
    headers: dict[str, Any]
    request_schema: Any
    decode_request: Function | None
    encode_request: Function | None
    decode_response: Function | None
    encode_response: Function | None
    stream: Stream | None
    usage: UsageRules
    error: ErrorRules
    models_list: Function | None
    model_get: Function | None
    count_decode: Function | None
    count_encode: Function | None
    shape: dict[str, Any]
    request_reads: frozenset[str]
    droppable: frozenset[str]
    hub_reads: frozenset[str]


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes to a wire body: drop, rename, default, set, in this order; keys may be dotted paths."""

    when: Function | None
    format: str | None
    drop: tuple[tuple[str, ...], ...]
    rename: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    default: tuple[tuple[tuple[str, ...], Function], ...]
    set: tuple[tuple[tuple[str, ...], Function], ...]

    def applies(self, *variables: Json) -> bool:
        """Whether its condition holds for these variables (in the order its functions take them)."""
        return self.when is None or bool(self.when([], *variables))

    def apply(self, report: Report, body: dict[str, Any], *variables: Json) -> dict[str, Any]:
        """The patched body; the given one stays as it was."""
        body = dict(body)
        for path in self.drop:
            _take(body, path)
        for old, new in self.rename:
            value = _take(body, old)
            if value is not _MISSING:
                _put(body, new, value)
        for path, function in self.default:
            if _peek(body, path) is None:
                _put_unless_nothing(body, path, function(report, *variables))
        for path, function in self.set:
            _put_unless_nothing(body, path, function(report, *variables))
        return body


@dataclass(frozen=True, slots=True)
class Hop:
    """How a provider speaks one format: paths under its base URL, and headers to set."""

    path: str
    stream_path: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream service."""

    name: str
    base_url: str
    formats: dict[str, Hop]
    auth: dict[str, Any]
    headers: dict[str, Any]
    patches: tuple[Patch, ...]
    error_rules: tuple[ErrorRule, ...]
    error_body: Function | None
    usage: dict[str, Any]
    models: tuple[str, ...]
    credential: dict[str, str] | None
    groups: tuple[str, ...]
    timeouts: dict[str, float]
    discover: dict[str, Any]
    proxy: str | None
    price: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alias:
    """A pattern on the asked model name, the model it stands for, and what it changes."""

    name: str
    pattern: Any
    groups: tuple[str, ...]
    exceptions: tuple[Any, ...]
    model_function: Function | None
    hub_function: Function | None
    wire: dict[str, tuple[Patch, ...]]
    priority: int

    def match(self, name: str) -> dict[str, str | None] | None:
        """The named groups if the whole name matches and no exception does."""
        found = self.pattern.fullmatch(name)
        if found is None or any(pattern.fullmatch(name) for pattern in self.exceptions):
            return None
        return cast("dict[str, str | None]", found.groupdict())

    def model(self, groups: Mapping[str, str | None]) -> str | None:
        """The model that is meant."""
        function = self.model_function
        return None if function is None else cast("str | None", function([], *self._arguments(groups)))

    def hub(self, report: Report, groups: Mapping[str, str | None], request: Json) -> dict[str, Any] | None:
        """What to merge into the hub request."""
        function = self.hub_function
        if function is None:
            return None
        return cast("dict[str, Any] | None", function(report, *self._arguments(groups), request))

    def patch(
        self, report: Report, format_name: str, groups: Mapping[str, str | None], body: dict[str, Any]
    ) -> dict[str, Any]:
        """The wire body of a same-format hop, patched."""
        arguments = self._arguments(groups)
        for patch in self.wire.get(format_name, ()):
            if patch.applies(*arguments, body):
                body = patch.apply(report, body, *arguments, body)
        return body

    def _arguments(self, groups: Mapping[str, str | None]) -> list[str | None]:
        return [groups.get(name) for name in self.groups]


@dataclass(frozen=True, slots=True)
class Channel:
    """A provider with a credential, serving models to groups."""

    name: str
    provider: str
    models: tuple[str, ...]
    groups: tuple[str, ...]
    priority: int
    weight: int
    credential: dict[str, str] | None
    model_mapping: dict[str, str]
    base_url: str | None
    format: str | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class Program:
    """All that the relay needs to know of the outside world. Its functions' results may share data: read only."""

    hash: str
    formats: dict[str, Format]
    providers: dict[str, Provider]
    aliases: tuple[Alias, ...]
    channels: tuple[Channel, ...]
    policy: dict[str, Any]
    endpoints: tuple[Endpoint, ...]
    legacy: dict[tuple[str, int], str]
    functions: dict[str, Function]
    """Every generated function by name, for spec tests and tools."""


def dump(digest: str, code: CodeType, data: dict[str, Any]) -> bytes:
    """The artefact of a generated module and its data."""
    return marshal.dumps({"version": VERSION, "python": PYTHON, "hash": digest, "code": code, "data": data})


def load(artefact: bytes) -> Program:
    """Run the generated module of an artefact and build its Program. Only for artefacts that we wrote ourselves."""
    try:
        content = marshal.loads(artefact)  # noqa: S302 - written by our own compiler below the data directory
        fits = content["version"] == VERSION and content["python"] == PYTHON
    except (ValueError, EOFError, TypeError, KeyError) as ex:
        raise ArtefactError(f"not a compiled program: {ex}; compile the documents again") from ex
    if not fits:
        raise ArtefactError("compiled by another version of the program or of Python; compile the documents again")
    return build(content["hash"], run(content["code"]), content["data"])


def run(code: CodeType) -> dict[str, Function]:
    """The functions of a generated module, by name."""
    namespace = filters.namespace()
    exec(code, namespace)  # noqa: S102 - emitted by engine.compiler from a checked syntax tree, with no builtins
    return {name: value for name, value in namespace.items() if name.startswith("m_")}


def build(digest: str, functions: dict[str, Function], data: dict[str, Any]) -> Program:
    """A Program from a module's functions and the plain data tree described above."""
    part = _Builder(functions)
    formats = {item["name"]: part.format(item) for item in data.get("formats", ())}
    aliases = sorted((part.alias(item) for item in data.get("aliases", ())), key=lambda alias: -alias.priority)
    return Program(
        hash=digest,
        formats=formats,
        providers={item["name"]: part.provider(item) for item in data.get("providers", ())},
        aliases=tuple(aliases),
        channels=tuple(_channel(item) for item in data.get("channels", ())),
        policy=data.get("policy") or {},
        endpoints=tuple(endpoint for item in formats.values() for endpoint in item.endpoints),
        legacy={(numbering, number): name for numbering, number, name in data.get("legacy", ())},
        functions=functions,
    )


class _Builder:
    """Turns plain data into parts of a Program; names of functions become the functions."""

    __slots__ = ("functions",)

    def __init__(self, functions: dict[str, Function]) -> None:
        self.functions = functions

    def function(self, name: str | None) -> Function | None:
        return None if name is None else self.functions[name]

    def needed(self, names: Mapping[str, str] | None) -> dict[str, Function]:
        return {key: self.functions[name] for key, name in (names or _EMPTY).items()}

    def format(self, data: dict[str, Any]) -> Format:
        request = data.get("request") or _EMPTY
        response = data.get("response") or _EMPTY
        usage = data.get("usage") or _EMPTY
        models = data.get("models") or _EMPTY
        count = data.get("countTokens") or _EMPTY
        stream = data.get("stream")
        return Format(
            name=data["name"],
            dialect=data.get("dialect") or data["name"],
            passthrough_as=data.get("passthroughAs") or data["name"],
            keys=data.get("keys") or {},
            endpoints=tuple(self.endpoint(data["name"], item) for item in data.get("endpoints") or ()),
            credentials=tuple(data.get("credentials") or ()),
            headers=data.get("headers") or {},
            request_schema=_validator(request.get("schema")),
            decode_request=self.function(request.get("decode")),
            encode_request=self.function(request.get("encode")),
            decode_response=self.function(response.get("decode")),
            encode_response=self.function(response.get("encode")),
            stream=None if stream is None else self.stream(stream),
            usage=UsageRules(self.function(usage.get("at")), usage.get("counts") or {}),
            error=self.error(data.get("error") or _EMPTY),
            models_list=self.function(models.get("list")),
            model_get=self.function(models.get("get")),
            count_decode=self.function(count.get("decode")),
            count_encode=self.function(count.get("encode")),
            shape=data.get("shape") or {},
            request_reads=frozenset(request.get("reads") or ()),
            droppable=frozenset(request.get("droppable") or ()),
            hub_reads=frozenset(request.get("hubReads") or ()),
        )

    def endpoint(self, format_name: str, data: dict[str, Any]) -> Endpoint:
        stream, framing = data.get("stream"), data.get("framing")
        return Endpoint(
            format=format_name,
            operation=data["operation"],
            method=data.get("method") or "POST",
            path=data["path"],
            aliases=tuple(data.get("aliases") or ()),
            model=self.function(data.get("model")),
            stream=self.function(stream) if isinstance(stream, str) else stream,
            framing=self.functions.get(framing, framing) if isinstance(framing, str) else None,
        )

    def stream(self, data: dict[str, Any]) -> Stream:
        return Stream(
            framing=data.get("framing") or {},
            marks=data.get("marks") or {},
            parts=data.get("parts") or {},
            ends=data.get("ends") or {},
            one_open=bool(data.get("oneOpen")),
            accepts=frozenset(data.get("accepts") or ()),
            items=data.get("items") or {},
            ping=data.get("ping") or {},
            decode=self.function(data.get("decode")),
            encode=self.needed(data.get("encode")),
        )

    def error(self, data: Mapping[str, Any]) -> ErrorRules:
        return ErrorRules(
            decode=self.function(data.get("decode")),
            rules=self.rules(data.get("rules")),
            encode=self.function(data.get("encode")),
            status=data.get("status") or {},
        )

    def rules(self, data: list[dict[str, Any]] | None) -> tuple[ErrorRule, ...]:
        return tuple(
            ErrorRule(frozenset(item.get("status") or ()), self.function(item.get("when")), item["meaning"])
            for item in data or ()
        )

    def patch(self, data: dict[str, Any]) -> Patch:
        return Patch(
            when=self.function(data.get("when")),
            format=data.get("format"),
            drop=tuple(_path(path) for path in data.get("drop") or ()),
            rename=tuple((_path(old), _path(new)) for old, new in (data.get("rename") or {}).items()),
            default=tuple((_path(path), name) for path, name in self.needed(data.get("default")).items()),
            set=tuple((_path(path), name) for path, name in self.needed(data.get("set")).items()),
        )

    def provider(self, data: dict[str, Any]) -> Provider:
        hops = {
            name: Hop(hop["path"], hop.get("stream") or hop["path"], hop.get("headers") or {})
            for name, hop in (data.get("formats") or {}).items()
        }
        return Provider(
            name=data["name"],
            base_url=data["baseUrl"],
            formats=hops,
            auth=data.get("auth") or {},
            headers=data.get("headers") or {},
            patches=tuple(self.patch(item) for item in data.get("requestPatches") or ()),
            error_rules=self.rules(data.get("errors")),
            error_body=self.function(data.get("errorBody")),
            usage=data.get("usage") or {},
            models=tuple(data.get("models") or ()),
            credential=data.get("credential"),
            groups=tuple(data.get("groups") or ()),
            timeouts=data.get("timeouts") or {},
            discover=data.get("discover") or {},
            proxy=data.get("proxy"),
            price=data.get("price") or {},
        )

    def alias(self, data: dict[str, Any]) -> Alias:
        wire = data.get("wire") or {}
        return Alias(
            name=data["name"],
            pattern=re2.compile(data["match"]),
            groups=tuple(data.get("groups") or ()),
            exceptions=tuple(re2.compile(pattern) for pattern in data.get("except") or ()),
            model_function=self.function(data.get("model")),
            hub_function=self.function(data.get("hub")),
            wire={name: tuple(self.patch(item) for item in patches) for name, patches in wire.items()},
            priority=data.get("priority") or 0,
        )


def _channel(data: dict[str, Any]) -> Channel:
    return Channel(
        name=data["name"],
        provider=data["provider"],
        models=tuple(data.get("models") or ()),
        groups=tuple(data.get("groups") or ("default",)),
        priority=data.get("priority") or 0,
        weight=data.get("weight", 1),
        credential=data.get("credential"),
        model_mapping=data.get("modelMapping") or {},
        base_url=data.get("baseUrl"),
        format=data.get("format"),
        enabled=data.get("enabled", True),
    )


def _no_retrieval(uri: str) -> Json:
    raise ValueError(f"a schema may refer only to itself, not to {uri}")


def _validator(schema: Json) -> Any:
    return None if schema is None else jsonschema_rs.validator_for(schema, retriever=_no_retrieval)


_MISSING: Any = object()


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split("."))


def _peek(body: Json, path: tuple[str, ...]) -> Json:
    for key in path:
        if not isinstance(body, dict):
            return None
        body = body.get(key)
    return body


def _owner(body: dict[str, Any], path: tuple[str, ...], *, make: bool) -> dict[str, Any] | None:
    """The map that holds a path's last key; every map on the way is copied, so that the caller's stays untouched."""
    for key in path[:-1]:
        inner = body.get(key)
        if inner is None and make:
            inner = {}
        if not isinstance(inner, dict):
            return None
        body[key] = body = dict(inner)
    return body


def _take(body: dict[str, Any], path: tuple[str, ...]) -> Json:
    owner = _owner(body, path, make=False)
    return _MISSING if owner is None else owner.pop(path[-1], _MISSING)


def _put(body: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    owner = _owner(body, path, make=True)
    if owner is not None:
        owner[path[-1]] = value


def _put_unless_nothing(body: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    if value is not None:
        _put(body, path, None if value is filters.NULL else value)
