"""Requests and answers with the type of one value swapped, through the relay's own code in process.

Gives cases (what was done, and the bytes) and what comes of each: nothing where it is taken or cleanly refused, else
the exception that a caller would have got a 500 for. No network, so that very many can be tried.
"""

from __future__ import annotations

import copy
import json
import traceback
from collections.abc import Iterator
from itertools import cycle, islice
from types import SimpleNamespace
from typing import Any

from engine.cluster.store import EmbeddedStore
from engine.errors import CallError, MappingError
from engine.jsonbytes import dumps
from engine.kinds.conversation.deliver import _whole
from engine.kinds.conversation.remember import Memory
from engine.kinds.conversation.translate import translate
from engine.ledger.counting import tokens
from engine.relay import dialect
from engine.relay.call import Call
from engine.relay.pipeline import _failed
from engine.relay.upstream.failure import UpstreamFailure
from engine.relay.upstream.refusal import refusal
from tests.relay import inprocess, rich

VALUES: tuple[Any, ...] = (
    *("x", "", "1", "\u00b2", 0, 7, -1, 1.5, 1e300, 2**63, True, False, None),
    *([], ["a"], [["a"]], [{"a": 1}], [None], {}, {"a": 1}, {"1": "b"}, {"": ""}, {"type": ["a"]}),
)  # fmt: skip
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "ZW5j"}
            ],
        },
        {
            "type": "text",
            "text": "So it is.",
            "citations": [
                {
                    "type": "web_search_result_location",
                    "url": "https://a.example",
                    "title": "A",
                    "encrypted_index": "aW5k",
                    "cited_text": "so",
                }
            ],
        },
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 2,
        "output_tokens": 5,
        "server_tool_use": {"web_search_requests": 1},
    },
}
"""An answer that says much; those of the other formats are made of it, by the relay itself."""
NAMES = ("1", "0", "-1", "\u00b2", "", "a.b", "a[0]", "$if", "__class__", "items", "type")
"""Names that a member may get: such as a careless reader takes for a position, or for one of its own."""


def swapped(body: dict[str, Any], most: int | None = None) -> Iterator[tuple[str, Any]]:
    """The body with one value swapped, missing, or one name changed; ``most`` values in turn for each place."""
    values, names = cycle(VALUES), cycle(NAMES)
    for path in rich.nodes(body):
        yield f"no {rich.spelled(path)}", rich.without(body, path)
        for value in VALUES if most is None else islice(values, most):
            yield f"{rich.spelled(path)} = {json.dumps(value)}", rich.replaced(body, path, value)
        if isinstance(path[-1], str):
            for name in NAMES if most is None else islice(names, 1):
                yield f"{rich.spelled(path)} renamed {name!r}", renamed(body, path, name)


def unusual(body: dict[str, Any], names: frozenset[str], most: int | None = None) -> Iterator[tuple[str, Any]]:
    """The body with one more member of those that its format reads, and any value there."""
    values = cycle(VALUES)
    for name in sorted(names - body.keys()):
        for value in VALUES if most is None else islice(values, most):
            yield f"{name} = {json.dumps(value)}", {**body, name: value}


def renamed(body: dict[str, Any], path: rich.Path, name: str) -> dict[str, Any]:
    """A copy in which one member has another name."""
    made = copy.deepcopy(body)
    holder: Any = made
    for step in path[:-1]:
        holder = holder[step]
    holder[name] = holder.pop(path[-1])
    return made


class Relay:
    """What the relay needs in process, with the real memory and the real counter."""

    def __init__(self, program: Any, directory: Any) -> None:
        self.program = program
        self._space = EmbeddedStore(directory / "state.db").space("thought")
        self.services = SimpleNamespace(**{**vars(inprocess.SERVICES), "memory": Memory(self._space)})
        self.counter = tokens.Counter((), tuple((program.policy.get("counting") or {}).values()))

    def request(self, caller: str, provider: str, body: Any) -> str | None:
        """What is wrong with how a request is taken; nothing if it goes up or is refused with a 400."""
        answered = inprocess.answered(self.program, caller, provider)
        call, attempt = answered.call, answered.attempt
        if "model" in call.format.request_reads:
            body = {"model": "m", **body}
        call.body, call.raw = body, dumps(body)
        call.stream = False
        try:
            out = translate(call, attempt, _fetch, lambda _, hub: self.services.memory.recall(1, 60.0, hub))
            json.loads(out.body)
        except (CallError, MappingError, RecursionError):
            return None
        except Exception:
            return traceback.format_exc(limit=-4)
        return None

    def answer(self, caller: str, provider: str, body: Any, *, stream: bool) -> str | None:
        """What is wrong with how a whole answer is given on; nothing if it is, or fails with a 502."""
        answered = self._answered(caller, provider)
        answered.call.stream = stream
        try:
            reply = _whole(answered, 200, dumps(body), False)
            assert reply.body
        except (UpstreamFailure, RecursionError):
            return None
        except Exception:
            return traceback.format_exc(limit=-4)
        return None

    def refusal(self, caller: str, provider: str, body: Any, status: int) -> str | None:
        """What is wrong with how an error is told; nothing if it is a proper answer in the caller's dialect."""
        answered = self._answered(caller, provider)
        call, attempt = answered.call, answered.attempt
        call.attempts.append(attempt)
        try:
            failed = refusal(call, attempt, status, {"content-type": "application/json"}, dumps(body))
            assert failed is not None
            reply = _failed(call, failed)
            assert reply.status >= 400
            assert json.loads(reply.body)
            told = dialect.error_reply(call.format, failed.error, call.ctx(attempt))
            assert isinstance(json.loads(told.body), dict)
            assert isinstance(failed.error["message"], str)
            assert failed.args[0].strip()
        except Exception:
            return traceback.format_exc(limit=-4)
        return None

    def sample(self, fmt: str) -> dict[str, Any]:
        """A whole answer in a format."""
        answered = self._answered(fmt, "anthropic.messages")
        answered.call.stream = False
        made: dict[str, Any] = json.loads(_whole(answered, 200, dumps(ANSWER), False).body)
        return made

    def sample_stream(self, fmt: str) -> list[tuple[bytes, Any]]:
        """The same as a stream: its events, each with what stands before its data."""
        answered = self._answered(fmt, "anthropic.messages")
        answered.call.stream = True
        raw = _whole(answered, 200, dumps(ANSWER), False).body
        pieces = [piece for piece in raw.split(b"\n\n") if b"data: {" in piece]
        return [(piece[: at + 6], json.loads(piece[at + 6 :])) for piece in pieces for at in (piece.index(b"data: "),)]

    def events(self, caller: str, provider: str, pieces: list[bytes]) -> str | None:
        """The same of a stream's pieces."""
        answered = self._answered(caller, provider)
        kind = self.program.formats[provider].stream.framing["type"]
        make = inprocess.Passthrough if answered.out.same else inprocess.TranslatedStream
        try:
            stream = make(answered, iter(pieces), kind)
            for _ in stream.run():
                answered.outcome.delivered = True
            stream.note()
            answered.count_missing(stream)
        except (UpstreamFailure, RecursionError):
            return None
        except Exception:
            return traceback.format_exc(limit=-4)
        return None

    def _answered(self, caller: str, provider: str) -> Any:
        answered = inprocess.answered(self.program, caller, provider)
        call: Call = answered.call
        call.account = SimpleNamespace(token_id=1)  # type: ignore[assignment]
        call.body, call.raw = {}, b"{}"
        answered.out.report, answered.out.turned = [], False
        answered._memory, answered._counter = self.services.memory, self.counter
        channel = answered.attempt.channel
        channel.profiles = SimpleNamespace(get=lambda _: _NO_HEADERS)
        return answered


def _fetch(urls: list[str]) -> dict[str, Any]:
    return {url: CallError("bad_request", "can't be fetched") for url in urls}


_NO_HEADERS = SimpleNamespace(back=SimpleNamespace(of=lambda _: {}))
