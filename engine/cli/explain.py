"""Tell what would happen to a request: alias, candidates with their odds, patches, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from engine.cli import _common, _pricing
from engine.compiler.diagnostics import nearest
from engine.program import Format, Program
from engine.relay import channels, resolve, route
from engine.relay.table import LiveChannel, Table


@click.command()
@click.option("--model", required=True, help="The model that is asked for.")
@click.option("--key", "group", default="default", metavar="GROUP", help="The group of the key that asks (default).")
@click.option("--from", "source", metavar="FORMAT", help="The Format that the caller speaks, or that --usage is of.")
@click.option("--body", "body_file", type=click.File("rb"), help="The request, to see which patches apply.")
@click.option("--price", is_flag=True, help="Tell what it costs and why, instead of which way it goes.")
@click.option(
    "--usage", "usage_file", type=click.File("rb"), help="A usage in our buckets, or as the Format of --from has it."
)
@click.option("--user-group", default="", metavar="GROUP", help="The group of the user, for the price.")
@click.option("--channel", default="", metavar="NAME", help="The channel that serves, for the price.")
@click.option("--at", type=click.DateTime(), help="When, in UTC, for the price; now if left out.")
@click.option("--database", is_flag=True, help="Price by the options of the configured database too.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@_common.as_json
def command(
    model: str,
    group: str,
    source: str | None,
    body_file: Any,
    price: bool,
    usage_file: Any,
    user_group: str,
    channel: str,
    at: datetime | None,
    database: bool,
    paths: tuple[Path, ...],
    json_: bool,
) -> None:
    """Explain the way of a request by the documents alone (PATHS are put on top of them).

    Channels of the database are not looked at.
    """
    program = _common.runnable(paths, json_=json_).program()
    caller = _caller(program, source)
    body = _common.read_json(body_file) if body_file else {"model": model}
    body = body if isinstance(body, dict) else {}
    if price:
        usage = _pricing.usage_of(_common.read_json(usage_file) if usage_file else None, caller, program, model)
        book, now = _pricing.book(program, database=database), at.replace(tzinfo=UTC).timestamp() if at else None
        told = _pricing.explain(program, book, model, usage, body, (group, user_group, channel), now)
        (_common.print_json if json_ else _pricing.show)(told)
        raise SystemExit(_common.OK if told["rule"] else _common.FAULTS)
    told = explain(program, model, group, caller, body)
    if json_:
        _common.print_json(told)
    else:
        _print(told)
    raise SystemExit(_common.OK if told["candidates"] else _common.FAULTS)


def explain(program: Program, model: str, group: str, caller: Format, body: dict[str, Any]) -> dict[str, Any]:
    """What would happen, as plain data."""
    reading = resolve.Reader(program).read(model)
    table = channels.build(program, [], lambda reference, url: "SECRET").table
    found = list(table.candidates(group, model, reading.name))
    candidates = [_candidate(program, channel, odds, reading, caller, body) for channel, odds in _odds(found)]
    return {
        "model": model,
        "group": group,
        "format": caller.name,
        "alias": _alias(reading, body, caller),
        "candidates": candidates,
        "why": _why(table, candidates, model, group),
    }


def _caller(program: Program, name: str | None) -> Format:
    if name is None:
        return next(iter(program.formats.values()))
    if name not in program.formats:
        near = nearest(name, program.formats)
        _common.usage(f"there is no Format {name!r}" + (f"; did you mean {near}?" if near else ""))
    return program.formats[name]


def _alias(reading: resolve.Reading, body: dict[str, Any], caller: Format) -> dict[str, Any] | None:
    if reading.alias is None:
        return None
    groups = reading.groups or {}
    return {
        "name": reading.alias.name,
        "model": reading.name,
        "groups": groups,
        "hub": reading.alias.hub([], groups, {}),
        "wire": _changes(body, reading.alias.patch([], caller.name, groups, body)),
    }


def _odds(channels: list[LiveChannel]) -> list[tuple[LiveChannel, str]]:
    """Channels in the order of their priority, with the odds to be tried first among their equals."""
    ordered = sorted(channels, key=lambda channel: (-channel.priority, -channel.weight, channel.name))
    told = []
    for channel in ordered:
        tier = [other for other in ordered if other.priority == channel.priority]
        total = sum(other.weight for other in tier)
        share = channel.weight / total if total else 1 / len(tier)
        first = channel.priority == ordered[0].priority
        told.append((channel, f"{share:.0%}" + ("" if first else f" once priority {ordered[0].priority} has failed")))
    return told


def _candidate(
    program: Program, channel: LiveChannel, odds: str, reading: resolve.Reading, caller: Format, body: dict[str, Any]
) -> dict[str, Any]:
    spoken = route.format_for(program, channel, caller)
    model = channel.mapped(reading.name)
    through = spoken.passthrough_as == caller.passthrough_as
    sent = {**body, "model": model}
    patches = []
    for patch in channel.provider.patches:
        if patch.format in (None, spoken.name, spoken.passthrough_as) and patch.applies(model, sent, spoken.name):
            patched = patch.apply([], model, sent, spoken.name)
            patches.append(_changes(sent, patched) if through else {"drop": [".".join(path) for path in patch.drop]})
            sent = patched
    return {
        "channel": channel.name,
        "provider": channel.provider.name,
        "odds": odds,
        "priority": channel.priority,
        "weight": channel.weight,
        "model": model,
        "format": spoken.name,
        "way": "passes through, byte for byte but for patches" if through else f"{caller.name} -> hub -> {spoken.name}",
        "patches": patches,
    }


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Top-level keys that a patch drops or sets."""
    dropped = [key for key in before if key not in after]
    changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
    return {key: value for key, value in (("drop", dropped), ("set", changed)) if value}


def _why(channels: Table, candidates: list[dict[str, Any]], model: str, group: str) -> str:
    if candidates:
        return f"{len(candidates)} of {len(channels.channels)} channels serve it to the group {group!r}"
    near = channels.nearest([group], model)
    served = [channel.name for channel in channels.channels if model in channel.models]
    if served:
        return f"{', '.join(served)} serve it, but not to the group {group!r}"
    return f"no channel serves it to the group {group!r}" + (f"; did you mean {near}?" if near else "")


def _print(told: dict[str, Any]) -> None:
    click.echo(f"model {told['model']}, group {told['group']}, caller speaks {told['format']}")
    alias = told["alias"]
    if alias:
        click.echo(f"alias {alias['name']}: means {alias['model']}")
        for name in ("hub", "wire"):
            if alias[name]:
                click.echo(f"  {name}: {alias[name]}")
    click.echo(told["why"])
    for item in told["candidates"]:
        click.echo(f"- {item['channel']} ({item['provider']}), {item['odds']}: model {item['model']}, {item['way']}")
        for patch in item["patches"]:
            click.echo(f"  patch: {patch}")
