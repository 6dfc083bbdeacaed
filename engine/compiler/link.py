"""Link: definitions to the plain data and the functions of one Program.

Takes resolved definitions and shared fragments; compiles every mapping that the schemas mark, checks references, and
gives the data tree that ``engine.program`` describes, in which each mapping is the name of its function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.compiler import answerreads, extends, madenames, parameters, prices, references, reuse
from engine.compiler.analysis import WHOLE
from engine.compiler.diagnostics import Fault
from engine.compiler.fragments import Fragments
from engine.compiler.mapping import Function
from engine.compiler.mappings import Compiled
from engine.compiler.positions import Path
from engine.compiler.schema import fields
from engine.compiler.sets import Definition, Definitions
from engine.program import method_of


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
    wanted = []
    for definition in definitions:
        found = list(fields(definition))
        linked.faults += references.check(definition, found, definitions)
        linked.faults += parameters.check(definition, definitions)
        if not definition.abstract:
            wanted.append((definition, found))
            linked.faults += madenames.check(definition)
    linked.functions, linked.compiled = reuse.compile_all(wanted, shared, linked.faults)
    layout = _Layout(definitions, linked)
    linked.data = {
        "formats": [layout.format(item) for item in definitions.of("Format")],
        "providers": [layout.provider(item) for item in definitions.of("Provider")],
        "aliases": [layout.alias(item) for item in definitions.of("Alias")],
        "channels": layout.channels(),
        "policy": layout.policy(),
        "legacy": layout.legacy(),
        "prices": prices.layout(definitions, layout.named, linked.faults),
    }
    layout.check_endpoints()
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
        request = _map(data.get("request"))
        decode, encode = compiled.get(("spec", "request", "decode")), compiled.get(("spec", "request", "encode"))
        request["reads"] = sorted({path.split(".")[0] for path in decode.reads("body")} if decode else ())
        request["places"] = decode.asked("body") if decode else []
        request["hubReads"] = sorted(encode.taken() if encode else ())
        data["request"] = request
        for endpoint in _maps(data.get("endpoints")):
            endpoint.setdefault("method", method_of(str(endpoint.get("operation"))))
            marks = [mark.items() for mark in _maps(_listed(endpoint.get("when")))]
            endpoint["when"] = [{where: name} for mark in marks for where, name in mark]
        asking = _map(_map(data.get("stream")).get("usageRequest"))
        if isinstance(asking.get("path"), str):
            asking["path"] = asking["path"].split(".")
        data["usage"] = _usage(_map(data.get("usage")))
        _tell_answers(data, compiled)
        error = _map(data.get("error"))
        error["rules"] = _rules(error.pop("map", None), compiled, ("spec", "error", "map"))
        data["error"] = error
        data.pop("tables", None)
        data.pop("fragments", None)
        return data

    def provider(self, definition: Definition) -> dict[str, Any]:
        """The data of a Provider."""
        data = self.named(definition)
        data["errors"] = _rules(data.get("errors"), self.linked.compiled[definition.title], ("spec", "errors"))
        data.pop("price", None)
        data.setdefault("auth", {"scheme": "bearer"})
        return data

    def alias(self, definition: Definition) -> dict[str, Any]:
        """The data of an Alias."""
        data = self.named(definition)
        data["wire"] = {name: _listed(patches) for name, patches in _map(data.get("wire")).items()}
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

    def _check_format(self, definition: Definition, channel: dict[str, Any], index: int) -> None:
        provider = self.definitions.get("Provider", str(channel.get("provider")))
        wanted = channel.get("format")
        if provider is None or wanted is None or wanted in _map(provider.spec.get("formats")):
            return
        message = f"the provider {provider.name!r} does not speak {wanted!r}"
        spoken = ", ".join(_map(provider.spec.get("formats")))
        fault = definition.fault(
            "unknown-reference", message, ("spec", "channels", index, "format"), expected=f"one of {spoken}"
        )
        self.linked.faults.append(fault)

    def policy(self) -> dict[str, Any]:
        """All policies merged: the operator's own over the shipped ones, and in the order of their names."""
        merged: dict[str, Any] = {}
        for definition in sorted(self.definitions.of("Policy"), key=lambda item: item.layer):
            merged = extends.merge(merged, definition.spec)
        return merged

    def legacy(self) -> list[list[Any]]:
        """[numbering, number, provider] for each channel type that a provider says is its own."""
        rows: dict[tuple[str, int], str] = {}
        for definition in self.definitions.of("Provider"):
            for numbering, numbers in _map(definition.spec.get("channelTypes")).items():
                for index, number in enumerate(numbers if isinstance(numbers, list) else ()):
                    if not isinstance(number, int):
                        continue
                    other = rows.setdefault((numbering, number), definition.name)
                    if other != definition.name:
                        path = ("spec", "channelTypes", numbering, index)
                        message = f"the channel type {number} is already the provider {other!r}"
                        self.linked.faults.append(definition.fault("duplicate-document", message, path))
        return [[numbering, number, name] for (numbering, number), name in rows.items()]

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
        data["response"]["says"] = sorted(answerreads.said({"response": encode.reads("response")}))
    table = [item for path, item in compiled.items() if path[:3] == ("spec", "stream", "encode")]
    if table:
        said = [answerreads.said({name: item.reads(name) for name in _SPOKEN}) for item in table]
        data["stream"]["says"] = sorted(set().union(*said))


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    """One table of counts: calls and billed models beside the counts, and what holds for all of them in each."""
    counts = dict(_map(usage.get("counts")))
    if usage.get("later") == "add":
        counts = {name: {"later": "add", **_map(rule)} for name, rule in counts.items()}
    counts |= {name: usage[name] for name in ("calls", "meters", "models") if name in usage}
    return {**usage, "counts": counts}


def _own_channel(definition: Definition) -> dict[str, Any] | None:
    spec = definition.spec
    free = _map(spec.get("auth")).get("scheme") == "none"
    if not spec.get("models") or not (spec.get("credential") or free):
        return None
    channel = {"name": definition.name, "provider": definition.name, "models": spec["models"]}
    return channel | {key: spec[key] for key in ("credential", "groups") if key in spec}


def _rules(rules: Any, compiled: Mapping[Path, Compiled], path: Path) -> list[dict[str, Any]]:
    """An error map, with the members of the body on which each condition hangs, where it hangs on them alone."""
    found = []
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            found.append({**rule, "status": _statuses(rule.get("status"))})
            when = compiled.get((*path, index, "when"))
            members = when.members("body") if when is not None and not when.members("header") else {WHOLE}
            if WHOLE not in members:
                found[-1]["members"] = sorted(members)
    return found


def _statuses(status: Any) -> list[int | str] | None:
    if status is None:
        return None
    items = status if isinstance(status, list) else [status]
    return [int(item) if isinstance(item, str) and item.isdecimal() else item for item in items]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
