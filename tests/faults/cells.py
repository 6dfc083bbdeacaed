"""The cells of the table: each fault by one and two channels, whole and streamed, for four clients and four upstreams.

``Table`` runs cells against a gateway with all channels and judges each: what the program using the SDK had, that no
address and no secret was told, and what was charged, by the channel that answered. The second channel costs three times
the first and says other words, so that a charge and an answer each tell whose they are.
"""

from __future__ import annotations

import gc
import re
import socket
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.clients import BROKEN, CLASSES, FailedError, Told, close, told
from tests.faults.table import ANSWER, ERROR, FAULTS, PART, SECRET, USED, WORDS, Fault, good
from tests.relay.conftest import FORMATS
from tests.relay.scripted import Say, Upstream
from tests.reports import certificates
from tests.reports.gateways import Mark, Site

NAMES = tuple(FORMATS)
OTHER = tuple(word.replace("a", "b") for word in WORDS)
AT_ONCE = 24
DUE = {"a": sum(USED), "b": 3 * sum(USED)}
"""Units: a token in or out costs one, by the second channel three."""
_SHOWN = 4
"""Cells of a fault that are told in full."""
_ERROR_FIELDS = re.compile(r"127\.0\.0\.1|localhost|:\d{4,5}\b")
_PATHS = {"openai.chat": "/chat/completions", "openai.responses": "/responses", "anthropic.messages": "/messages"}


@dataclass(frozen=True)
class Cell:
    """One call."""

    fault: str
    channels: int
    stream: bool
    client: str
    upstream: str

    @property
    def model(self) -> str:
        """The model's name, by which the upstream knows what to do; client and stream show in the log row."""
        return (
            f"{re.sub('[^a-z0-9]+', '-', self.fault.lower()).strip('-')}.{NAMES.index(self.upstream)}.{self.channels}"
        )

    @property
    def column(self) -> str:
        """Its column of the table."""
        return f"{self.channels} {'stream' if self.stream else 'whole'}"

    def __str__(self) -> str:
        return f"{self.fault} | {self.column} | {self.client} <- {self.upstream}"


def cells(faults: Iterable[str] = FAULTS, every: bool = True) -> list[Cell]:
    """All cells of these faults; without ``every`` each client has one upstream, another one for each fault."""
    listed = []
    for number, fault in enumerate(faults):
        for place, client in enumerate(NAMES):
            upstreams = NAMES if every else (NAMES[(number + place) % len(NAMES)],)
            for upstream in upstreams:
                listed += [Cell(fault, many, stream, client, upstream) for many in (1, 2) for stream in (False, True)]
    return listed


class Table:
    """The gateway, and the upstreams behind all its channels."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.upstream = Upstream()
        self.upstream.script = self._answer
        self.faults = {Cell(name, 1, False, NAMES[0], NAMES[0]).model.rpartition(".0.")[0]: each
                       for name, each in FAULTS.items()}  # fmt: skip
        directory.mkdir(parents=True, exist_ok=True)
        signed = Upstream(wrap=certificates.wrap(directory))
        silent = socket.create_server(("127.0.0.1", 0), backlog=512)  # connects, and never says a word
        refused = socket.socket()
        refused.bind(("127.0.0.1", 0))
        for each in (self.upstream, signed, silent, refused):
            stack.callback(each.close)
        self.places = {
            "": self.upstream.base, "self-signed": signed.base,
            "silent": f"https://127.0.0.1:{silent.getsockname()[1]}",
            "refused": f"http://127.0.0.1:{refused.getsockname()[1]}",
        }  # fmt: skip
        env = {
            "GATEWRIGHT_EGRESS_ALLOW": ",".join(base.partition("//")[2] for base in self.places.values()),
            "RELAY_TIMEOUT": "8", "ERROR_LOG_ENABLED": "false", **{_variable(place): SECRET for place in self.places},
        }  # fmt: skip
        self.site = Site(directory / "site", {"faults.yaml": self._documents()}, env=env)
        stack.callback(self.site.close)
        self.mark = Mark.now(self.site)

    def _documents(self) -> str:
        """Channels a and b for each format and place, and their prices."""
        made, channels, models = [], [], set()
        for number, fmt in enumerate(NAMES):
            for place, base in self.places.items():
                for name in ("a", "b") if not place else ("a",):
                    own = f"{name}{number}{place and f'-{place}'}"
                    made.append(_provider(own, f"{base}/{name}", fmt))
                    served = [cell.model for cell in cells(FAULTS) if cell.upstream == fmt and not cell.stream
                              and cell.client == NAMES[0] and _has(cell, name, place)]  # fmt: skip
                    models |= set(served)
                    channels.append(f"{{name: {own}, provider: {own}, priority: {9 if name == 'a' else 1}, "
                                    f"credential: {{secretRef: {{env: {_variable(place)}}}}}, "
                                    f"models: [{', '.join(served)}]}}")  # fmt: skip
        factors = ", ".join(f"b{number}: 3" for number in range(len(NAMES)))
        return "\n---\n".join([*made, f"""
apiVersion: gatewright/v1
kind: Route
metadata: {{name: faults}}
spec: {{channels: [{", ".join(channels)}]}}""", f"""
apiVersion: gatewright/v1
kind: Price
metadata: {{name: faults}}
spec:
  channels: {{{factors}}}
  models: [{{names: [{", ".join(sorted(models))}], tokens: {{input: 2, output: 2}}}}]""", """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: faults}
spec:
  retries:
    times: 2
    on: [auth, forbidden, quota, rate_limit, rate_limit_account, rate_limit_service, overloaded, unavailable, not_found,
         upstream_auth, upstream_quota, cut, unknown, empty, timeout]
  timeouts: {connect: 2, firstByte: 3, idle: 2}"""])  # fmt: skip

    def _answer(self, say: Say) -> None:
        path = say.arrived.path
        body = say.arrived.json
        gemini = re.search(r"models/([^:]+):(stream)?", path)
        fmt, name = (NAMES[3], gemini[1]) if gemini else (_format_of(path), body["model"])
        stream = bool(gemini[2]) if gemini else bool(body.get("stream"))
        if path.startswith("/b/"):
            good(say, fmt, stream, OTHER)
            return
        play = self.faults[name.rsplit(".", 2)[0]].play
        assert play is not None
        play(say, fmt, stream)

    def run(self, wanted: list[Cell]) -> dict[Cell, str]:
        """Run cells, many at once; gives those that are wrong, each with what is."""
        wrong = self._run(wanted)
        with warnings.catch_warnings():  # google-genai leaves the connection of a stream that failed to the collector
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        return wrong

    def _run(self, wanted: list[Cell]) -> dict[Cell, str]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            had = dict(zip(wanted, pool.map(self._call, wanted), strict=True))
        close(self.site.gateway.base, self.site.gateway.key)
        rows = self._rows()
        return {cell: wrong for cell, one in had.items() if (wrong := judged(cell, one, rows.get(_row_key(cell), [])))}

    def _call(self, cell: Cell) -> Told:
        return told(cell.client, self.site.gateway.base, self.site.gateway.key, cell.model, cell.stream)

    def _rows(self) -> dict[tuple[str, bool, str], list[dict[str, Any]]]:
        """Rows of charges by model, stream and the client's path; balances fell by what they say."""
        charges = self.mark.charges()
        assert self.mark.fell() == sum(row["quota"] for row in charges)
        found: dict[tuple[str, bool, str], list[dict[str, Any]]] = {}
        for row in charges:
            path = row["other"]["request_path"]
            client = next((fmt for fmt, end in _PATHS.items() if path.endswith(end)), NAMES[3])
            found.setdefault((row["model_name"], bool(row["is_stream"]), client), []).append(row)
        return found


def judged(cell: Cell, had: Told, rows: list[dict[str, Any]]) -> str | None:
    """What is wrong with a cell, or nothing."""
    fault = FAULTS[cell.fault]
    right = fault.stream if cell.stream else fault.whole
    second = cell.channels == 2 and fault.elsewhere  # of a stream that broke only if no word had left
    elsewhere = second and ERROR in right
    whose = _whose(had.text)
    outcome = ANSWER if had.error is None else PART if had.text else ERROR
    faults = [*_of_error(cell, fault, had, outcome), *_of_charge(outcome, whose, rows, fault)]
    if outcome == ANSWER and whose == "b":
        faults += [] if second and had.text == "".join(OTHER) else ["the second channel's answer, or not all of it"]
    elif outcome == ANSWER and had.text != ("" if fault.hollow else "".join(WORDS)):
        faults.append(f"not all words: {had.text[:100]!r}")
    elif outcome not in right:
        faults.append(f"{outcome}, not {' or '.join(sorted(right))}: {_shown(had)}")
    elif outcome == ERROR and elsewhere:
        faults.append(f"the second channel was due: {_shown(had)}")
    if fault.hollow and second and whose != "b":
        faults.append("the second channel was due")
    return "; ".join(faults) or None


def _of_error(cell: Cell, fault: Fault, had: Told, outcome: str) -> Iterator[str]:
    if had.error is None:
        return
    text = str(had.error)
    if not isinstance(had.error, (CLASSES[cell.client], FailedError)) or isinstance(had.error, BROKEN):
        yield f"no error of the SDK's API: {type(had.error).__name__}: {text[:200]}"
    if outcome == ERROR and had.status and had.status not in fault.statuses:
        yield f"status {had.status}: {text[:200]}"
    if SECRET in text or _ERROR_FIELDS.search(text):
        yield f"tells an address or a secret: {text[:200]}"


def _of_charge(outcome: str, whose: str, rows: list[dict[str, Any]], fault: Fault) -> Iterator[str]:
    charged = [(row["other"].get("channel", "")[:1], row["quota"]) for row in rows]
    if outcome == ERROR:
        if charged:
            yield f"charged though nothing was said: {charged}"
    elif len(charged) != 1:
        yield f"charged {len(charged)} times: {charged}"
    elif charged[0][0] != (whose or "a"):
        yield f"{whose} answered, {charged} was charged"
    elif outcome == PART and charged[0][1] <= 0:
        yield "words were said and nothing is charged"
    elif outcome == ANSWER and fault.name == "negative usage":
        if charged[0][1] < 0:
            yield f"charged {charged}"
    elif outcome == ANSWER and fault.name == "empty answer" and whose != "b":
        if charged[0][1] != USED[0]:
            yield f"charged {charged} for an answer without words"
    elif outcome == ANSWER and charged[0][1] != DUE[whose]:
        yield f"charged {charged}, due are {DUE[whose]}"


def _whose(text: str) -> str:
    return "a" if text.startswith("a") else "b" if text.startswith("b") else ""


def _shown(had: Told) -> str:
    return f"{had.text[:40]!r}, {type(had.error).__name__} {str(had.error)[:200]}"


def _row_key(cell: Cell) -> tuple[str, bool, str]:
    return cell.model, cell.stream, cell.client


def _has(cell: Cell, channel: str, place: str) -> bool:
    """Whether a channel serves a cell's model."""
    return cell.channels == 2 if channel == "b" else FAULTS[cell.fault].place == place


def _variable(place: str) -> str:
    """Where the secret for a place lies: a secret goes to one host alone."""
    return "GATEWRIGHT_KEY_FAULTS_" + place.upper().replace("-", "_")


def _format_of(path: str) -> str:
    return next(fmt for fmt, end in _PATHS.items() if path.endswith(end))


def _provider(name: str, base: str, fmt: str) -> str:
    return f"""
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: {name}}}
spec:
  baseUrl: {base}
  formats: {{{fmt}: {FORMATS[fmt]}}}
  auth: {{scheme: bearer}}"""


def summary(wanted: list[Cell], wrong: dict[Cell, str]) -> list[str]:
    """The table's lines, those that fail with their cells, and the last: so many faults are right in every cell."""
    columns = ("1 whole", "1 stream", "2 whole", "2 stream")
    lines = [f"{'fault':32}" + "".join(f"{column:>10}" for column in columns)]
    names = list(dict.fromkeys(cell.fault for cell in wanted))
    for name in names:
        mine = [cell for cell in wanted if cell.fault == name]
        counts = [sum(cell.column == column and cell not in wrong for cell in mine) for column in columns]
        lines.append(f"{name:32}" + "".join(f"{count:>10}" for count in counts))
        failed = [(cell, wrong[cell]) for cell in mine if cell in wrong]
        lines += [f"  {cell}: {why}" for cell, why in failed[:_SHOWN]]
        lines += [f"  ... and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else []
    right = len(names) - len({cell.fault for cell in wrong})
    return [*lines, f"faults: {right} of {len(names)}"]
