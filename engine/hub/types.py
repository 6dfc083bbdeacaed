"""The shapes of the canonical conversation, written down.

All values are plain JSON data (dicts, lists, text, numbers); these TypedDicts are the documentation and what the type
checker knows. Nothing here runs. A key that is absent means "nothing was said", never "the default".
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Json = Any
"""Any JSON value. The hub reads foreign data, so most places can't promise more."""

Part = dict[str, Any]
"""One piece of content, see `PartFields`; a plain dict because its keys depend on ``type``."""

Event = dict[str, Any]
"""One hub stream event, see the table in `engine.hub.stream.assembler`."""

PartKind = Literal[
    "text",
    "refusal",
    "image",
    "audio",
    "video",
    "file",
    "thinking",
    "tool_call",
    "tool_result",
    "server_call",
    "server_result",
    "json",
    "unknown",
]

EventKind = Literal[
    "start",
    "part_start",
    "part_delta",
    "part_end",
    "part",
    "rest",
    "item",
    "usage",
    "finish",
    "extension",
    "error",
    "end",
]

FinishReason = Literal[
    "stop",
    "stop_sequence",
    "length",
    "context",
    "tool_calls",
    "content_filter",
    "refusal",
    "pause",
    "error",
    "cut",
    "other",
]


class MediaSource(TypedDict, total=False):
    """Where media stands: ``data`` (base64), ``url``, ``id`` or ``text``; an answer's audio may have data and an id."""

    mime: str
    data: str
    url: str
    id: str
    text: str
    expires: int


class Citation(TypedDict, total=False):
    """What backs a stretch of text; ``format`` + ``value`` hold the wire object for its own format."""

    type: str
    url: str
    title: str
    text: str
    quote: str
    start: int
    end: int
    file_id: str
    filename: str
    index: int
    format: str
    value: Json


class PartFields(TypedDict, total=False):
    """Every key a part may have. ``type`` is always there; which others make sense hangs on it.

    `text`, `refusal`, `thinking` have ``text``, and `audio` may (its words); `thinking` may be ``encrypted`` only
    (redacted); `tool_call` has ``arguments`` as text, byte for byte; `tool_result` has ``parts``; opaque kinds have
    ``format`` and ``value``.
    """

    type: PartKind
    cache: dict[str, Any]
    signature: str
    signature_of: str
    item: str
    native: Json
    text: str
    citations: list[Citation]
    logprobs: list[Json]
    source: MediaSource
    detail: str
    format: str
    also: list[str]
    """Other formats that have a place for what is opaque, in which it is carried whole."""
    name: str
    context: str
    encrypted: str
    summary: bool
    id: str
    arguments: str
    custom: bool
    parts: list[Part]
    error: bool
    value: Json
    phase: str
    caller: Json
    namespace: str
    index: int
    kind_index: int
    item_index: int
    invalid: bool


class Message(TypedDict):
    """One turn. System text stays in place with role ``system``; ``origin`` tells how it was said."""

    role: Literal["system", "user", "assistant", "tool"]
    parts: list[Part]
    origin: NotRequired[Literal["field", "system", "developer"]]
    name: NotRequired[str]
    unfinished: NotRequired[bool]
    """The model's own words, to go on from."""
    extensions: NotRequired[dict[str, Json]]


class Tool(TypedDict, total=False):
    """Something the model may call. ``schema`` is JSON Schema, lower-case types; ``value`` is the wire object."""

    kind: Literal["function", "custom", "server", "unknown"]
    name: str
    description: str
    schema: dict[str, Any]
    strict: bool
    grammar: dict[str, Any]
    cache: dict[str, Any]
    format: str
    value: Json
    options: dict[str, Any]


class ToolChoice(TypedDict, total=False):
    """Which tools must or may be called."""

    mode: Literal["auto", "any", "none", "tool"]
    names: list[str]
    validated: bool
    value: Json


class Sampling(TypedDict, total=False):
    """How the next token is drawn."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int
    frequency_penalty: float
    presence_penalty: float
    logprobs: bool
    top_logprobs: int
    logit_bias: dict[str, float]


class Reasoning(TypedDict, total=False):
    """How much to think and what of it to show."""

    enabled: bool
    adaptive: bool
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
    budget: int
    summary: str
    include_thoughts: bool
    display: str
    context: Json
    mode: str


class Output(TypedDict, total=False):
    """What the answer must look like."""

    type: Literal["text", "json", "schema"]
    name: str
    description: str
    schema: dict[str, Any]
    strict: bool
    modalities: list[str]
    verbosity: str
    prediction: Json
    audio: Json
    image: Json
    """Of a picture: size, quality, background, ratio (such as 3:2), resolution (such as 2K)."""


class Request(TypedDict, total=False):
    """What a client asks."""

    model: str
    stream: bool
    stream_usage: bool
    messages: list[Message]
    tools: list[Tool]
    tool_choice: ToolChoice
    parallel_tools: bool
    max_tokens: int
    stop: list[str]
    sampling: Sampling
    reasoning: Reasoning
    output: Output
    user: str
    metadata: dict[str, Any]
    cache: dict[str, Any]
    compaction: Json
    """From how many tokens on what went before is put into fewer words: threshold; meant: not without it."""
    service_tier: str
    previous: str
    store: bool
    safety: Json
    extensions: dict[str, dict[str, Json]]


class Finish(TypedDict, total=False):
    """Why an answer ended; ``raw`` is the upstream's own word."""

    reason: FinishReason
    raw: str
    stop_text: str
    details: Json
    meaning: str


class Usage(TypedDict, total=False):
    """Tokens in disjoint buckets, their subsets, derived totals, and what the upstream said."""

    input_fresh: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    tool_use_input: int
    output_text: int
    reasoning: int
    input_audio: int
    input_image: int
    input_video: int
    output_audio: int
    output_image: int
    calls: dict[str, int]
    meters: dict[str, int]
    input_total: int
    output_total: int
    cache_write: int
    total: int
    raw: Json
    flags: list[str]
    models: list[dict[str, Any]]


class Item(TypedDict, total=False):
    """A group of neighbouring parts, for formats that wrap parts in items."""

    index: int
    kind: str
    id: str
    phase: str
    parts: list[Part]


class Response(TypedDict, total=False):
    """A whole answer."""

    id: str
    model: str
    created: int
    parts: list[Part]
    items: list[Item]
    finish: Finish
    usage: Usage
    service_tier: str
    extensions: dict[str, dict[str, Json]]


class ErrorInfo(TypedDict, total=False):
    """What went wrong; ``meaning`` is one of `engine.errors.MEANINGS`, ``wait`` are seconds."""

    meaning: str
    message: str
    code: str
    type: str
    param: str
    status: int
    wait: float
    raw: Json
