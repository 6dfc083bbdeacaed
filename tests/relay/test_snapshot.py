"""A call is served, retried, charged and logged by the release and the options that it began with, whatever changes."""

from __future__ import annotations

import io
import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from engine import paths
from engine.accounts.first_start import first_start
from engine.bounds import Kept
from engine.cluster.store import EmbeddedStore, Space
from engine.compiler.cache import load_or_compile
from engine.filters.patterns import Pattern
from engine.program import Program, load
from engine.relay.snapshot import Snapshot
from engine.routing.channel import LiveChannel
from engine.server import building
from engine.settings import Settings
from engine.storage.database import Database, open_database
from engine.storage.tables import core
from engine.transport.leg import Pool
from tests.relay import plain
from tests.relay.scripted import Upstream

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""A connection whose caller left is shut down; here nobody closes it before the collector does."""
SPEC = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: own}}
spec:
  baseUrl: {base}
  formats: {{openai.chat: {{path: /v1/chat/completions}}}}
  auth: {{scheme: none}}
  models: [{model}]
  price: [{{names: [{model}], tokens: {{input: {price}, output: {price}}}}}]
---
apiVersion: gatewright/v1
kind: Policy
metadata: {{name: own}}
spec: {{ledger: {{callerLeft: {left}}}, retries: {{times: {times}}}}}
"""
PATHS = {
    "openai.chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "openai.responses": ("/v1/responses", {"input": "hi"}),
    "anthropic.messages": ("/v1/messages", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}),
}
WORDS = tuple(f"word{number} " for number in range(6))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    server.script = lambda say: say.events(*map(plain.wire, plain.events("openai.chat", WORDS)), pause=0.01)
    yield server
    server.close()


class Site:
    """One worker's parts and its application, called in process; ``entries`` are those that calls put in the ledger."""

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        self.directory, self.upstream = directory, upstream
        self.settings = Settings(data=directory, egress_allow=(f"127.0.0.1:{upstream.port}",))
        db = open_database(self.settings)
        login = first_start(db)
        assert login is not None
        self.key = login.key
        db.close()
        parts, self.app = building.relay(self.settings, self.release(), dict)
        assert isinstance(parts, building.WorkerParts)
        self.parts = parts
        self.entries: list[Any] = []
        put = parts.services.ledger.put
        parts.services.ledger.put = lambda entry: (self.entries.append(entry), put(entry))[1]  # type: ignore[method-assign]

    def release(self, *, price: int = 10, left: str = "produced", times: int = 2, model: str = "m") -> Program:
        """A compiled release over the shipped documents."""
        own = self.directory / "specs"
        own.mkdir(exist_ok=True)
        text = SPEC.format(base=self.upstream.base, price=price, left=left, times=times, model=model)
        (own / "own.yaml").write_text(text)
        artefact, faults, _ = load_or_compile([paths.SPECS, own], self.directory / "cache")
        assert artefact is not None, faults
        return load(artefact)

    def option(self, name: str, text: str) -> None:
        """Set an option of the console and have it read."""
        self.parts.db.write(lambda connection: connection.execute(insert(core.options).values(key=name, value=text)))
        self.parts.refresh()

    def call(self, caller: str = "openai.chat") -> Any:
        """Begin a streamed call; gives its pieces."""
        path, body = PATHS[caller]
        data = json.dumps({"model": "m", "stream": True, **body}).encode()
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": path, "RAW_URI": path, "QUERY_STRING": "", "SCRIPT_NAME": "",
            "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "x", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(data)), "HTTP_HOST": "x",
            "HTTP_AUTHORIZATION": f"Bearer {self.key}", "wsgi.input": io.BytesIO(data), "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
        }  # fmt: skip
        status: list[str] = []
        pieces = self.app(environ, lambda word, headers, *_: status.append(word))
        assert status[0].startswith("200"), b"".join(pieces)
        return pieces


@pytest.fixture
def site(tmp_path: Path, upstream: Upstream) -> Iterator[Site]:
    made = Site(tmp_path, upstream)
    yield made
    made.parts.close()


def begun(site: Site, caller: str) -> tuple[Any, bytes]:
    """A call's stream of which the caller has read something that was said."""
    stream = site.call(caller)
    pieces = iter(stream)
    read = b""
    while b"word1" not in read:
        read += next(pieces)
    return stream, read


@pytest.mark.parametrize("caller", PATHS)
def test_a_caller_who_leaves_pays_as_the_release_says_that_the_call_began_with(site: Site, caller: str) -> None:
    site.parts.swap(site.release(left="free"))
    first = site.parts.current.snapshot.program.hash
    stream, _ = begun(site, caller)
    site.parts.swap(site.release(left="produced", price=9))
    stream.close()
    (entry,) = site.entries
    assert entry.quota == 0
    assert entry.row["other"]["release"] == first[:16]
    stream, _ = begun(site, caller)
    stream.close()
    assert site.entries[1].quota > 0


@pytest.mark.parametrize("caller", PATHS)
def test_release_options_and_prices_change_in_the_midst_of_a_stream(site: Site, caller: str) -> None:
    first = site.parts.current.snapshot
    stream, read = begun(site, caller)
    site.parts.swap(site.release(price=1000))
    site.option("LogConsumeEnabled", "false")
    site.option("RetryTimes", "0")
    second = site.parts.current.snapshot
    assert b"word5" in read + b"".join(stream)
    stream.close()
    assert b"word5" in b"".join(site.call(caller))
    before, after = site.entries
    assert before.row["other"]["release"] == first.program.hash[:16] != second.program.hash[:16]
    assert after.row["other"]["release"] == second.program.hash[:16]
    assert (before.logged, after.logged) == (True, False)
    assert after.quota == 100 * before.quota > 0
    assert (first.retry.tries, second.retry.tries) == (3, 1)


def test_a_model_that_is_gone_is_served_to_its_end(site: Site) -> None:
    stream, read = begun(site, "openai.chat")
    site.parts.swap(site.release(model="other"))
    assert b"word5" in read + b"".join(stream)
    assert site.entries[0].quota > 0


# --------------------------------------------------------------------------------------------- what a snapshot holds

CACHES = {
    (LiveChannel, "plans"),
    (LiveChannel, "profiles"),
    (LiveChannel, "spoken"),
    (LiveChannel, "turn"),
    ("GroupOptions", "_open"),
}
"""What may change in a snapshot besides what is ``Kept``: each is made of what stands beside it."""
DOORS = {(Snapshot, "fetch"), ("Counter", "_fetch")}
"""What a snapshot is handed to reach a service; it looks at nothing behind them."""
FOREIGN = (Pool, Database, EmbeddedStore, Space)
PLAIN = (str, bytes, int, float, bool, type(None), type, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """What an object of ours holds, but caches and doors."""
    names = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
    for name in sorted(names | set(getattr(value, "__dict__", ()))):
        places = {(type(value), name), (type(value).__name__, name)}
        if hasattr(value, name) and not places & (CACHES | DOORS):
            yield name, getattr(value, name)


def walk(value: Any, path: str = "snapshot", seen: dict[int, Any] | None = None) -> Iterator[tuple[str, Any]]:
    """Every object that a snapshot holds, with the way to it, but for what remembers within a bound."""
    seen = {} if seen is None else seen
    if isinstance(value, (*PLAIN, Kept, Pattern)) or id(value) in seen:
        return
    seen[id(value)] = value
    yield path, value
    if isinstance(value, Mapping):
        inner = [(f"[{key!r}]", item) for key, item in value.items()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = [("[]", item) for item in value]
    elif type(value).__module__.partition(".")[0] == "engine":
        inner = [(f".{name}", item) for name, item in members(value)]
    else:
        inner = []
    for name, item in inner:
        yield from walk(item, path + name, seen)


def contents(snapshot: Snapshot) -> dict[str, int | list[int]]:
    """Size of every collection, and which objects it holds."""
    return {
        path: [id(item) for item in (value.values() if isinstance(value, Mapping) else value)]
        for path, value in walk(snapshot)
        if isinstance(value, Mapping | list | set)
    }


def test_a_snapshot_holds_no_pool_and_no_session(site: Site) -> None:
    wrong = [path for path, value in walk(site.parts.current.snapshot) if isinstance(value, FOREIGN)]
    assert wrong == []
    held = {type(value).__module__.partition(".")[0] for _, value in walk(site.parts.current.snapshot)}
    assert held.isdisjoint({"sqlalchemy", "socket", "ssl", "requests", "_thread", "threading", "falcon"})


def test_nothing_in_a_snapshot_changes_while_calls_and_releases_come_and_go(site: Site) -> None:
    snapshot = site.parts.current.snapshot
    before = contents(snapshot)
    for caller in PATHS:
        stream, _ = begun(site, caller)
        site.parts.swap(site.release(price=len(caller) + 10))
        site.parts.refresh()
        b"".join(stream)
    assert contents(snapshot) == before
    assert len(before) > 1_000


def test_a_snapshot_can_not_be_assigned_to(site: Site) -> None:
    snapshot = site.parts.current.snapshot
    for name in Snapshot.__dataclass_fields__:
        with pytest.raises(AttributeError):
            setattr(snapshot, name, None)
    for mapping in (snapshot.options, snapshot.names, snapshot.credentials):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


def test_a_change_is_one_assignment(site: Site) -> None:
    """Whoever looks sees the whole of one reading: the parts that follow from the options are built of the same."""
    before = site.parts.current.snapshot
    site.option("RetryTimes", "1")
    after = site.parts.current.snapshot
    assert (before.groups.retries, before.retry.options, before.book.source) == (None, before.groups, before.options)
    assert (after.groups.retries, after.retry.options, after.book.source) == (1, after.groups, after.options)
    assert after.program is before.program
