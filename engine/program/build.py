"""Artefact to Program: run the generated module, put its functions where the plain data names them.

Takes the bytes that the compiler wrote (layout: the package's docstring); gives a Program or an ArtefactError.
"""

from __future__ import annotations

import importlib.util
import marshal
from collections.abc import Mapping
from types import CodeType, MappingProxyType
from typing import Any

import jsonschema_rs

from engine import filters
from engine.filters.patterns import pattern
from engine.program import prices, refusals
from engine.program.parts import (
    Alias,
    Asks,
    Branch,
    Channel,
    Endpoint,
    Foreign,
    Format,
    Hop,
    Kept,
    Parameter,
    Program,
    Provider,
    Stored,
    Stream,
    UsageRequest,
    UsageRules,
    method_of,
)
from engine.program.patch import Function, Json, Patch
from engine.program.places import Places
from engine.program.refusals import ErrorMap, ErrorRule, ErrorRules
from engine.program.untold import Answers

VERSION = 5
PYTHON = importlib.util.MAGIC_NUMBER
_EMPTY: Mapping[str, Any] = MappingProxyType({})


class ArtefactError(ValueError):
    """Bytes that are no artefact of this version of the program."""


def dump(digest: str, code: tuple[CodeType, ...], data: dict[str, Any]) -> bytes:
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


def run(code: tuple[CodeType, ...]) -> dict[str, Function]:
    """The functions of a generated module, by name."""
    namespace = filters.namespace()
    for piece in code:
        exec(piece, namespace)  # noqa: S102 - emitted by engine.compiler from a checked syntax tree, with no builtins
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
        prices=prices.build(data.get("prices")),
    )


def _fields(data: dict[str, Any], section: str) -> Answers:
    """What a format's decode reads of its answers, whole or streamed, and what may be lost of them in silence."""
    found = data.get(section) or _EMPTY
    family = data.get("passthroughAs") or data["name"]
    return Answers(found.get("reads") or (), found.get("silent") or _EMPTY, family)


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
            model_at=tuple(_path(path) for path in data.get("modelAt") or ()),
            request_schema=_validator(request.get("schema")),
            decode_request=self.function(request.get("decode")),
            encode_request=self.function(request.get("encode")),
            decode_response=self.function(response.get("decode")),
            encode_response=self.function(response.get("encode")),
            stream=None if stream is None else self.stream(stream, _fields(data, "stream")),
            usage=UsageRules(self.function(usage.get("at")), usage.get("counts") or {}, bool(usage.get("running"))),
            error=self.error(data.get("error") or _EMPTY),
            models_list=self.function(models.get("list")),
            model_get=self.function(models.get("get")),
            count_decode=self.function(count.get("decode")),
            count_encode=self.function(count.get("encode")),
            stored=self.stored(data.get("stored")),
            shape=data.get("shape") or {},
            request_reads=frozenset(request.get("reads") or ()),
            droppable=frozenset(request.get("droppable") or ()),
            hub_reads=frozenset(request.get("hubReads") or ()),
            places=Places(request.get("places") or ()),
            fields=_fields(data, "response"),
            says=frozenset(response.get("says") or ()),
            foreign=self.foreign(request.get("foreign")),
            instruct=self.function(request.get("instruct")),
            asks=_asks(data.get("asks") or _EMPTY),
        )

    def endpoint(self, format_name: str, data: dict[str, Any]) -> Endpoint:
        model, stream, when = data.get("model"), data.get("stream"), data.get("when") or ()
        return Endpoint(
            format=format_name,
            operation=data["operation"],
            method=data.get("method") or method_of(data["operation"]),
            path=data["path"],
            aliases=tuple(data.get("aliases") or ()),
            when=tuple(next(iter(item.items())) for item in ([when] if isinstance(when, dict) else when)),
            model=_path(model) if isinstance(model, str) else None,
            stream=_path(stream) if isinstance(stream, str) else bool(stream),
            framing=data.get("framing") or {},
            framing_by=data.get("framingBy") or {},
        )

    def stream(self, data: dict[str, Any], fields: Answers) -> Stream:
        return Stream(
            framing=data.get("framing") or {},
            marks=data.get("marks") or {},
            parts=data.get("parts") or {},
            ends=data.get("ends") or {},
            one_open=bool(data.get("oneOpen")),
            accepts=frozenset(data.get("accepts") or ()),
            items=data.get("items") or {},
            item_id=self.function(data.get("itemId")),
            ping=data.get("ping") or {},
            starts=data.get("starts") or "",
            needs_sum=bool(data.get("needsSum")),
            usage_request=self.usage_request(data.get("usageRequest")),
            decode=self.function(data.get("decode")),
            encode=self.needed(data.get("encode")),
            fields=fields,
            texts=frozenset(data.get("texts") or ()),
            says=frozenset(data.get("says") or ()),
        )

    def usage_request(self, data: dict[str, Any] | None) -> UsageRequest | None:
        if data is None:
            return None
        return UsageRequest(tuple(data["path"]), self.function(data.get("chunkWhen")))

    def foreign(self, data: dict[str, Any] | None) -> Foreign | None:
        if data is None:
            return None
        return Foreign(tuple(mark.encode() for mark in data["marks"]), self.functions[data["clean"]])

    def stored(self, data: dict[str, Any] | None) -> Stored | None:
        if data is None:
            return None
        return Stored(
            field=data["field"],
            keep=data["keep"],
            input=data["input"],
            output=data["output"],
            id=data["id"],
            prefix=data.get("prefix") or "",
            paging=data.get("paging") or {},
            replay=data.get("replay") or {},
            items=self.functions[data["items"]],
            carry=self.function(data.get("carry")),
            reference=self.function(data.get("reference")),
            final=self.functions[data["final"]],
            pending=self.function(data.get("pending")),
            cancellable=self.function(data.get("cancellable")),
            listed=self.functions[data["listed"]],
            page=self.functions[data["page"]],
            deleted=self.functions[data["deleted"]],
            background=data.get("background") or "",
        )

    def error(self, data: Mapping[str, Any]) -> ErrorRules:
        return ErrorRules(
            decode=self.function(data.get("decode")),
            rules=self.rules(data.get("rules")),
            encode=self.function(data.get("encode")),
            status=data.get("status") or {},
        )

    def rules(self, data: list[dict[str, Any]] | None) -> ErrorMap:
        return ErrorMap(
            ErrorRule(
                frozenset(item.get("status") or ()),
                self.function(item.get("when")),
                item["meaning"],
                refusals.fee(item.get("fee")),
                frozenset(item["members"]) if "members" in item else None,
            )
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
            name: Hop(
                path=hop["path"],
                stream_path=hop.get("stream") or hop["path"],
                count_tokens_path=hop.get("countTokensPath"),
                headers=hop.get("headers") or {},
            )
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
            calls=data.get("calls") or {},
            models=tuple(data.get("models") or ()),
            credential=data.get("credential"),
            groups=tuple(data.get("groups") or ()),
            timeouts=data.get("timeouts") or {},
            discover=data.get("discover") or {},
            proxy=data.get("proxy"),
            parameters={name: _parameter(item) for name, item in (data.get("parameters") or {}).items()},
            unsupported=_columns(data.get("unsupported")),
        )

    def alias(self, data: dict[str, Any]) -> Alias:
        wire = data.get("wire") or {}
        return Alias(
            name=data["name"],
            pattern=pattern(data["match"]).compiled,
            exceptions=tuple(pattern(text).compiled for text in data.get("except") or ()),
            model_function=self.function(data.get("model")),
            hub_function=self.function(data.get("hub")),
            wire={name: tuple(self.patch(item) for item in patches) for name, patches in wire.items()},
            priority=data.get("priority") or 0,
        )


def _asks(data: Mapping[str, Any]) -> Asks:
    most, choices = (tuple(_path(path) for path in data.get(name) or ()) for name in ("most", "choices"))
    kept = tuple(_kept(item) for item in data.get("kept") or ())
    return Asks(most, choices, kept, _tree(kept), tuple(dict.fromkeys(_mark(one.path) for one in kept)))


def _mark(path: str) -> bytes:
    """The last name of a path that is no mere `id`."""
    names = path.replace("[*]", "").split(".")
    return f'"{names[-2] if names[-1] == "id" and len(names) > 1 else names[-1]}"'.encode()


def _tree(kept: tuple[Kept, ...]) -> Branch:
    root = Branch()
    for one in kept:
        branch = root
        for name in one.path.replace("[*]", "").split("."):
            branch = branch.below.setdefault(name, Branch())
        branch.kept = one
    return root


def _kept(item: str | dict[str, str]) -> Kept:
    path = item if isinstance(item, str) else item["path"]
    return Kept(path, None if isinstance(item, str) else pattern(item["match"]).compiled)


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
        thinking=data.get("thinking"),
        enabled=data.get("enabled", True),
        parameters=data.get("parameters") or {},
    )


def _parameter(data: dict[str, Any]) -> Parameter:
    return Parameter(data.get("default") or "", data.get("words"), _columns(data.get("rows")))


def _columns(data: dict[str, list[str]] | None) -> dict[str, tuple[str, ...]]:
    return {numbering: tuple(columns) for numbering, columns in (data or {}).items()}


def _no_retrieval(uri: str) -> Json:
    raise ValueError(f"a schema may refer only to itself, not to {uri}")


def _validator(schema: Json) -> Any:
    return None if schema is None else jsonschema_rs.validator_for(schema, retriever=_no_retrieval)


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split("."))
