"""Runs a security case: its steps against a gateway with one worker and an upstream that answers as the steps say.

``run(bench, case)`` gives what is wrong, nothing if the case is right. Fields and words: the page beside the cases.
"""

from __future__ import annotations

import gzip
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from engine.accounts.keys import create_key
from engine.accounts.users import create_user
from tests.reports.gateways import Mark, Site
from tests.reports.places import Seen, events_of, faults, losses
from tests.reports.upstream import ReportUpstream
from tests.reports.wording import anywhere, put, spelled

SECRET = "up-secret-7d2f9c1b5a"
_CHAT = ["m-chat", "m-dear", "m-draw", "gpt-4o", "gpt-5"]
_PROVIDERS = (
    ("chat", "openai", "openai.responses: null", _CHAT),
    ("responses", "openai", "openai.chat: null", ["m-resp"]),
    ("claude", "anthropic", "", ["m-claude"]),
    ("gemini", "gemini", "", ["m-gemini"]),
)
_PRICES = """
apiVersion: gatewright/v1
kind: Price
metadata: {name: reports}
spec:
  models:
    - {names: [m-chat, m-claude, m-gemini, m-resp], tokens: {input: 2, output: 8}}
    - {names: [m-dear], tokens: {input: 2000, output: 8000}}
    - {names: [m-draw], pictures: [{price: 0.04}]}
"""
_TIMEOUT = 60.0
_STEP = {
    "upstream", "call", "repeat", "parallel", "leave_after", "cpu", "wait", "balance", "user", "mark_memory", "memory",
    "trickle", "timeout",
}  # fmt: skip
_CALL = {"method", "path", "headers", "key", "keyless", "body", "raw", "raw_http", "gzip", "fill", "list", "timeout"}


def documents(upstream: ReportUpstream) -> str:
    """The providers before one upstream, and their prices."""
    made = [
        f"""
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: reports-{name}}}
extends: {parent}
spec:
  baseUrl: {upstream.base}
  formats: {{{formats}}}
  models: [{", ".join(models)}]
  credential: {{secretRef: {{env: GATEWRIGHT_KEY_REPORTS}}}}
"""
        for name, parent, formats, models in _PROVIDERS
    ]
    return "---".join([*made, _PRICES])


@dataclass
class Bench:
    """A gateway, its upstream, and the upstream at a public address where the machine can have one."""

    site: Site
    upstream: ReportUpstream
    public: ReportUpstream | None = None


@dataclass
class Answer:
    """What a caller got."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


def run(bench: Bench, case: Mapping[str, Any], number: int) -> list[str]:
    """What is wrong, over all variants; ``number`` is this case's alone, for names of users."""
    wrong = []
    for place, variant in enumerate(case.get("variants") or [{}]):
        words = {word: told for word, told in variant.items() if word != "NAME"}
        one = {**case, **{part: anywhere(case[part], words) for part in ("do", "assert", "any") if part in case}}
        found = Run(bench, one, f"{number}-{place}").judge()
        wrong += [f"{variant['NAME']}: {fault}" if "NAME" in variant else fault for fault in found]
    return wrong


class Run:
    """One run of a case."""

    def __init__(self, bench: Bench, case: Mapping[str, Any], ident: str) -> None:
        self.bench, self.case, self.site = bench, case, bench.site
        self.answers: list[Answer] = []
        self.cpu: dict[bool, float] = {True: 0.0, False: 0.0}
        self.memory: list[float] = []
        self.health_after: float | None = None
        self.timed = any(step.get("cpu") for step in case["do"])
        bench.upstream.begin()
        if bench.public is not None:
            bench.public.begin()
        self.users, self.keys = self._people(ident)
        self.mark = Mark.now(self.site)

    def _people(self, ident: str) -> tuple[dict[str, str], dict[str, str]]:
        """Names of users and keys as the database has them: several cases share one."""
        users = {"root": "root"}
        for name, told in self.case.get("users", {}).items():
            _known(told, {"balance", "group"})
            users[name] = f"{name[:12]}-{ident}"
            more = {"group": told["group"]} if "group" in told else {}
            create_user(self.site.db, users[name], "a long password", quota=told.get("balance"), **more)
        keys = {"": self.site.gateway.key}
        for name, told in self.case.get("keys", {}).items():
            _known(told, {"user", "quota", "models", "group", "expires", "networks"})
            more = {word: told[word] for word in ("quota", "models", "group", "expires", "networks") if word in told}
            keys[name] = create_key(self.site.db, users[told.get("user", "root")], name[:20], **more).key
        return users, keys

    # --- words ---------------------------------------------------------------------------------------

    def words(self, key: str = "") -> dict[str, Any]:
        """What the words of a case stand for."""
        up, public = self.bench.upstream, self.bench.public
        known: dict[str, Any] = {
            "KEY": self.keys[key], "SECRET": SECRET, "HOST:PORT": f"127.0.0.1:{up.port}",
            "HOST": "127.0.0.1", "PORT": str(up.port),
        }  # fmt: skip
        if public is not None:
            known["PUBLIC"] = public.base.removeprefix("http://")
        return known

    def _of_first(self, value: Any) -> Any:
        """``{id}`` and ``{item}`` of the first answer put in."""
        if not self.answers:
            return value
        text = self.answers[0].text
        with suppress(ValueError, AttributeError, LookupError, TypeError):
            body = json.loads(text) if text.lstrip().startswith("{") else _completed(text)
            items = body.get("output") or [{}]
            value = anywhere(value, {"{id}": body.get("id", ""), "{item}": items[0].get("id", "")})
        return value

    # --- steps ---------------------------------------------------------------------------------------

    def judge(self) -> list[str]:
        """Do all steps, and compare."""
        for step in self.case["do"]:
            _known(step, _STEP)
            self._step(step)
        seen = self.seen()
        expect = put({word: self.case[word] for word in ("assert", "any") if word in self.case}, self.words())
        return faults(lambda _: seen, expect)

    def _step(self, step: Mapping[str, Any]) -> None:
        if "upstream" in step:
            self.bench.upstream.told = put(step["upstream"], self.words())
        if "balance" in step:
            self.mark.set_balance(self.users[step.get("user", "root")], step["balance"])
        if "wait" in step:
            time.sleep(step["wait"])
        if step.get("mark_memory"):
            self.memory = [self.site.memory_mb()]
        if "trickle" in step:
            self._trickle(step["trickle"])
        if "call" in step:
            before = self.site.cpu_ms()
            self._calls(step)
            self.cpu[bool(step.get("cpu"))] += self.site.cpu_ms() - before
        if step.get("memory"):
            self.memory.append(self.site.memory_mb())

    def _calls(self, step: Mapping[str, Any]) -> None:
        _known(step["call"], _CALL)
        call = self._of_first(step["call"])
        timeout = step.get("timeout") or call.get("timeout") or _TIMEOUT
        leave = step.get("leave_after")

        def one(number: int) -> list[Answer]:
            return list(self._send(call, number, timeout, leave))

        for begin in range(step.get("repeat", 1)):
            many = step.get("parallel", 1)
            with ThreadPoolExecutor(many) as pool:
                for answers in pool.map(one, range(begin * many, begin * many + many)):
                    self.answers += answers

    def _send(self, call: Mapping[str, Any], number: int, timeout: float, leave: float | None) -> Iterator[Answer]:
        """Send one call, and give its answer; a call that is left gives what came until then, if anything."""
        data = self._request(call, number)
        with socket.create_connection(("127.0.0.1", self.site.gateway.port), timeout) as sock:
            sock.settimeout(timeout if leave is None else max(leave, 0.001))
            with suppress(ConnectionError, BrokenPipeError):  # it may be refused before all was sent
                sock.sendall(data)
            yield from _answers(sock, several="raw_http" in call, until=leave)

    def _request(self, call: Mapping[str, Any], number: int) -> bytes:
        words = self.words(call.get("key", ""))
        if "raw_http" in call:
            return spelled(put(call["raw_http"], words), call, number, in_json=False).encode("utf-8", "surrogatepass")
        body = b""
        if "raw" in call:
            body = spelled(put(call["raw"], words), call, number, in_json=True).encode("utf-8", "surrogatepass")
        elif "body" in call:
            lists = {word: [put(told[0], words), told[1]] for word, told in call.get("list", {}).items()}
            text = json.dumps(put(call["body"], words))
            body = spelled(text, {**call, "list": lists}, number, in_json=True).encode()
        method = call.get("method") or ("POST" if body else "GET")
        headers = {"host": "x", "connection": "close"}
        if not call.get("keyless"):
            headers["authorization"] = f"Bearer {self.keys[call.get('key', '')]}"
        if body or method in ("POST", "PUT"):
            body = gzip.compress(body) if call.get("gzip") else body
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
            headers |= {"content-encoding": "gzip"} if call.get("gzip") else {}
        for name, told in call.get("headers", {}).items():
            headers[name.lower()] = spelled(str(put(told, words)), call, number, in_json=False)
        path = spelled(put(call["path"], words), call, number, in_json=False)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {told}" for name, told in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body

    def _trickle(self, told: Mapping[str, Any]) -> None:
        """Connections whose bodies come byte by byte; meanwhile somebody asks whether the gateway lives."""
        _known(told, {"connections", "every", "most", "raw_http", "key"})
        data = put(told["raw_http"], self.words(told.get("key", ""))).encode()
        over = threading.Event()
        socks = []
        for _ in range(told["connections"]):
            sock = socket.create_connection(("127.0.0.1", self.site.gateway.port), 10)
            sock.sendall(data)
            socks.append(sock)

        def drip() -> None:
            while not over.wait(told.get("every", 1)):
                for sock in socks:
                    with suppress(OSError):
                        sock.sendall(b" ")

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        time.sleep(0.5)  # all connections are the worker's by now, or wait for it
        self.health_after = self._health(told.get("most", 60))
        over.set()
        dripping.join()
        for sock in socks:
            sock.close()

    def _health(self, most: float) -> float:
        begin = time.monotonic()
        while (left := begin + most - time.monotonic()) > 0:
            asking = http.client.HTTPConnection("127.0.0.1", self.site.gateway.port, timeout=min(left, 10))
            try:
                asking.request("GET", "/healthz")
                if asking.getresponse().status == 200:
                    return time.monotonic() - begin
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
            finally:
                asking.close()
        return float(10**6)

    # --- what was seen -------------------------------------------------------------------------------

    def seen(self) -> Seen:
        """What the places of this case look into."""
        arrived = [each for up in (self.bench.upstream, self.bench.public) if up for each in [*up.got]]
        fetched = [each for up in (self.bench.upstream, self.bench.public) if up for each in [*up.fetched]]
        last = self.answers[-1] if self.answers else Answer(0, "")
        loss = last.headers.get("x-gatewright-loss", "")
        statuses = [answer.status for answer in self.answers]
        kept = self.memory[-1] - self.memory[0] if len(self.memory) > 1 else None
        facts: dict[str, Any] = {
            "status": last.status,
            "raw": last.text,
            "loss": loss,
            "loss_unread": losses(loss),
            "path": arrived[-1].path if arrived else "",
            "asked": len(arrived),
            "statuses": statuses,
            "raws": [answer.text for answer in self.answers],
            "served": statuses.count(200),
            "charged": self.mark.fell,
            "least_balance": self._least,
            "rows": lambda: len(self.mark.charges()),
            "rows_text": lambda: json.loads(json.dumps(self.mark.rows(), default=str)),
            "sent": [_body_of(each.body) for each in arrived],
            "sent_headers": [each.headers for each in arrived],
            "fetched": len(fetched),
            "log": self.mark.log,
            "cpu_ms": self.cpu[self.timed],
            "memory_mb": kept,
            "health_after": self._health(60) if self.health_after is None else self.health_after,
        }
        return Seen(_body_of(last.text.encode()), events_of(last.text), facts)

    def _least(self) -> int | None:
        self.mark.fell()
        return self.mark.least


def _known(told: Mapping[str, Any], words: set[str]) -> None:
    """A word that nobody reads is a fault of the case or of this module, never to be passed over."""
    if told.keys() - words:
        raise ValueError(f"unknown words: {sorted(told.keys() - words)}")


def _completed(text: str) -> Any:
    """The answer that a stream tells at its end."""
    for _, data in reversed(events_of(text)):
        if isinstance(data, dict) and ("response" in data or "id" in data):
            return data.get("response", data)
    return {}


def _body_of(data: bytes) -> Any:
    """JSON; a text where it is none, or names a member twice."""
    text = data.decode("utf-8", "replace")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return text


class _Reader:
    """A connection for http.client that several answers are read from, one after another."""

    def __init__(self, sock: socket.socket) -> None:
        self.file = sock.makefile("rb")

    def makefile(self, *_: Any) -> Any:
        return _Open(self.file)


class _Open(io.BufferedIOBase):
    """The connection's bytes; closing one answer leaves them open."""

    def __init__(self, file: Any) -> None:
        for name in ("read", "read1", "readline", "readinto", "peek"):
            setattr(self, name, getattr(file, name))


def _answers(sock: socket.socket, several: bool, until: float | None) -> Iterator[Answer]:
    """The answers that come; an answer that breaks off is told as far as it came, none at all as status 0."""
    reader, count = _Reader(sock), 0
    while True:
        response = http.client.HTTPResponse(reader)  # type: ignore[arg-type]
        text = b""
        try:
            response.begin()
            count += 1
            while piece := response.read1(1 << 16):
                text += piece
        except (OSError, http.client.HTTPException):
            if response.status in (None, http.client._UNKNOWN):  # type: ignore[attr-defined]
                if not count and until is None:
                    yield Answer(0, "")
                return
        headers = {name.lower(): value for name, value in response.getheaders()}
        yield Answer(int(response.status), text.decode("utf-8", "replace"), headers)
        if not several or response.will_close or until is not None:
            return
        sock.settimeout(0.5)
