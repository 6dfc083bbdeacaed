"""Link: definitions to the plain data and the functions of one Program.

Takes resolved definitions and shared fragments; compiles every mapping that the schemas mark, checks references, and
gives the data tree that ``engine.program`` describes, in which each mapping is the name of its function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.compiler import prices
from engine.compiler.analyses import response_fields
from engine.compiler.analyses.read_paths import WHOLE
from engine.compiler.checks import (
    captchas,
    generated_names,
    logins,
    models,
    notices,
    options,
    parameters,
    payments,
    references,
    settings,
    stores,
    teams,
)
from engine.compiler.diagnostics import Fault
from engine.compiler.documents import extends
from engine.compiler.documents.fragments import Fragments
from engine.compiler.documents.positions import Path
from engine.compiler.documents.schema import fields
from engine.compiler.documents.sets import Definition, Definitions, as_map
from engine.compiler.mappings import reuse
from engine.compiler.mappings.document import Compiled
from engine.compiler.mappings.trees import Function
from engine.program import method_of
from engine.strategies import STRATEGIES


@dataclass(slots=True)
class Linked:
    """What a set comes to: data for the Program, its functions, and which of them stands for which mapping."""

    data: dict[str, Any] = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)
    compiled: dict[str, dict[Path, Compiled]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def link(definitions: Definitions, shared: Fragments) -> Linked:
    """Compile and check every definition that is in the program, then lay out its data."""
    linked = Linked()
    fields_of = [(definition, list(fields(definition))) for definition in definitions]
    wanted = [(definition, schema_fields) for definition, schema_fields in fields_of if not definition.abstract]
    words = parameters.task_words(definitions)
    for definition, schema_fields in fields_of:
        linked.faults += references.check(definition, schema_fields, definitions)
        linked.faults += parameters.check(definition, definitions, words)
        linked.faults += models.check(definition)
        if not definition.abstract:
            linked.faults += generated_names.check_generated_names(definition)
    linked.functions, linked.compiled = reuse.compile_all(wanted, shared, linked.faults)
    layout = _Layout(definitions, linked)
    linked.data = {
        "formats": [layout.format(item) for item in definitions.of("Format")],
        "providers": [layout.provider(item) for item in definitions.of("Provider")],
        "aliases": [layout.alias(item) for item in definitions.of("Alias")],
        "channels": layout.channels(),
        "policy": layout.policy(),
        "legacy": layout.legacy(),
        "routes": layout.routes(),
        "models": layout.models(),
        "notices": [layout.named(item) for item in definitions.of("Notice")],
        "payments": [layout.named(item) for item in definitions.of("Payment")],
        "logins": [layout.named(item) for item in definitions.of("Login")],
        "captchas": [layout.named(item) for item in definitions.of("Captcha")],
        "teams": [layout.named(item) for item in definitions.of("Team")],
        "pinned": settings.pinned(definitions),
        "tasks": layout.tasks(),
        "prices": prices.layout(definitions, layout.named, linked.faults),
    }
    linked.data["options"], unknown = options.read(definitions, fields_of, linked.compiled)
    linked.faults += unknown
    layout.check_endpoints()
    linked.faults += payments.check(definitions) + logins.check(definitions) + notices.check(definitions)
    linked.faults += captchas.check(definitions) + settings.check(definitions) + teams.check(definitions)
    linked.faults += stores.check(definitions)
    linked.faults += models.shadowed(definitions) + models.unknown_traits(definitions, linked.compiled)
    return linked


class _Layout:
    """The data of each kind; mappings become the names of their functions."""

    def __init__(self, definitions: Definitions, linked: Linked) -> None:
        self.definitions = definitions
        self.linked = linked

    def format(self, definition: Definition) -> dict[str, Any]:
        """The data of a Format."""
        data = self.named(definition)
        compiled = self.linked.compiled[definition.title]
        request = as_map(data.get("request"))
        decode, encode = compiled.get(("spec", "request", "decode")), compiled.get(("spec", "request", "encode"))
        request["reads"] = sorted({path.split(".")[0] for path in decode.reads("body")} if decode else ())
        request["places"] = decode.asked("body") if decode else []
        request["hubReads"] = sorted(encode.taken() if encode else ())
        data["request"] = request
        for endpoint in _maps(data.get("endpoints")):
            endpoint.setdefault("method", method_of(str(endpoint.get("operation"))))
            marks = [mark.items() for mark in _maps(_listed(endpoint.get("when")))]
            endpoint["when"] = [{where: name} for mark in marks for where, name in mark]
        asking = as_map(as_map(data.get("stream")).get("usageRequest"))
        if isinstance(asking.get("path"), str):
            asking["path"] = asking["path"].split(".")
        data["usage"] = _usage(as_map(data.get("usage")))
        _tell_answers(data, compiled)
        if "realtime" in data:
            _tell_events(data["realtime"], compiled)
        error = as_map(data.get("error"))
        error["rules"] = _rules(error.pop("map", None), compiled, ("spec", "error", "map"))
        data["error"] = error
        data.pop("tables", None)
        data.pop("fragments", None)
        return data

    def provider(self, definition: Definition) -> dict[str, Any]:
        """The data of a Provider."""
        data = self.named(definition)
        data["errors"] = _rules(data.get("errors"), self.linked.compiled[definition.title], ("spec", "errors"))
        for table in ("usage", "calls"):
            if table in data:
                data[table] = {name: _counts(counts) for name, counts in as_map(data[table]).items()}
        data.pop("price", None)
        data.setdefault("auth", {"scheme": "bearer"})
        return data

    def models(self) -> list[dict[str, Any]]:
        """The data of Models, the nearest first: own ones, then those that extend others; see ``checks.models``."""
        return [self.named(item) for item in models.in_order(self.definitions)]

    def tasks(self) -> list[dict[str, Any]]:
        """The data of Tasks; a format has one of them."""
        owners: dict[str, str] = {}
        for definition in self.definitions.of("Task"):
            wanted = str(definition.spec.get("format"))
            other = owners.setdefault(wanted, definition.name)
            if other != definition.name:
                message = f"the tasks of {wanted!r} are already told by {other!r}"
                self.linked.faults.append(definition.fault("duplicate-document", message, ("spec", "format")))
        return [self.named(item) for item in self.definitions.of("Task")]

    def alias(self, definition: Definition) -> dict[str, Any]:
        """The data of an Alias."""
        data = self.named(definition)
        data["wire"] = {name: _listed(patches) for name, patches in as_map(data.get("wire")).items()}
        data.pop("tables", None)
        data.pop("fragments", None)
        return data

    def channels(self) -> list[dict[str, Any]]:
        """Channels of Routes, and of Providers that are channels themselves; names are unique."""
        owners: dict[str, str] = {}
        channels: list[dict[str, Any]] = []
        for definition in self.definitions.of("Provider"):
            channel = _own_channel(definition)
            if channel is not None:
                owners[definition.name] = str(definition.where(("metadata", "name")))
                channels.append(channel)
        for definition in self.definitions.of("Route"):
            for index, channel in enumerate(_maps(definition.spec.get("channels"))):
                name, path = channel.get("name"), ("spec", "channels", index, "name")
                if isinstance(name, str) and name in owners:
                    message = f"there is another channel {name!r}, at {owners[name]}"
                    self.linked.faults.append(definition.fault("duplicate-document", message, path))
                    continue
                owners[str(name)] = str(definition.where(path))
                channels.append(dict(channel))
                self._check_format(definition, channel, index)
        return channels

    def routes(self) -> list[dict[str, Any]]:
        """How Routes order channels, the operator's own before the shipped; each must be for some calls."""
        rules: list[dict[str, Any]] = []
        for definition in sorted(self.definitions.of("Route"), key=lambda item: -item.layer):
            strategies, timeouts = _maps(definition.spec.get("strategies")), as_map(definition.spec.get("timeouts"))
            if not strategies and not timeouts:
                continue
            condition = as_map(definition.spec.get("when"))
            channels = [] if condition else _maps(definition.spec.get("channels"))
            own = {str(model) for channel in channels for model in channel.get("models") or ()}
            before = next((rule["name"] for rule in rules if not rule["when"] and not rule["models"]), None)
            if before is not None:
                message = f"no call comes to this Route: {before!r} before it is for all; say `when` it is"
                path = ("spec", "strategies" if strategies else "timeouts")
                self.linked.faults.append(definition.fault("never-used", message, path))
            self._check_strategies(definition, strategies)
            rule = {"name": definition.name, "when": condition, "models": sorted(own)}
            rules.append({**rule, "strategies": strategies, "timeouts": timeouts})
        return rules

    def _check_strategies(self, definition: Definition, strategies: list[dict[str, Any]]) -> None:
        for index, entry in enumerate(strategies):
            for name, record in STRATEGIES.items():
                wrong = record.check(as_map(entry.get(name)))
                if wrong is not None:
                    path = ("spec", "strategies", index, name, *wrong.path)
                    self.linked.faults.append(
                        definition.fault("wrong-value", wrong.message, path, expected=wrong.expected)
                    )

    def _check_format(self, definition: Definition, channel: dict[str, Any], index: int) -> None:
        provider = self.definitions.get("Provider", str(channel.get("provider")))
        wanted = channel.get("format")
        if provider is None or wanted is None or wanted in as_map(provider.spec.get("formats")):
            return
        message = f"the provider {provider.name!r} does not speak {wanted!r}"
        spoken = ", ".join(as_map(provider.spec.get("formats")))
        fault = definition.fault(
            "unknown-reference", message, ("spec", "channels", index, "format"), expected=f"one of {spoken}"
        )
        self.linked.faults.append(fault)

    def policy(self) -> dict[str, Any]:
        """All policies merged: the operator's own over the shipped ones, and in the order of their names.

        A limit says by ``declared`` which document said it last, as its holder is told.
        """
        merged: dict[str, Any] = {}
        for definition in sorted(self.definitions.of("Policy"), key=lambda item: item.layer):
            declared = {"declared": f"Policy {definition.name}"}
            limits = as_map(definition.spec.get("rateLimits"))
            told = {name: rule and {**as_map(rule), **declared} for name, rule in limits.items()}
            merged = extends.merge(merged, {**definition.spec, "rateLimits": told} if told else definition.spec)
        return extends.merge(merged, {"rateLimits": limits}) if (limits := teams.limits(self.definitions)) else merged

    def legacy(self) -> list[list[Any]]:
        """[numbering, number, providers] for each channel type that a provider says is its own.

        Several providers may have one number if each says what form its key has.
        """
        rows: dict[tuple[str, int], list[Definition]] = {}
        for definition in self.definitions.of("Provider"):
            for numbering, numbers in as_map(definition.spec.get("channelTypes")).items():
                for index, number in enumerate(numbers if isinstance(numbers, list) else ()):
                    if not isinstance(number, int):
                        continue
                    owners = rows.setdefault((numbering, number), [])
                    owners.append(definition)
                    if len(owners) > 1 and not all(as_map(owner.spec.get("auth")).get("key") for owner in owners):
                        path = ("spec", "channelTypes", numbering, index)
                        message = f"the channel type {number} is already the provider {owners[0].name!r}"
                        self.linked.faults.append(definition.fault("duplicate-document", message, path))
        return [[numbering, number, [owner.name for owner in owners]] for (numbering, number), owners in rows.items()]

    def check_endpoints(self) -> None:
        """Two formats may share a route only if all but one say when it is theirs."""
        owners: dict[tuple[str, str], str] = {}
        for definition in self.definitions.of("Format"):
            for index, endpoint in enumerate(_maps(definition.spec.get("endpoints"))):
                if endpoint.get("when"):
                    continue
                method = str(endpoint.get("method") or method_of(str(endpoint.get("operation"))))
                aliases = endpoint.get("aliases")
                for path in [endpoint.get("path"), *(aliases if isinstance(aliases, list) else ())]:
                    other = owners.setdefault((method, str(path)), definition.name)
                    if other != definition.name:
                        message = f"{method} {path} already belongs to {other!r}; say `when` it is this format's"
                        at = ("spec", "endpoints", index, "path")
                        self.linked.faults.append(definition.fault("duplicate-document", message, at))

    def named(self, definition: Definition) -> dict[str, Any]:
        """A definition's spec, with functions by their names."""
        names = {path: item.name for path, item in self.linked.compiled[definition.title].items()}
        return {"name": definition.name, **_replaced(definition.spec, ("spec",), names)}


def _replaced(value: Any, path: Path, names: dict[Path, str]) -> Any:
    """A copy in which each compiled mapping is the name of its function."""
    if path in names:
        return names[path]
    if isinstance(value, dict):
        return {key: _replaced(item, (*path, key), names) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, (*path, index), names) for index, item in enumerate(value)]
    return value


_SPOKEN = ("event", "part", "item", "message")
"""What the encode table of a stream reads of an answer."""


def _tell_answers(data: dict[str, Any], compiled: dict[Path, Compiled]) -> None:
    """Put beside the mappings of answers what decode reads of them, and which of the hub's words encode has."""
    counts = data["usage"]["counts"]
    whole, streamed, at = (
        compiled.get(("spec", *path)) for path in (("response", "decode"), ("stream", "decode"), ("usage", "at"))
    )
    if whole:
        reads = whole.fields("body", counts) + (at.fields("body", counts, counts=True) if at else [])
        data["response"]["reads"] = reads
    if streamed:
        data["stream"]["reads"] = streamed.fields("data", counts)
        data["stream"]["texts"] = sorted(streamed.texts("data"))
    encode = compiled.get(("spec", "response", "encode"))
    if encode:
        data["response"]["says"] = sorted(response_fields.said({"response": encode.reads("response")}))
    table = [item for path, item in compiled.items() if path[:3] == ("spec", "stream", "encode")]
    if table:
        words = [response_fields.said({name: item.reads(name) for name in _SPOKEN}) for item in table]
        data["stream"]["says"] = sorted(set().union(*words))


def _tell_events(live: dict[str, Any], compiled: dict[Path, Compiled]) -> None:
    """Put beside the mappings of a live connection what they read, so that what is lost can be told."""
    table = {str(path[3]): item for path, item in compiled.items() if path[:3] == ("spec", "realtime", "encode")}
    live["takes"] = {name: sorted({path.split(".")[0] for path in item.reads("event")}) for name, item in table.items()}
    readers = (compiled.get(("spec", "realtime", *path)) for path in (("decode",), ("model",)))
    live["reads"] = sorted({path for item in readers if item for path in item.reads("data")})


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    """One table of counts: calls and billed models beside the counts, and what holds for all of them in each."""
    counts = _counts(usage.get("counts"))
    if usage.get("later") == "add":
        counts = {name: {"later": "add", **rule} for name, rule in counts.items()}
    usage = {**usage, "whole": usage.get("later") == "whole"}
    counts |= {name: _counts(usage[name]) for name in ("calls", "meters") if name in usage}
    if "models" in usage:
        several = as_map(usage["models"])
        counts["models"] = several | ({"counts": _counts(several["counts"])} if "counts" in several else {})
    return {**usage, "counts": counts}


def _counts(counts: Any) -> dict[str, Any]:
    """Counts as maps: one that is written as a text stands at this path."""
    return {name: {"path": rule} if isinstance(rule, str) else as_map(rule) for name, rule in as_map(counts).items()}


def _own_channel(definition: Definition) -> dict[str, Any] | None:
    spec = definition.spec
    free = as_map(spec.get("auth")).get("scheme") == "none"
    if not spec.get("models") or not (spec.get("credential") or free):
        return None
    channel = {"name": definition.name, "provider": definition.name, "models": spec["models"]}
    return channel | {key: spec[key] for key in ("credential", "groups") if key in spec}


def _rules(rules: Any, compiled: Mapping[Path, Compiled], path: Path) -> list[dict[str, Any]]:
    """An error map, with the members of the body on which each condition hangs, where it hangs on them alone."""
    error_map = []
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            error_map.append({**rule, "status": _statuses(rule.get("status"))})
            when = compiled.get((*path, index, "when"))
            members = when.members("body") if when is not None and not when.members("header") else {WHOLE}
            if WHOLE not in members:
                error_map[-1]["members"] = sorted(members)
    return error_map


def _statuses(status: Any) -> list[int | str] | None:
    if status is None:
        return None
    items = status if isinstance(status, list) else [status]
    return [int(item) if isinstance(item, str) and item.isdecimal() else item for item in items]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
