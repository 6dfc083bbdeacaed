"""The parts of a Program: immutable values and the few questions they answer. No loading, no compiling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from engine.program.patch import Function, Json, Patch, Report
from engine.program.places import Places
from engine.program.prices import Prices
from engine.program.refusals import ErrorMap, ErrorRules
from engine.program.untold import Answers


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route that a format is served on. ``model`` and ``stream`` are dotted reads such as ``("body", "model")``."""

    format: str
    operation: str
    method: str
    path: str
    aliases: tuple[str, ...]
    when: tuple[tuple[str, str], ...]
    """(``header`` or ``query``, name): any present claims the call for this format; empty claims the rest."""
    model: tuple[str, ...] | None
    stream: tuple[str, ...] | bool
    framing: dict[str, Any]
    """Overrides of the format's framing on this endpoint."""
    framing_by: dict[str, Any]
    """{query, values, default}: the framing's type by a query value."""


_METHODS = {
    "list_models": "GET",
    "get_model": "GET",
    "get_stored": "GET",
    "list_stored_items": "GET",
    "delete_stored": "DELETE",
}


def method_of(operation: str) -> str:
    """The method of an operation's endpoints, where they don't say."""
    return _METHODS.get(operation, "POST")


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """How a stream is asked for its usage: the path to set, and which chunk is there only for it (``_r, data``)."""

    path: tuple[str, ...]
    chunk_when: Function | None


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
    item_id: Function | None
    ping: dict[str, Any]
    starts: str
    """How often a start is written while encoding: ``once`` or ``each``; empty if the format has no say."""
    needs_sum: bool
    """Encoding needs each part's accumulated content."""
    usage_request: UsageRequest | None
    decode: Function | None
    encode: dict[str, Function]
    fields: Answers
    """What decode reads of an event."""
    texts: frozenset[str]
    """Paths in an event of texts that decode hands on as they are, whatever they say."""
    says: frozenset[str]
    """The hub's words that encode reads."""


@dataclass(frozen=True, slots=True)
class UsageRules:
    """Where an answer holds its counts and what each of them means."""

    at: Function | None
    """(_r, body, model) -> the usage object; ``model`` is the name that the provider was asked for."""
    counts: dict[str, Any]
    running: bool = False
    """Each event of a stream that tells usage tells what was made until then."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a request names a thing that is kept in the provider's account."""

    path: str
    match: Any = None
    """A compiled pattern, where not every text there is such a name."""


@dataclass(slots=True)
class Branch:
    """Paths by their names, one below the other; entries of lists are looked at wherever there are some."""

    kept: Kept | None = None
    below: dict[str, Branch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asks:
    """Where a request says what it may cost: paths in its body."""

    most: tuple[tuple[str, ...], ...] = ()
    """How many tokens may come out."""
    choices: tuple[tuple[str, ...], ...] = ()
    """How many answers it wants."""
    kept: tuple[Kept, ...] = ()
    """Where it names what is kept in the provider's account."""
    tree: Branch = field(default_factory=Branch)
    """The same, for looking."""
    marks: tuple[bytes, ...] = ()
    """Names one of which stands in every body that holds such a thing, as JSON spells them without escapes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How answers are kept, and how a request goes on from one: names of wire fields, and mappings."""

    field: str
    keep: str
    input: str
    output: str
    id: str
    prefix: str
    paging: dict[str, Any]
    replay: dict[str, str]
    """Query names of an answer's being told as a stream."""
    items: Function
    """(_r, input) -> the new items of a request."""
    carry: Function | None
    """(_r, item, same) -> a kept item as input elsewhere, or nothing."""
    reference: Function | None
    """(_r, item) -> the id of the kept item that it stands for, or nothing."""
    final: Function
    """(_r, data) -> the whole answer in a wire event, or nothing."""
    pending: Function | None
    """(_r, answer) -> whether it is still being made."""
    cancellable: Function | None
    """(_r, answer) -> whether it may be cancelled."""
    listed: Function
    """(_r, item, seed)"""
    page: Function
    """(_r, items, first, last, more)"""
    deleted: Function
    """(_r, id)"""
    background: str = ""
    """The request's field that asks for an answer to be made in the background."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What other formats' models made: how a body that holds some is known, and how it is taken out."""

    marks: tuple[bytes, ...]
    clean: Function
    """(_r, body) -> the members of the body that are to be replaced."""


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
    model_at: tuple[tuple[str, ...], ...]
    """Paths where an answer or a stream event names the model."""
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
    stored: Stored | None
    shape: dict[str, Any]
    request_reads: frozenset[str]
    droppable: frozenset[str]
    hub_reads: frozenset[str]
    places: Places
    """Where a request says what."""
    fields: Answers
    """What decode reads of a whole answer."""
    says: frozenset[str]
    """The hub's words that a whole answer is encoded from."""
    foreign: Foreign | None = None
    instruct: Function | None = None
    """(_r, body, instruction, how) -> the members of a request that change where a channel has a text for the model."""
    asks: Asks = Asks()


@dataclass(frozen=True, slots=True)
class Hop:
    """How a provider speaks one format: paths under its base URL, and headers to set."""

    path: str
    stream_path: str
    count_tokens_path: str | None
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A word in braces in a provider's paths and headers."""

    default: str
    words: dict[str, str] | None
    """What stands for what is said; whatever else is said stands for nothing. None: what is said stands itself."""
    rows: dict[str, tuple[str, ...]]
    """The columns of older programs' channels that say it, by numbering; the first that says something holds."""

    def value(self, said: str) -> str:
        """What stands in the text where a channel says this; empty: it says nothing."""
        if self.words is None:
            return said or self.default
        return self.words.get(said, self.default)


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream service."""

    name: str
    base_url: str
    formats: dict[str, Hop]
    auth: dict[str, Any]
    headers: dict[str, Any]
    patches: tuple[Patch, ...]
    error_rules: ErrorMap
    error_body: Function | None
    usage: dict[str, Any]
    calls: dict[str, Any]
    """How calls of its tools are counted in place of the format's own way, by format."""
    models: tuple[str, ...]
    credential: dict[str, str] | None
    groups: tuple[str, ...]
    timeouts: dict[str, float]
    discover: dict[str, Any]
    proxy: str | None
    parameters: dict[str, Parameter] = field(default_factory=dict)
    unsupported: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns of older programs' channels, by numbering, that ask for what it can't do."""

    def counts(self, name: str) -> dict[str, Any]:
        """What it counts in another way than a format of this name says."""
        return {**self.usage.get(name, {}), **({"calls": self.calls[name]} if name in self.calls else {})}


@dataclass(frozen=True, slots=True)
class Alias:
    """A pattern on the asked model name, the model it stands for, and what it changes."""

    name: str
    pattern: Any
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
        return None if function is None else cast("str | None", function([], groups))

    def hub(self, report: Report, groups: Mapping[str, str | None], request: Json) -> dict[str, Any] | None:
        """What to merge into the hub request."""
        function = self.hub_function
        return None if function is None else cast("dict[str, Any] | None", function(report, groups, request))

    def patch(
        self, report: Report, format_name: str, groups: Mapping[str, str | None], body: dict[str, Any]
    ) -> dict[str, Any]:
        """The wire body of a same-format hop, patched."""
        for patch in self.wire.get(format_name, ()):
            if patch.applies(groups, body):
                body = patch.apply(report, groups, body)
        return body


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
    thinking: str | None
    """``content`` or ``fromContent``: thinking in answers as text in tags, or the reverse."""
    enabled: bool
    parameters: dict[str, str] = field(default_factory=dict)


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
    prices: Prices = field(default_factory=Prices)
