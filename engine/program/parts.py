"""The parts of a Program: immutable values and the few questions they answer. No loading, no compiling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from engine.filters.patterns import pattern
from engine.program import layout, options
from engine.program.format import Endpoint, Format
from engine.program.layout import WHOLE, Function, Functions, data, make
from engine.program.models import Models
from engine.program.outside.captchas import Captcha
from engine.program.outside.logins import Login
from engine.program.outside.notices import Notice
from engine.program.outside.payments import Payment
from engine.program.outside.teams import TeamTerms
from engine.program.patch import Json, Patch, Report
from engine.program.prices import Prices
from engine.program.refusals import ErrorMap, error_map
from engine.program.task import TaskRules


def _stream_path(value: Any, functions: Functions) -> Any:
    return value.get("stream") or value["path"]


@dataclass(frozen=True, slots=True)
class Hop:
    """How a provider speaks one format: paths under its base URL, and headers to set."""

    path: str = data(needed=True)
    stream_path: str = data(WHOLE, _stream_path)
    count_tokens_path: str | None = data()
    headers: dict[str, str] = data(read=layout.mapping)
    stream_headers: dict[str, str] = data(read=layout.mapping, default_factory=dict)
    """Those of calls for streams besides."""
    batch: dict[str, Any] | None = data(default=None)
    """{at, most}: how many entries of a list it takes at once; longer ones go up in several calls."""
    paths_without: str = data("pathsWithout", layout.text, default="")
    """What is left out at the beginning of the paths that requests in a file name."""
    vendors: tuple[str, ...] = data(read=layout.items, default=())
    """Whose models are spoken to so; empty: all those that no other format of the provider names."""


@dataclass(frozen=True, slots=True)
class HeaderCase:
    """Headers of some calls."""

    when: Function = data(read=layout.function, needed=True)
    """(_r, model, format, traits) -> whether a call is one."""
    set: dict[str, str] = data(read=layout.mapping)


def _header_cases(value: Any, functions: Functions) -> tuple[HeaderCase, ...]:
    cases: tuple[HeaderCase, ...] = layout.several(HeaderCase)(value, functions)
    return tuple(replace(case, set={name.lower(): text for name, text in case.set.items()}) for case in cases)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A word in braces in a provider's paths and headers."""

    default: str = data(read=layout.text)
    words: dict[str, str] | None = data()
    """What stands for what is said; whatever else is said stands for nothing. None: what is said stands itself."""
    rows: dict[str, tuple[str, ...]] = data(read=layout.columns)
    """The columns of older programs' channels that say it, by numbering; the first that says something holds."""
    other: str | None = data(default=None)
    """What stands for whatever else is said, with ``{said}``; None: the default."""
    by_model: bool = data(read=layout.flag, default=False)
    """What is said may be a JSON object: what holds for each model, and for ``default``."""
    option: str = data(read=layout.text, default="")
    """The console's option that says it where the channel does not."""

    def value(self, said: str) -> str:
        """What stands in the text where a channel says this; empty: it says nothing."""
        if self.words is None:
            return said or self.default
        usual = self.default if self.other is None or not said else self.other.replace("{said}", said)
        return self.words.get(said, usual)


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream service."""

    name: str = data(needed=True)
    base_url: str = data(needed=True)
    formats: dict[str, Hop] = data(read=layout.table(Hop))
    auth: dict[str, Any] = data(read=layout.mapping)
    headers: dict[str, Any] = data(read=layout.mapping)
    patches: tuple[Patch, ...] = data("requestPatches", layout.several(Patch))
    error_rules: ErrorMap = data("errors", error_map)
    error_body: Function | None = data(read=layout.function)
    usage: dict[str, Any] = data(read=layout.mapping)
    calls: dict[str, Any] = data(read=layout.mapping)
    """How calls of its tools are counted in place of the format's own way, by format."""
    models: tuple[str, ...] = data(read=layout.items)
    credential: dict[str, str] | None = data()
    groups: tuple[str, ...] = data(read=layout.items)
    timeouts: dict[str, float] = data(read=layout.mapping)
    discover: dict[str, Any] = data(read=layout.mapping)
    proxy: str | None = data()
    parameters: dict[str, Parameter] = data(read=layout.table(Parameter), default_factory=dict)
    model_names: dict[str, str] = data(read=layout.mapping, default_factory=dict)
    """What models are called here that have another name elsewhere, with words of the credential in braces."""
    body_parameters: dict[str, str] = data(read=layout.mapping, default_factory=dict)
    """Members of every body that goes up, with parameters in braces."""
    response_patches: tuple[Patch, ...] = data("responsePatches", layout.several(Patch), default=())
    header_cases: tuple[HeaderCase, ...] = data("headersWhen", _header_cases, default=())
    channel_tests: dict[str, Any] = data("channelTests", layout.mapping, default_factory=dict)
    """What is sent to test a channel, by name, over what policies say."""
    unsupported: dict[str, tuple[str, ...]] = data(read=layout.columns, default_factory=dict)
    """Columns of older programs' channels, by numbering, that ask for what it can't do."""
    closed: str = data(read=layout.text, default="")
    """Why no channel of it can be called, and what to do instead."""
    bases: dict[str, str] = data(read=layout.mapping, default_factory=dict)
    """Base URLs of older programs' channels that mean another provider, and its name."""
    model_headers: str = data(read=layout.text, default="")
    """The console's option that holds headers by model, which follow those that go up anyway."""
    routed: dict[str, Any] = data(read=layout.mapping, default_factory=dict)
    """{rows, at, converters}: channels that say themselves what they speak; see ``engine.routing.spoken.declared``."""

    def counts(self, name: str) -> dict[str, Any]:
        """What it counts in another way than a format of this name says."""
        return {**self.usage.get(name, {}), **({"calls": self.calls[name]} if name in self.calls else {})}


def _compiled(value: str, functions: Functions) -> Any:
    return pattern(value).compiled


def _all_compiled(value: Any, functions: Functions) -> tuple[Any, ...]:
    return tuple(pattern(item).compiled for item in value or ())


def _wire(value: Any, functions: Functions) -> dict[str, tuple[Patch, ...]]:
    table = value or layout.EMPTY
    return {name: tuple(make(Patch, item, functions) for item in patches) for name, patches in table.items()}


@dataclass(frozen=True, slots=True)
class Alias:
    """A pattern on the asked model name, the model it stands for, and what it changes; ``options`` are their values."""

    name: str = data(needed=True)
    pattern: Any = data("match", _compiled, needed=True)
    exceptions: tuple[Any, ...] = data("except", _all_compiled)
    model_function: Function | None = data("model", layout.function)
    hub_function: Function | None = data("hub", layout.function)
    wire: dict[str, tuple[Patch, ...]] = data(read=_wire)
    priority: int = data(read=layout.number)
    when: Function | None = data(read=layout.function, default=None)
    providers: frozenset[str] = data(read=layout.words, default=frozenset())
    """Those at whose channels alone it reads the name that goes up."""
    listed_function: Function | None = data("listed", layout.function, default=None)
    options: Mapping[str, Any] = field(default_factory=dict)

    def match(self, name: str) -> dict[str, str | None] | None:
        """The named groups if the whole name matches and no exception does."""
        match = self.pattern.fullmatch(name)
        if match is None or any(pattern.fullmatch(name) for pattern in self.exceptions):
            return None
        return cast("dict[str, str | None]", match.groupdict())

    def holds(self, groups: Mapping[str, str | None]) -> bool:
        """Whether it counts for a name that it matches."""
        return self.when is None or bool(self.when([], groups, self.options))

    def listed(self, groups: Mapping[str, str | None]) -> str:
        """The name under which such names are listed, too; empty where it says none."""
        function = self.listed_function
        return "" if function is None else str(function([], groups) or "")

    def model(self, groups: Mapping[str, str | None]) -> str | None:
        """The model that is meant."""
        function = self.model_function
        return None if function is None else cast("str | None", function([], groups))

    def hub(self, report: Report, groups: Mapping[str, str | None], request: Json) -> dict[str, Any] | None:
        """What to merge into the hub request."""
        function = self.hub_function
        return (
            None if function is None else cast("dict[str, Any] | None", function(report, groups, request, self.options))
        )

    def patch(
        self, report: Report, format_name: str, groups: Mapping[str, str | None], body: dict[str, Any]
    ) -> dict[str, Any]:
        """The wire body of a same-format hop, patched."""
        for patch in self.wire.get(format_name, ()):
            if patch.applies(groups, body, self.options):
                body = patch.apply(report, groups, body, self.options)
        return body


def _groups(value: Any, functions: Functions) -> tuple[str, ...]:
    return tuple(value or ("default",))


@dataclass(frozen=True, slots=True)
class Channel:
    """A provider with a credential, serving models to groups."""

    name: str = data(needed=True)
    provider: str = data(needed=True)
    models: tuple[str, ...] = data(read=layout.items)
    groups: tuple[str, ...] = data(read=_groups)
    priority: int = data(read=layout.number)
    weight: int = data(read=layout.otherwise(1))
    credential: dict[str, str] | None = data()
    model_mapping: dict[str, str] = data(read=layout.mapping)
    base_url: str | None = data()
    format: str | None = data()
    thinking: str | None = data()
    """``content`` or ``fromContent``: thinking in answers as text in tags, or the reverse."""
    enabled: bool = data(read=layout.otherwise(True))
    cost_factor: float = data(read=layout.otherwise(1.0))
    hours: str = data(read=layout.otherwise(""))
    balance: dict[str, Any] | None = data(default=None)
    """{paid, since, warnBelow, setAside}: what was paid in at its account; see ``engine.storage.rows.work.paid``."""
    parameters: dict[str, str] = data(read=layout.mapping, default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteRules:
    """How a Route orders channels, how long they may be silent, and for which calls.

    Those for ``models``, or any, of which ``when`` holds.
    """

    name: str = data(needed=True)
    models: tuple[str, ...] = data(read=layout.items)
    when: dict[str, Any] = data(read=layout.mapping)
    strategies: tuple[dict[str, Any], ...] = data(read=layout.items)
    """None: the usual."""
    timeouts: dict[str, Any] = data(read=layout.mapping)


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
    legacy: dict[tuple[str, int], tuple[str, ...]]
    """The providers of a channel type, by numbering and number: several where they differ by the form of their key."""
    functions: dict[str, Function]
    """Every generated function by name, for spec tests and tools."""
    prices: Prices = field(default_factory=Prices)
    routes: tuple[RouteRules, ...] = ()
    """How channels are ordered, the operator's own before the shipped."""
    models: Models = field(default_factory=Models)
    """What is known of models by their names."""
    notices: tuple[Notice, ...] = ()
    payments: tuple[Payment, ...] = ()
    logins: tuple[Login, ...] = ()
    captchas: tuple[Captcha, ...] = ()
    teams: tuple[TeamTerms, ...] = ()
    pinned: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Options that documents pin, each with its text and the place that does."""
    tasks: Mapping[str, TaskRules] = field(default_factory=dict)
    """How vendors' tasks are made and followed, by format."""
    options: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Type and default text of the console's options that its documents read, by name."""

    def told(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """The values of those options, where these texts are set."""
        return options.values(self.options, texts)
