"""Stores of results: a directory, or an address below which PUT, GET and DELETE do what they say.

``opened`` gives the store of a name as a Policy declares it; LookupError where it can't be used, with the reason. A
store takes names that the gateway made (letters, digits, dashes, slashes) and raises ``OSError`` or ``TransportError``
where it fails. What is put under a name is there whole or not at all. Knows no tasks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.relay.call import Reply
from engine.relay.results.ranges import whole_or_part
from engine.transport import auth
from engine.transport.faults import TransportError
from engine.transport.leg import Handle, Timeouts
from engine.transport.spool import STEP, Body, Spool

if TYPE_CHECKING:
    from engine.relay.results.rules import ResultRules
    from engine.relay.services import Services
    from engine.relay.snapshot import Snapshot
    from engine.transport.answer import Answer
    from engine.transport.leg import Pool

_ASKING = Timeouts(connect=10, first_byte=60, idle=60, total=120)
_CARRYING = Timeouts(connect=10, first_byte=300, idle=60, total=1800)
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
_TOLD = 65_536
_THERE, _NOT_MODIFIED, _BEYOND = range(200, 300), 304, 416
ASKED = ("range", "if-range", "if-none-match", "if-modified-since")
"""Headers of a caller that say which part of a result is wanted, and whether at all."""


class Store(Protocol):
    """See the module."""

    def put(self, name: str, body: Spool, media_type: str) -> None:
        """Have it there, in place of what was."""

    def get(self, name: str, media_type: str, asked: Mapping[str, str]) -> Reply | None:
        """The answer to a caller who asks with these headers; nothing where there is nothing of this name."""

    def remove(self, name: str) -> None:
        """Have nothing there."""


def opened(services: Services, snapshot: Snapshot, rules: ResultRules, name: str) -> Store:
    """See the module."""
    declared = rules.stores.get(name)
    if declared is None:
        raise LookupError(f"no Policy declares the store {name}")
    if declared.get("url"):
        return Remote(services.pool, declared, _credential(snapshot, name, declared))
    if declared.get("directory"):
        return Directory(services.settings.result_directory / str(declared["directory"]))
    raise LookupError(f"the store {name} has no url and no directory")


def _credential(snapshot: Snapshot, name: str, declared: Mapping[str, Any]) -> str | None:
    if not declared.get("credential"):
        return None
    secret = snapshot.store_secrets.get(name)
    if secret is None:
        raise LookupError(f"the credential of the store {name} can't be had: see its secretRef")
    return secret


class Directory:
    """Files below a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, body: Spool, media_type: str) -> None:
        """See ``Store``: on the disk before it has its name."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # of whoever was killed at it: another process at the same has lost its lease, and its file its name
        for left in path.parent.glob(f"{path.name}.part-*"):
            left.unlink(missing_ok=True)
        part = path.with_name(f"{path.name}.part-{os.getpid()}-{os.urandom(4).hex()}")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for piece in body:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def get(self, name: str, media_type: str, asked: Mapping[str, str]) -> Reply | None:
        """See ``Store``."""
        try:
            file = open(self._root / name, "rb")  # noqa: SIM115 - it is closed with the answer
        except FileNotFoundError:
            return None
        state = os.fstat(file.fileno())
        tag = f'"{name.rpartition("-")[2]}"'
        status, headers, start, end = whole_or_part(asked, state.st_size, tag, state.st_mtime)

        def pieces() -> Iterator[bytes]:
            try:
                at = start
                while at < end and (piece := os.pread(file.fileno(), min(STEP, end - at), at)):
                    at += len(piece)
                    yield piece
            finally:
                file.close()

        if start == end:
            file.close()
            return Reply(status, [("content-type", media_type), *headers], b"")
        return Reply(status, [("content-type", media_type), *headers], stream=pieces())

    def remove(self, name: str) -> None:
        """See ``Store``."""
        path = self._root / name
        path.unlink(missing_ok=True)
        for left in path.parent.glob(f"{path.name}.part-*"):
            left.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            return  # others are there


class Remote:
    """An address below which results lie; what its Policy says of the credential goes with each request."""

    def __init__(self, pool: Pool, declared: Mapping[str, Any], secret: str | None) -> None:
        self._pool, self._url, self._secret = pool, str(declared["url"]).rstrip("/"), secret
        rule = declared.get("auth") or {"scheme": "none"}
        if declared.get("region") and rule.get("key"):
            defaults = {**(rule["key"].get("defaults") or {}), "region": declared["region"]}
            rule = {**rule, "key": {**rule["key"], "defaults": defaults}}
        self._auth = rule
        if why := auth.unfit(rule, secret):
            raise LookupError(why.replace("the channel", "the store"))

    def put(self, name: str, body: Spool, media_type: str) -> None:
        """See ``Store``."""
        headers = {"content-type": media_type}
        with self._send("PUT", name, headers, body if len(body) else b"", _CARRYING) as answer:
            if answer.status not in _THERE:
                raise _refused(answer)
            answer.read(_TOLD)

    def get(self, name: str, media_type: str, asked: Mapping[str, str]) -> Reply | None:
        """See ``Store``."""
        described = {"accept-encoding": "identity"} | {word: asked[word] for word in ASKED if word in asked}
        answer = self._send("GET", name, described, b"", _CARRYING)
        if answer.status in (404, 410):
            answer.abort()
            return None
        if answer.status == _BEYOND:
            answer.abort()
            return Reply(_BEYOND, [("content-range", answer.headers.get("content-range", "bytes */*"))], b"")
        if answer.status not in _THERE and answer.status != _NOT_MODIFIED:
            raise _refused(answer)
        headers = [(word, answer.headers[word]) for word in _BACK if word in answer.headers]
        return Reply(answer.status, [("content-type", media_type), *headers], stream=_passed(answer))

    def remove(self, name: str) -> None:
        """See ``Store``."""
        with self._send("DELETE", name, {}, b"", _ASKING) as answer:
            if answer.status not in _THERE and answer.status not in (404, 410):
                raise _refused(answer)

    def _send(self, method: str, name: str, described: Mapping[str, str], body: Body, timeouts: Timeouts) -> Any:
        headers = list(described.items())
        url, sent = auth.apply(self._auth, self._secret, headers, f"{self._url}/{name}", method, body)
        return self._pool.send(method, url, headers, sent, timeouts, Handle())


_BACK = ("content-length", "content-range", "accept-ranges", "etag", "last-modified")


def _passed(answer: Answer) -> Iterator[bytes]:
    try:
        yield from answer.pieces()
    except TransportError as ex:
        raise OSError(str(ex)) from None  # its length was told: a cut is all that can still be said
    finally:
        answer.abort()


def _refused(answer: Answer) -> TransportError:
    """The status, and the code where there is one: what else a store says may repeat what was signed."""
    code = _CODE.search(answer.read(_TOLD))
    named = f" ({code[1].decode()})" if code else ""
    return TransportError("protocol", f"the store answered with status {answer.status}{named}")
