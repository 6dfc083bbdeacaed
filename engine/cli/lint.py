"""Check documents: every fault of the set at once, with file, line and column."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from engine import settings
from engine.cli import _common
from engine.compiler import Fault, Result
from engine.compiler.diagnostics import in_order, path_text
from engine.compiler.documents.positions import Path as Path_
from engine.compiler.documents.sets import Definition
from engine.routing.secrets import closed_env


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@_common.as_json
def command(paths: tuple[Path, ...], json_: bool) -> None:
    """Check the shipped documents, your own, and any PATHS on top of them."""
    result = _common.compiled(paths)
    result.faults = in_order(result.faults + _closed(result) + _left_out(result))
    _common.show_faults(result.faults, json_=json_)
    raise SystemExit(_common.OK if result.ok else _common.FAULTS)


def _closed(result: Result) -> list[Fault]:
    """Environment variables that documents name and that a server with these settings would not read."""
    allowed = settings.load(os.environ).secret_env
    return [
        Fault(
            "closed-secret",
            closed,
            definition.where(path, name),
            path_text(path),
            severity="warning",
            document=definition.title,
        )
        for definition in result.documents
        for path, name in _named(definition.spec, ("spec",))
        if (closed := closed_env(name, allowed))
    ]


def _left_out(result: Result) -> list[Fault]:
    """Channels that a server with these settings would leave out, as their secret can't be had."""
    if not result.ok:
        return []
    closed = {fault.document for fault in _closed(result)}
    reasons = _common.left_out(result.program())
    return [
        Fault(
            "channel-left-out",
            f"channel {name} is left out here: {reasons[name]}",
            definition.where(path),
            path_text(path),
            severity="warning",
            document=definition.title,
        )
        for definition in result.documents
        for name, path in _channels(definition)
        if name in reasons and definition.title not in closed
    ]


def _channels(definition: Definition) -> Iterator[tuple[str, Path_]]:
    """The channels that a document declares, by name and place."""
    if definition.kind == "Provider" and "credential" in definition.spec:
        yield definition.name, ("spec", "credential")
    for index, channel in enumerate(definition.spec.get("channels") or () if definition.kind == "Route" else ()):
        yield str(channel.get("name")), ("spec", "channels", index, "name")


def _named(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    """Environment variables of secrets, each with its path."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _named(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            here = (*path, key)
            if key == "secretRef" and isinstance(item, dict) and isinstance(item.get("env"), str):
                yield (*here, "env"), item["env"]
            else:
                yield from _named(item, here)
