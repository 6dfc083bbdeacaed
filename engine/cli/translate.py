"""Carry one request, response or stream through a pair of formats and show every hop."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import orjson

from engine.cli import _common
from engine.compiler.diagnostics import nearest
from engine.compiler.translation import Translation, WireMessage, translate
from engine.errors import GatewrightError
from engine.program import Program


@click.command()
@click.option("--from", "source", required=True, metavar="FORMAT", help="The format that the message is in.")
@click.option("--to", "target", required=True, metavar="FORMAT", help="The format that it becomes.")
@click.option("--request", "what", flag_value="request", default="request", help="The message is a request (default).")
@click.option("--response", "what", flag_value="response", help="The message is a whole answer of --from.")
@click.option(
    "--stream", "what", flag_value="stream", help="The message is a streamed answer: SSE, lines of JSON or a list."
)
@click.option("--status", type=int, default=200, help="The HTTP status of the answer (200 if left out).")
@click.option("--for", "request_file", type=click.File("rb"), help="The hub request that the answer belongs to.")
@click.option(
    "--with",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="A document, or a directory of them, to put on top of the others; may be repeated.",
)
@_common.as_json
@click.argument("file", type=click.File("rb"))
def command(
    source: str,
    target: str,
    what: str,
    status: int,
    request_file: Any,
    paths: tuple[Path, ...],
    json_: bool,
    file: io.BufferedReader,
) -> None:
    """Carry the message in FILE (- is standard input) from one format to another."""
    program = _common.runnable(paths, json_=json_).program()
    for name in (source, target):
        _known(program, name)
    wire = _events(file.read()) if what == "stream" else _common.read_json(file)
    request = _common.read_json(request_file) if request_file else {}
    try:
        done = translate(program, source, target, what, WireMessage(wire, request=request, status=status))
    except GatewrightError as error:
        if json_:
            _common.print_json({"ok": False, "error": str(error)})
        else:
            click.echo(f"refused: {error}")
        raise SystemExit(_common.FAULTS) from None
    _show(done, json_)


def _known(program: Program, name: str) -> None:
    if name not in program.formats:
        near = nearest(name, program.formats)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(program.formats))}"
        _common.usage(f"there is no Format {name!r}: {hint} (--with PATH adds documents)")


def _show(done: Translation, json_: bool) -> None:
    if json_:
        steps = [{"step": name, "value": value} for name, value in done.steps]
        _common.print_json({"ok": True, "steps": steps, "lost": [{"path": at, "why": why} for at, why in done.report]})
        return
    for name, value in done.steps:
        click.echo(f"--- {name}")
        _common.print_json(value)
    click.echo("--- lost")
    for path, why in done.report:
        click.echo(f"{path}: {why}")
    if not done.report:
        click.echo("nothing")


def _events(raw: bytes) -> list[Any]:
    """Wire events of a recorded stream: a JSON array, server-sent events, or a line of JSON each."""
    text = raw.decode("utf-8")
    if text.lstrip().startswith("["):
        events = orjson.loads(text)
        return events if isinstance(events, list) else [events]
    assembled: list[Any] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        name, data = None, []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            if line.startswith(("{", '"')):
                assembled.append(orjson.loads(line))
            elif field == "event":
                name = value.strip()
            elif field == "data":
                data.append(value.removeprefix(" "))
        if data:
            joined = "\n".join(data)
            content = orjson.loads(joined) if joined[:1] in ("{", "[") and joined != "[DONE]" else joined
            assembled.append({"event": name, "data": content} if name else content)
    return assembled
