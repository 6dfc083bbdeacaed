"""Tell what would happen to a request: alias, candidates with their odds, patches, and why."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from engine import settings
from engine.cli import _common, _pricing
from engine.compiler.diagnostics import nearest
from engine.kinds import KINDS
from engine.program import Format, Program
from engine.releases.meaning import winners
from engine.routing import aliases, channels, order
from engine.routing.candidates import format_for
from engine.routing.channel import LiveChannel
from engine.routing.table import Table
from engine.storage.database import open_database
from engine.storage.rows import channels as channel_rows
from engine.storage.rows import options as option_rows


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
@click.option(
    "--database",
    is_flag=True,
    help="Look at options and channels of the configured database too: what they price, and who wins where a document"
    " names the same thing.",
)
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

    Channels of the database are no candidates here; --database tells where one has the name of a document's.
    """
    program = _common.runnable(paths, json_=json_).program()
    caller = _caller(program, source)
    body = _common.read_json(body_file) if body_file else {"model": model}
    body = body if isinstance(body, dict) else {}
    twice = _twice(program, model) if database else []
    if price:
        usage = _pricing.usage_of(_common.read_json(usage_file) if usage_file else None, caller, program, model)
        book, now = _pricing.book(program, database=database), at.replace(tzinfo=UTC).timestamp() if at else None
        explained = _pricing.explain(program, book, model, usage, body, (group, user_group, channel), now)
        explained |= {"twice": twice} if database else {}
        (_common.print_json if json_ else _pricing.show)(explained)
        _print_twice(twice, json_=json_)
        raise SystemExit(_common.OK if explained["rule"] else _common.FAULTS)
    explained = explain(program, model, group, caller, body, _common.left_out(program))
    explained |= {"twice": twice} if database else {}
    (_common.print_json if json_ else _print)(explained)
    _print_twice(twice, json_=json_)
    raise SystemExit(_common.OK if explained["candidates"] else _common.FAULTS)


def _twice(program: Program, model: str) -> list[dict[str, Any]]:
    """Who wins where a document and a row of the database name the same thing."""
    db = open_database(settings.load(os.environ), migrate=False)
    try:
        names = (model, aliases.AliasResolver(program).read(model).name)
        return winners.winners(program, option_rows.stored(db), channel_rows.load(db), names)
    finally:
        db.close()


def _print_twice(twice: list[dict[str, Any]], *, json_: bool) -> None:
    for line in () if json_ else winners.lines(twice):
        click.echo(line)


def explain(
    program: Program,
    model: str,
    group: str,
    caller: Format,
    body: dict[str, Any],
    left_out: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What would happen, as plain data. ``left_out``: channels that are none here, by name, each with the reason."""
    reading = aliases.AliasResolver(program).read(model)
    table = channels.build(program, [], lambda reference, url: "SECRET", keys_fit=True).table
    speaks = next(kind.call.speaks for kind in KINDS if kind.name == caller.kind)
    served = [
        (channel, spoken)
        for channel in table.candidates(group, model, *reading.names)
        if channel.name not in left_out
        and (spoken := format_for(program, channel, caller, speaks, channel.mapped(reading.name))) is not None
    ]
    formats = {channel.name: spoken for channel, spoken in served}
    odds = _odds([channel for channel, _ in served])
    candidates = [
        _candidate(channel, formats[channel.name], share, reading, caller, body, program) for channel, share in odds
    ]
    return {
        "model": model,
        "group": group,
        "format": caller.name,
        "alias": _alias(reading, body, caller),
        "order": _order(program, model),
        "candidates": candidates,
        "leftOut": {
            channel.name: left_out[channel.name]
            for channel in table.candidates(group, model, *reading.names)
            if channel.name in left_out
        },
        "why": _why(table, candidates, model, group, caller.name),
    }


def _order(program: Program, model: str) -> list[dict[str, Any]]:
    """The Routes that may order the channels of calls for a model, in turn, up to one that is for all of them."""
    routes: list[dict[str, Any]] = []
    for route in program.routes:
        if route.models and model not in route.models:
            continue
        routes.append({"route": route.name, "when": dict(route.when), "strategies": list(route.strategies)})
        if not route.when:
            return routes
    usual: list[dict[str, Any]] = [{name: {}} for name in order.USUAL.names]
    return [*routes, {"route": None, "when": {}, "strategies": usual}]


def _caller(program: Program, name: str | None) -> Format:
    """The Format of that name; without one, the first that callers of conversations meet, or the nearest to it."""
    if name is None:
        if not program.formats:
            _common.usage("there is no Format; --price and the way of a request need one")
        return min(program.formats.values(), key=lambda spoken: (spoken.kind != KINDS[0].name, not spoken.endpoints))
    if name not in program.formats:
        near = nearest(name, program.formats)
        _common.usage(f"there is no Format {name!r}" + (f"; did you mean {near}?" if near else ""))
    return program.formats[name]


def _alias(reading: aliases.ResolvedModel, body: dict[str, Any], caller: Format) -> dict[str, Any] | None:
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
    odds = []
    for channel in ordered:
        tier = [other for other in ordered if other.priority == channel.priority]
        total = sum(other.weight for other in tier)
        share = channel.weight / total if total else 1 / len(tier)
        first = channel.priority == ordered[0].priority
        odds.append((channel, f"{share:.0%}" + ("" if first else f" once priority {ordered[0].priority} has failed")))
    return odds


def _candidate(
    channel: LiveChannel,
    spoken: Format,
    odds: str,
    reading: aliases.ResolvedModel,
    caller: Format,
    body: dict[str, Any],
    program: Program,
) -> dict[str, Any]:
    model = channel.mapped(reading.name)
    traits, options = program.models.traits(model), program.told({})
    through = spoken.passthrough_as == caller.passthrough_as
    sent = {**body, "model": model}
    patches = []
    for patch in channel.provider.patches:
        if patch.format in (None, spoken.name, spoken.passthrough_as) and patch.applies(
            model, sent, spoken.name, traits, {}, options
        ):
            patched = patch.apply([], model, sent, spoken.name, traits, {}, options)
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


def _why(channels: Table, candidates: list[dict[str, Any]], model: str, group: str, caller: str) -> str:
    if candidates:
        return f"{len(candidates)} of {len(channels.channels)} channels serve it to the group {group!r}"
    near = channels.nearest([group], model)
    served = [channel.name for channel in channels.channels if model in channel.models]
    if channels.candidates(group, model):
        return f"{', '.join(served)} serve it, but take no {caller} requests"
    if served:
        return f"{', '.join(served)} serve it, but not to the group {group!r}"
    return f"no channel serves it to the group {group!r}" + (f"; did you mean {near}?" if near else "")


def _step(step: Mapping[str, Any]) -> str:
    """A strategy as one reads it: its name, what it was given, and for which calls it counts."""
    name = next(key for key in step if key != "when")
    arguments = f" {_condition(step[name])}" if step[name] else ""
    return f"{name}{arguments}" + (f" (when {_condition(step['when'])})" if step.get("when") else "")


def _condition(condition: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in condition.items())


def _print(explanation: dict[str, Any]) -> None:
    click.echo(f"model {explanation['model']}, group {explanation['group']}, caller speaks {explanation['format']}")
    alias = explanation["alias"]
    if alias:
        click.echo(f"alias {alias['name']}: means {alias['model']}")
        for name in ("hub", "wire"):
            if alias[name]:
                click.echo(f"  {name}: {alias[name]}")
    click.echo(explanation["why"])
    for number, route in enumerate(explanation["order"]):
        whose = f"the Route {route['route']}" if route["route"] else "no Route"
        condition = f" when {_condition(route['when'])}" if route["when"] else ""
        steps = ", then ".join(_step(step) for step in route["strategies"])
        click.echo(f"{'else ' if number else ''}order by {whose}{condition}: {steps}, then by weight")
    for name, reason in explanation["leftOut"].items():
        click.echo(f"- {name} is left out: {reason}")
    for item in explanation["candidates"]:
        click.echo(f"- {item['channel']} ({item['provider']}), {item['odds']}: model {item['model']}, {item['way']}")
        for patch in item["patches"]:
            click.echo(f"  patch: {patch}")
