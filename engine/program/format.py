"""A wire format as the relay has it: its endpoints, its mappings, what it says of streams and of other formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from engine.program import layout
from engine.program.asks import Asks, asks
from engine.program.kept import KeptRules
from engine.program.layout import WHOLE, Function, Functions, data, make
from engine.program.patch import Json
from engine.program.places import Places
from engine.program.refusals import ErrorRules
from engine.program.stored import Stored
from engine.program.surviving_fields import SurvivingFields
from engine.program.task import LiveRules, TaskViews
from engine.program.usage_rules import UsageRequest, UsageRules

_METHODS = {
    "list_models": "GET",
    "get_model": "GET",
    "get_stored": "GET",
    "list_stored_items": "GET",
    "delete_stored": "DELETE",
    "fetch_task": "GET",
    "ask_task": "GET",
    "list_tasks": "GET",
    "task_content": "GET",
    "task_image": "GET",
    "delete_task": "DELETE",
    "ask_kept": "GET",
    "list_kept": "GET",
}


def method_of(operation: str) -> str:
    """The method of an operation's endpoints, where they don't say."""
    return _METHODS.get(operation, "POST")


def _method(value: Any, functions: Functions) -> Any:
    return value.get("method") or method_of(value["operation"])


def _marks(value: Any, functions: Functions) -> tuple[tuple[str, str], ...]:
    marks = [value] if isinstance(value, dict) else value or ()
    return tuple(next(iter(mark.items())) for mark in marks)


def _path_or_flag(value: Any, functions: Functions) -> tuple[str, ...] | bool:
    return tuple(value.split(".")) if isinstance(value, str) else bool(value)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route that a format is served on. ``model`` and ``stream`` are dotted reads such as ``("body", "model")``."""

    format: str
    operation: str = data(needed=True)
    method: str = data(WHOLE, _method)
    path: str = data(needed=True)
    aliases: tuple[str, ...] = data(read=layout.items)
    when: tuple[tuple[str, str], ...] = data(read=_marks)
    """(``header`` or ``query``, name): any present claims the call for this format; empty claims the rest."""
    model: tuple[str, ...] | None = data(read=layout.path)
    stream: tuple[str, ...] | bool = data(read=_path_or_flag)
    framing: dict[str, Any] = data(read=layout.mapping)
    """Overrides of the format's framing on this endpoint."""
    framing_by: dict[str, Any] = data(read=layout.mapping)
    """{query, values, default}: the framing's type by a query value."""
    action: str = data(read=layout.text, default="")
    """What is asked for on a route of tasks."""
    task: tuple[str, ...] | None = data(read=layout.path, default=None)
    """Where the request names a task, or several; nothing: in the path."""
    model_as: str = data("modelAs", layout.text, default="")
    """What a model is asked for as on this route: ``{model}`` is the name in the body; empty: as it is named."""


@dataclass(frozen=True, slots=True)
class Stream:
    """How a format streams: framing, what ends it, what it can carry, and its mappings."""

    framing: dict[str, Any] = data(read=layout.mapping)
    marks: dict[str, Any] = data(read=layout.mapping)
    parts: dict[str, str] = data(read=layout.mapping)
    ends: dict[str, bool] = data(read=layout.mapping)
    one_open: bool = data(read=layout.flag)
    accepts: frozenset[str] = data(read=layout.words)
    items: dict[str, list[str]] = data(read=layout.mapping)
    item_id: Function | None = data(read=layout.function)
    ping: dict[str, Any] = data(read=layout.mapping)
    starts: str = data(read=layout.text)
    """How often a start is written while encoding: ``once`` or ``each``; empty if the format has no say."""
    needs_sum: bool = data(read=layout.flag)
    """Encoding needs each part's accumulated content."""
    usage_request: UsageRequest | None = data(read=layout.maybe(UsageRequest))
    decode: Function | None = data(read=layout.function)
    encode: dict[str, Function] = data(read=layout.function_table)
    fields: SurvivingFields = data(layout.KNOWN)
    """What decode reads of an event."""
    texts: frozenset[str] = data(read=layout.words)
    """Paths in an event of texts that decode hands on as they are, whatever they say."""
    says: frozenset[str] = data(read=layout.words)
    """The hub's words that encode reads."""
    together: frozenset[str] = data(read=layout.words, default=frozenset())
    """Kinds of parts that ``kind_index`` counts together."""


def _marked(value: Any, functions: Functions) -> tuple[bytes, ...]:
    return tuple(mark.encode() for mark in value)


@dataclass(frozen=True, slots=True)
class Foreign:
    """What other formats' models made: how a body that holds some is known, and how it is taken out."""

    marks: tuple[bytes, ...] = data(read=_marked, needed=True)
    clean: Function = data(read=layout.function, needed=True)
    """(_r, body, traits) -> the members of the body that are to be replaced; ``traits``: the model's."""


@dataclass(frozen=True, slots=True)
class Reshaped:
    """Bodies of a format that do not pass to its own speakers as they came."""

    marks: tuple[bytes, ...] = data(read=_marked, needed=True)
    when: Function = data(read=layout.function, needed=True)
    """(_r, body, traits) -> whether a body that holds one of the marks is such."""


def _kind(value: Any, functions: Functions) -> Any:
    return value or "conversation"


def _dialect(value: Any, functions: Functions) -> Any:
    return value.get("dialect") or value["name"]


def _family(value: Any, functions: Functions) -> Any:
    return value.get("passthroughAs") or value["name"]


def _endpoints(value: Any, functions: Functions) -> tuple[Endpoint, ...]:
    return tuple(make(Endpoint, item, functions, format=value["name"]) for item in value.get("endpoints") or ())


def _fields(value: Any, functions: Functions, section: str = "response") -> SurvivingFields:
    """What a format's decode reads of its answers, whole or streamed, and what may be lost of them in silence."""
    section_data = value.get(section) or layout.EMPTY
    reads, silent = section_data.get("reads") or (), section_data.get("silent") or layout.EMPTY
    return SurvivingFields(reads, silent, _family(value, functions))


def _stream(value: Any, functions: Functions) -> Stream | None:
    stream = value.get("stream")
    return None if stream is None else make(Stream, stream, functions, fields=_fields(value, functions, "stream"))


def _places(value: Any, functions: Functions) -> Places:
    return Places(value or ())


def _no_retrieval(uri: str) -> Json:
    raise ValueError(f"a schema may refer only to itself, not to {uri}")


def _validator(value: Any, functions: Functions) -> Any:
    return None if value is None else jsonschema_rs.validator_for(value, retriever=_no_retrieval)


@dataclass(frozen=True, slots=True)
class Format:
    """A wire format: where it is served and how each of its messages maps to the hub and back."""

    name: str = data(needed=True)
    kind: str = data(read=_kind)
    """What its calls are: the name of one of ``engine.kinds``."""
    dialect: str = data(WHOLE, _dialect)
    passthrough_as: str = data(WHOLE, _family)
    keys: dict[str, Any] = data(read=layout.mapping)
    endpoints: tuple[Endpoint, ...] = data(WHOLE, _endpoints)
    credentials: tuple[dict[str, str], ...] = data(read=layout.items)
    headers: dict[str, Any] = data(read=layout.mapping)
    model_at: tuple[tuple[str, ...], ...] = data(read=layout.paths)
    """Paths where an answer or a stream event names the model."""
    request_schema: Any = data("request.schema", _validator)
    decode_request: Function | None = data("request.decode", layout.function)
    encode_request: Function | None = data("request.encode", layout.function)
    decode_response: Function | None = data("response.decode", layout.function)
    encode_response: Function | None = data("response.encode", layout.function)
    stream: Stream | None = data(WHOLE, _stream)
    usage: UsageRules = data(read=layout.one(UsageRules))
    error: ErrorRules = data(read=layout.one(ErrorRules))
    models_list: Function | None = data("models.list", layout.function)
    model_get: Function | None = data("models.get", layout.function)
    count_decode: Function | None = data("countTokens.decode", layout.function)
    count_encode: Function | None = data("countTokens.encode", layout.function)
    stored: Stored | None = data(read=layout.maybe(Stored))
    shape: dict[str, Any] = data(read=layout.mapping)
    continues: frozenset[str] = data("shape.continues", layout.words)
    """Kinds of parts from within which it goes on, where a request ends with the model's own words."""
    request_reads: frozenset[str] = data("request.reads", layout.words)
    droppable: frozenset[str] = data("request.droppable", layout.words)
    hub_reads: frozenset[str] = data("request.hubReads", layout.words)
    meant: frozenset[str] = data("request.meant", layout.words)
    """Members whose loss would change the answer."""
    request_keys: frozenset[str] = data("request.keys", layout.words)
    """The members that a body may have at its top; empty: any."""
    places: Places = data("request.places", _places)
    """Where a request says what."""
    fields: SurvivingFields = data(WHOLE, _fields)
    """What decode reads of a whole answer."""
    says: frozenset[str] = data("response.says", layout.words)
    """The hub's words that a whole answer is encoded from."""
    foreign: Foreign | None = data("request.foreign", layout.maybe(Foreign), default=None)
    reshaped: Reshaped | None = data("request.reshaped", layout.maybe(Reshaped), default=None)
    request_headers: Function | None = data("request.headers", layout.function, default=None)
    """(_r, request) -> headers, by name, that a request made of a hub request wants besides."""
    instruct: Function | None = data("request.instruct", layout.function, default=None)
    """(_r, body, instruction, how) -> the members of a request that change where a channel has a text for the model."""
    asks: Asks = data(read=asks, default=Asks())
    hub_format: str | None = data(default=None)
    """The format of a plain kind whose bodies its mappings make requests of, and answers to."""
    form: bool = data("request.form", layout.flag, default=False)
    """A request is a form."""
    raw_file: str | None = data("request.rawFile", default=None)
    """The field of the hub's form whose file is the whole request."""
    form_or_json: bool = data("request.formOrJson", layout.flag, default=False)
    """A request that is no form is JSON."""
    beside: Function | None = data("response.beside", layout.function, default=None)
    """(_r, usage) -> members of an answer, where a provider leaves them out."""
    any_answer: bool = data("response.any", layout.flag, default=False)
    """An answer that is no JSON passes as it comes."""
    task: TaskViews | None = data(read=layout.maybe(TaskViews), default=None)
    kept: KeptRules | None = data(read=layout.maybe(KeptRules), default=None)
    realtime: LiveRules | None = data(read=layout.maybe(LiveRules), default=None)
