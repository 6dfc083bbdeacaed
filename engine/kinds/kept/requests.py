"""Many requests in one: read one by one, measured, and written anew where the model has another name up there.

Takes lines of JSON, or entries of a list; gives what they may use together (``Work``). Never holds more than one of
them. A request that can't be measured is refused by its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bounds import MODEL_NAME
from engine.errors import CallError
from engine.jsonbytes import dumps, loads
from engine.ledger.counting.weights import BYTES_PER_TOKEN
from engine.relay.ingress.asks import most_output
from engine.transport.spool import Spool
from engine.turns import give_way

if TYPE_CHECKING:
    from engine.program import Format, Program
    from engine.program.kept import ManyRequests

_LONGEST = 16 * 1024 * 1024
"""Bytes of a line; each is held while it is read."""
_CONVERSATION = "conversation"
IN_A_BATCH = {"service_tier": "batch"}
"""What conditions of prices see of the usage of requests that a provider carries out when it has the time."""


@dataclass(slots=True)
class Work:
    """What many requests may use: all for one model. ``input`` and ``output`` are tokens, estimated."""

    model: str
    requests: int
    input: int
    output: int

    def usage(self) -> dict[str, Any]:
        """The same as a usage: so many times that of a request of middling size."""
        mean = {"input_total": -(-self.input // self.requests), "output_total": -(-self.output // self.requests)}
        middling = {**mean, "input_fresh": mean["input_total"], "output_text": mean["output_total"]}
        return {
            "input_total": self.input,
            "output_total": self.output,
            "total": self.input + self.output,
            "models": [{**middling, "total": sum(mean.values()), "raw": IN_A_BATCH, "times": self.requests}],
        }

    def facts(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def lines(pieces: Iterable[bytes], place: str) -> Iterator[bytes]:
    """The lines of a body that are not empty."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > _LONGEST:
            raise CallError("too_large", f"{place}: a line is longer than {_LONGEST} bytes", param=place)
        give_way()
    if rest.strip():
        yield rest


def at(value: Any, path: str) -> Any:
    """What stands at a dotted path; nothing where it is not there."""
    for key in path.split(".") if path else ():
        value = value.get(key) if isinstance(value, dict) else None
    return value


def served_at(program: Program, name: str) -> Format | None:
    """The format of this name, or the one whose calls are made at this path."""
    if not name.startswith("/"):
        return program.formats.get(name)
    for endpoint in program.endpoints:
        if endpoint.operation == "generate" and not endpoint.when and name in (endpoint.path, *endpoint.aliases):
            return program.formats[endpoint.format]
    return None


class Measuring:
    """Adds up requests; ``most`` is what is held of one's output, ``usual`` what one may make that says nothing."""

    def __init__(self, program: Program, rules: ManyRequests, *, usual: int, most: int) -> None:
        self._program, self._rules, self._usual, self._most = program, rules, usual, most
        self._formats: dict[str, Format | None] = {}
        self._work: Work | None = None

    def entry(self, entry: Any, size: int, place: str) -> None:
        """Count one of ``size`` bytes."""
        body = at(entry, self._rules.at)
        if not isinstance(body, dict):
            raise CallError("bad_request", f"{place}: a request must be an object in {self._rules.at}", param=place)
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise CallError("bad_request", f"{place}: {self._rules.at}.model must name a model", param=place)
        MODEL_NAME.check(len(model), place)
        if self._work is None:
            self._work = Work(model, 0, 0, 0)
        work = self._work
        if work.model != model:
            raise CallError(
                "bad_request",
                f"{place}: its model is {model!r}, but that of the requests before it {work.model!r}; send a batch for"
                " each model",
                param=place,
                code="mismatched_model",
            )
        spoken = self._spoken(entry, place)
        output = most_output(spoken.asks, body, self._usual if spoken.kind == _CONVERSATION else 0)
        work.requests += 1
        work.input += size // BYTES_PER_TOKEN + 1
        work.output += min(output, self._most)

    def done(self, place: str) -> Work:
        """What came of it."""
        if self._work is None:
            raise CallError("bad_request", f"{place} holds no requests", param=place)
        return self._work

    def _spoken(self, entry: Any, place: str) -> Format:
        name = self._rules.format or at(entry, self._rules.url)
        if not isinstance(name, str):
            raise CallError("bad_request", f"{place}: {self._rules.url} must name a path", param=place)
        if name not in self._formats and len(self._formats) < 100:
            self._formats[name] = served_at(self._program, name)
        spoken = self._formats.get(name)
        if spoken is None:
            shown = name[:100]
            raise CallError(
                "bad_request", f"{place}: nothing that can be asked for is served at {shown!r}", param=place
            )
        return spoken


def measure(measuring: Measuring, pieces: Iterable[bytes], place: str) -> Work:
    """What the requests of a file may use, one a line."""
    for number, line in enumerate(lines(pieces, place), 1):
        measuring.entry(_parsed(line, f"{place}, line {number}"), len(line), f"{place}, line {number}")
    return measuring.done(place)


def renamed(
    pieces: Iterable[bytes], rules: ManyRequests, change: Callable[[dict[str, Any]], Any], data: Path, without: str = ""
) -> Spool:
    """A file of requests with each one's body changed, in a file without a name below ``data``.

    ``without`` is left out where their paths begin with it.
    """
    spool = Spool(data)
    for number, line in enumerate(lines(pieces, rules.file), 1):
        entry = changed(_parsed(line, f"line {number}"), rules, change)
        if without and isinstance(path := entry.get(rules.url), str):
            entry[rules.url] = path.removeprefix(without)
        spool.write(dumps(entry) + b"\n")
    return spool


def changed(entry: dict[str, Any], rules: ManyRequests, change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """An entry with its request's body changed."""
    return {**entry, rules.at: change(entry[rules.at])}


def _parsed(line: bytes, place: str) -> Any:
    try:
        return loads(line)
    except (ValueError, RecursionError):
        raise CallError("bad_request", f"{place} is not valid JSON", param=place) from None
