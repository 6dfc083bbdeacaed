"""List the filters and tests that expressions may use, with examples."""

from __future__ import annotations

import json
from typing import Any

import click

from engine import filters
from engine.cli import _common
from engine.compiler.diagnostics import nearest


@click.command()
@click.argument("name", required=False)
@_common.as_json
def command(name: str | None, json_: bool) -> None:
    """List filters and tests, or tell about NAME."""
    records = [_filter(item) for _, item in sorted(filters.FILTERS.items())]
    records += [_test(item) for _, item in sorted(filters.TESTS.items())]
    if name is not None:
        records = [record for record in records if record["name"] == name]
        if not records:
            near = nearest(name, [*filters.FILTERS, *filters.TESTS])
            _common.usage(f"there is no filter or test {name!r}" + (f"; did you mean {near}?" if near else ""))
    if json_:
        _common.print_json(records)
        return
    for record in records:
        click.echo(f"{record['signature']:<28} {record['words']}")
        if name is not None:
            for example in record["examples"]:
                click.echo(f"    {example['expression']}  ->  {json.dumps(example['result'], ensure_ascii=False)}")


def _filter(item: filters.Filter) -> dict[str, Any]:
    return {
        "name": item.name,
        "is": "filter",
        "signature": item.signature,
        "takes": item.takes,
        "gives": item.gives,
        "arguments": list(item.arguments),
        "words": item.words,
        "examples": _examples(item.examples),
    }


def _test(item: filters.Question) -> dict[str, Any]:
    arguments = f"({', '.join(item.arguments)})" if item.arguments else ""
    return {
        "name": item.name,
        "is": "test",
        "signature": f"is {item.name}{arguments}",
        "arguments": list(item.arguments),
        "words": item.words,
        "examples": _examples(item.examples),
    }


def _examples(examples: tuple[tuple[str, Any], ...]) -> list[dict[str, Any]]:
    return [{"expression": expression, "result": result} for expression, result in examples]
