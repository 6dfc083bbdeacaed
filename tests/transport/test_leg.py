"""The leg's calls against a server that says exactly what it is told; run on threads here, on gevent in test_gevent."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from engine.transport import connection
from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.leg import Handle, Limits, Pool, Timeouts
from tests.support import PATIENCE, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def once(*data: bytes, pause: float = 0.0) -> Any:
    """A script: read one request, say the pieces, close."""

    def script(peer: Any) -> None:
        peer.request()
        for piece in data:
            peer.say(piece, pause)

    return script


def kind_of(call: Any) -> str:
    with pytest.raises(TransportError) as caught:
        call()
    return caught.value.kind


def test_request_bytes_are_exactly_these(pool: Any, upstream: Any) -> None:
    server = upstream(OK)
    with pool.send("POST", f"{server.url}/v1/x?a=b", [("X-One", "1"), ("X-One", "2")], b"{}") as answer:
        assert answer.read() == b"ok"
    assert server.requests == [
        f"POST /v1/x?a=b HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-One: 1\r\nX-One: 2\r\n"
        "Accept-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}".encode()
    ]


def test_a_get_has_no_length_and_an_empty_post_has(pool: Any, upstream: Any) -> None:
    server = upstream(OK)
    pool.send("GET", server.url, []).read()
    pool.send("POST", server.url, []).read()
    assert b"Content-Length" not in server.requests[0]
    assert b"Content-Length: 0\r\n" in server.requests[1]


def test_head_and_body_leave_in_one_send(pool: Any, upstream: Any) -> None:
    sizes: list[int] = []

    def script(peer: Any) -> None:
        sizes.append(len(peer.sock.recv(65536)))
        peer.say(OK)

    server = upstream(script)
    pool.send("POST", server.url, [], b"x" * 4000).read()
    assert sizes[0] > 4000


def test_a_large_body_arrives_whole(pool: Any, upstream: Any) -> None:
    server = upstream(OK)
    body = bytes(range(256)) * 40_000
    assert pool.send("POST", server.url, [], body).read() == b"ok"
    assert server.requests[0].endswith(body)


def test_status_headers_and_duplicates_are_given(pool: Any, upstream: Any) -> None:
    server = upstream(
        b"HTTP/1.1 429 Too Many\r\nRetry-After:  7 \r\nX-Empty:\r\nX-A: 1\r\nx-a: 2\r\nX-L: \xe9\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    answer = pool.send("GET", server.url, [])
    assert answer.status == 429
    assert answer.headers == {"retry-after": "7", "x-empty": "", "x-a": "1, 2", "x-l": "é", "content-length": "0"}
    assert answer.header_list[2:4] == [("x-a", "1"), ("x-a", "2")]
    assert answer.read() == b""


def test_a_connection_is_used_again(pool: Any, upstream: Any) -> None:
    server = upstream(OK)
    seen = [pool.send("POST", server.url, [], b"x") for _ in range(3)]
    assert [answer.read() for answer in seen] == [b"ok"] * 3
    assert [answer.reused for answer in seen] == [False, True, True]
    assert server.connections == 1
    assert pool.idle() == 1


def test_each_address_has_its_own_connections(pool: Any, upstream: Any) -> None:
    one, two = upstream(OK), upstream(OK)
    for server in (one, two, one, two):
        assert pool.send("GET", server.url, []).read() == b"ok"
    assert (one.connections, two.connections) == (1, 1)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\n",
        OK + b"junk",
    ],
)
def test_a_connection_that_is_not_clean_is_not_used_again(pool: Any, upstream: Any, reply: bytes) -> None:
    server = upstream(reply)
    assert pool.send("GET", server.url, []).read() == b"ok"
    assert pool.idle() == 0


def test_an_idle_connection_is_dropped_after_its_time(upstream: Any) -> None:
    server = upstream(OK)
    pool = Pool(Guard(["127.0.0.1"]), Limits(idle_seconds=0.05))
    pool.send("GET", server.url, []).read()
    time.sleep(0.1)
    pool.send("GET", server.url, []).read()
    assert server.connections == 2
    pool.close()


def test_the_number_of_idle_connections_is_bounded(upstream: Any) -> None:
    server = upstream(OK)
    pool = Pool(Guard(["127.0.0.1"]), Limits(idle_per_host=2))
    gate = threading.Barrier(4)

    def call() -> None:
        answer = pool.send("GET", server.url, [])
        gate.wait(PATIENCE)
        answer.read()

    # The barrier stands before the send too, so that all four are dialled at once.
    def both() -> None:
        gate.wait(PATIENCE)
        call()

    threads = [threading.Thread(target=both) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.idle() <= 2
    pool.close()


def test_idle_connections_to_all_hosts_together_are_bounded_and_the_oldest_go(upstream: Any) -> None:
    servers = [upstream(OK) for _ in range(3)]
    pool = Pool(Guard(["127.0.0.1"]), Limits(idle=2))
    for server in servers:
        pool.send("GET", server.url, []).read()
    assert pool.idle() == 2
    for server in reversed(servers):
        pool.send("GET", server.url, []).read()
    assert [server.connections for server in servers] == [2, 1, 1]
    pool.close()


def test_idle_connections_without_a_time_limit_stay(upstream: Any) -> None:
    server = upstream(OK)
    pool = Pool(Guard(["127.0.0.1"]), Limits(idle_seconds=0))
    pool.send("GET", server.url, []).read()
    time.sleep(0.05)
    assert pool.send("GET", server.url, []).reused
    pool.close()


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(pool: Any, upstream: Any) -> None:
    server = upstream(once(OK))
    for count in (1, 2):
        assert pool.send("POST", server.url, [], b"x").read() == b"ok"
        time.sleep(0.05)
        assert server.connections == count


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_was_read_on_a_kept_connection_is_never_sent_again(
    pool: Any, upstream: Any, end: str, method: str
) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(OK)
        # The liveness check still sees a quiet connection; it breaks only once the second request is there.
        peer.request()
        if end == "reset":
            peer.reset()

    server = upstream(script)
    assert pool.send("POST", server.url, [], b"1").read() == b"ok"
    assert kind_of(lambda: pool.send(method, server.url, [], b"2")) == "reset"
    assert [request[-1:] for request in server.requests] == [b"1", b"2"]


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_may_be_done_twice_is_sent_again_on_a_fresh_connection(
    pool: Any, upstream: Any, end: str, method: str
) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(OK)
        peer.request()
        if end == "reset":
            peer.reset()

    server = upstream(script)
    pool.send("POST", server.url, [], b"1").read()
    server.requests.clear()
    assert pool.send(method, server.url, []).status == 200
    assert server.connections == 2


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells what the peer has taken in")
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_post_is_sent_again_when_the_connection_was_closed_before_it_could_be_read(
    pool: Any, upstream: Any, monkeypatch: Any, end: str
) -> None:
    closed = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.say(OK, 0.05)
        if peer.number == 1:
            if end == "reset":
                peer.reset()
            else:
                peer.sock.close()
            closed.set()
            return
        peer.request()

    server = upstream(script)
    pool.send("POST", server.url, [], b"1").read()
    assert closed.wait(PATIENCE)
    time.sleep(0.02)
    # The end is there already; it stands for one that is on its way when the connection is looked at.
    monkeypatch.setattr(connection.Connection, "alive", lambda _: True)
    assert pool.send("POST", server.url, [], b"2").read() == b"ok"
    assert server.connections == 2
    assert [request[-1:] for request in server.requests] == [b"1", b"2"]


@pytest.mark.parametrize("end", ["cut", "reset"])
def test_no_retry_when_a_byte_of_the_answer_came(pool: Any, upstream: Any, end: str) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(OK)
        peer.request()
        peer.say(b"HTTP/1.1 2", 0.05)
        if end == "reset":
            peer.reset()

    server = upstream(script)
    pool.send("POST", server.url, [], b"1").read()
    assert kind_of(lambda: pool.send("POST", server.url, [], b"2")) == end
    assert server.connections == 1


def test_an_answer_that_nobody_asked_for_is_never_given_to_the_next_call(pool: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(OK, 0.03)
        if peer.number == 1:
            peer.say(OK.replace(b"ok", b"no"))
        while peer.request() is not None:
            peer.say(OK)

    server = upstream(script)
    pool.send("POST", server.url, [], b"1").read()
    time.sleep(0.08)
    assert pool.send("POST", server.url, [], b"2").read() == b"ok"
    assert server.connections == 2


def test_no_retry_on_a_fresh_connection(pool: Any, upstream: Any) -> None:
    server = upstream(lambda peer: peer.request())
    assert kind_of(lambda: pool.send("POST", server.url, [], b"1")) == "reset"
    assert server.connections == 1


def test_no_retry_after_a_timeout(pool: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(OK)
        peer.request()
        peer.gone_within(PATIENCE)

    server = upstream(script)
    pool.send("POST", server.url, [], b"1").read()
    limits = Timeouts(first_byte=0.1)
    assert kind_of(lambda: pool.send("POST", server.url, [], b"2", limits)) == "first_byte_timeout"
    assert server.connections == 1


def test_pieces_arrive_one_per_packet_as_they_come(pool: Any, upstream: Any) -> None:
    got: list[bytes] = []

    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED)
        for number in range(4):
            until(lambda number=number: len(got) == number)  # none is held back for the one after it
            peer.say(b"5\r\npart%d\r\n" % number)
        peer.say(b"0\r\n\r\n")

    for piece in pool.send("GET", upstream(script).url, []).pieces():
        got.append(piece)
    assert got == [b"part0", b"part1", b"part2", b"part3"]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_answers_in_tiny_packets_are_read(pool: Any, upstream: Any, size: int) -> None:
    reply = CHUNKED + b"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: 1\r\n\r\n"
    server = upstream(once(*(reply[at : at + size] for at in range(0, len(reply), size)), pause=0.0005))
    answer = pool.send("GET", server.url, [])
    assert answer.read() == b"abcdefg"
    assert "x-trailer" not in answer.headers


def test_a_chunked_connection_is_used_again(pool: Any, upstream: Any) -> None:
    server = upstream(CHUNKED + b"2\r\nok\r\n0\r\n\r\n")
    for _ in range(3):
        assert b"".join(pool.send("GET", server.url, []).pieces()) == b"ok"
    assert server.connections == 1


def test_a_body_until_close_ends_clean_at_the_close(pool: Any, upstream: Any) -> None:
    server = upstream(once(b"HTTP/1.1 200 OK\r\n\r\nfirst ", b"second", pause=0.02))
    answer = pool.send("GET", server.url, [])
    assert answer.read() == b"first second"
    assert answer.complete
    assert pool.idle() == 0


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        CHUNKED + b"5\r\nab",
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n",
    ],
)
def test_a_body_that_ends_too_early_is_a_cut(pool: Any, upstream: Any, reply: bytes) -> None:
    server = upstream(once(reply))
    answer = pool.send("GET", server.url, [])
    assert kind_of(answer.read) == "cut"
    assert not answer.complete
    assert pool.idle() == 0


def test_pieces_before_a_cut_are_given(pool: Any, upstream: Any) -> None:
    server = upstream(once(CHUNKED + b"2\r\nok\r\n", pause=0.02))
    pieces = pool.send("GET", server.url, []).pieces()
    assert next(pieces) == b"ok"
    assert kind_of(lambda: next(pieces)) == "cut"


def test_a_reset_in_the_body_is_named(pool: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED + b"2\r\nok\r\n", 0.05)
        peer.reset()

    pieces = pool.send("GET", upstream(script).url, []).pieces()
    next(pieces)
    assert kind_of(lambda: next(pieces)) == "reset"


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"),
    ],
)
def test_answers_without_a_body_end_with_their_head(pool: Any, upstream: Any, method: str, reply: bytes) -> None:
    server = upstream(reply)
    for _ in range(2):
        assert pool.send(method, server.url, []).read() == b""


def test_interim_answers_are_skipped(pool: Any, upstream: Any) -> None:
    server = upstream(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK)
    for _ in range(2):
        answer = pool.send("POST", server.url, [], b"x")
        assert (answer.status, answer.headers, answer.read()) == (200, {"content-length": "2"}, b"ok")
    assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    ],
)
def test_an_unsound_head_is_a_protocol_fault(pool: Any, upstream: Any, reply: bytes) -> None:
    server = upstream(once(reply, b"", pause=0.05))
    assert kind_of(lambda: pool.send("GET", server.url, [])) == "protocol"


@pytest.mark.parametrize(
    "chunk",
    [
        b"zz\r\nab\r\n",
        b"fffffffffffffffff\r\n",
        b"-1\r\n",
        b"2\r\nabc\r\n",
        b"2;" + b"x" * 100_000,
        b"0\r\n" + b"X-T: " + b"y" * 100_000,
    ],
)
def test_an_unsound_chunk_is_a_protocol_fault(pool: Any, upstream: Any, chunk: bytes) -> None:
    server = upstream(once(CHUNKED, chunk, pause=0.02))
    assert kind_of(pool.send("GET", server.url, []).read) == "protocol"


def test_many_tiny_chunks_are_no_fault(pool: Any, upstream: Any) -> None:
    server = upstream(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
    assert pool.send("GET", server.url, []).read() == b"x" * 50_000


def test_a_body_over_the_limit_is_refused(pool: Any, upstream: Any) -> None:
    server = upstream(once(CHUNKED + b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n"))
    assert kind_of(lambda: pool.send("GET", server.url, []).read(99_999)) == "too_large"
    small = upstream(OK)
    assert kind_of(lambda: pool.send("GET", small.url, []).read(1)) == "too_large"


def test_an_early_answer_while_sending_is_given(pool: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.sock.recv(1000)
        peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        peer.gone_within(PATIENCE)

    answer = pool.send("POST", upstream(script).url, [], b"x" * 3_000_000, Timeouts(first_byte=5))
    assert (answer.status, answer.read()) == (413, b"big")


def test_silence_before_the_head_and_in_the_body_have_their_own_limits(pool: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED + b"2\r\nok\r\n")
        peer.gone_within(PATIENCE)

    server = upstream(script)
    limits = Timeouts(first_byte=60, idle=0.1)
    started = time.monotonic()
    answer = pool.send("GET", server.url, [], b"", limits)
    assert kind_of(answer.read) == "idle_timeout"
    assert time.monotonic() - started < 30


def test_a_head_that_drips_is_bounded_by_the_first_byte_limit(pool: Any, upstream: Any) -> None:
    server = upstream(once(*([b"HTTP/1.1 200 OK\r\n"] + [b"X: 1\r\n"] * 40), pause=0.05))
    limits = Timeouts(first_byte=0.3)
    assert kind_of(lambda: pool.send("GET", server.url, [], b"", limits)) == "first_byte_timeout"


def test_the_total_limit_ends_a_stream_that_is_never_silent(pool: Any, upstream: Any) -> None:
    server = upstream(once(CHUNKED, *([b"1\r\nx\r\n"] * 100), pause=0.02))
    answer = pool.send("GET", server.url, [], b"", Timeouts(total=0.3))
    assert kind_of(answer.read) == "total_timeout"


def test_a_port_without_a_server_is_a_connect_fault(pool: Any, upstream: Any) -> None:
    server = upstream(OK)
    server.close()
    with pytest.raises(TransportError) as caught:
        pool.send("GET", server.url, [])
    assert caught.value.kind == "connect"
    assert caught.value.retry_safe
    assert caught.value.meaning == "unavailable"


def test_the_next_address_is_tried(upstream: Any) -> None:
    server = upstream(OK)
    answers = [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]
    pool = Pool(Guard(["127.0.0.0/8"], resolve=lambda *_, **__: answers))
    assert pool.send("GET", f"http://somewhere.test:{server.port}/", []).read() == b"ok"
    assert b"Host: somewhere.test:" in server.requests[0]
    pool.close()


def test_private_addresses_are_refused_before_any_connection(upstream: Any) -> None:
    server = upstream(OK)
    pool = Pool(Guard())
    assert kind_of(lambda: pool.send("GET", server.url, [])) == "refused_address"
    assert server.connections == 0


def test_abort_ends_the_wait_for_the_head(pool: Any, upstream: Any) -> None:
    gone: list[bool] = []

    def script(peer: Any) -> None:
        peer.request()
        gone.append(peer.gone_within(PATIENCE))

    server = upstream(script)
    handle = Handle()
    threading.Timer(0.1, handle.abort).start()
    assert kind_of(lambda: pool.send("POST", server.url, [], b"x", handle=handle)) == "aborted"
    assert until(lambda: gone) == [True]


@pytest.mark.parametrize("way", ["handle", "answer"])
def test_abort_ends_the_wait_for_the_body(pool: Any, upstream: Any, way: str) -> None:
    gone: list[bool] = []

    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED + b"2\r\nok\r\n")
        gone.append(peer.gone_within(PATIENCE))

    handle = Handle()
    answer = pool.send("GET", upstream(script).url, [], handle=handle)
    pieces = answer.pieces()
    assert next(pieces) == b"ok"
    threading.Timer(0.1, handle.abort if way == "handle" else answer.abort).start()
    assert kind_of(lambda: next(pieces)) == "aborted"
    assert until(lambda: gone) == [True]
    assert pool.idle() == 0


def test_a_handle_aborted_before_sends_nothing(pool: Any, upstream: Any) -> None:
    server = upstream(OK)
    handle = Handle()
    handle.abort()
    assert kind_of(lambda: pool.send("GET", server.url, [], handle=handle)) == "aborted"
    assert server.connections == 0


def test_an_abort_after_the_end_leaves_the_kept_connection_alone(pool: Any, upstream: Any) -> None:
    server = upstream(OK)
    handle = Handle()
    answer = pool.send("GET", server.url, [], handle=handle)
    answer.read()
    handle.abort()
    answer.abort()
    assert pool.send("GET", server.url, []).read() == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("way", ["close", "with"])
def test_leaving_a_body_unread_closes_the_connection(pool: Any, upstream: Any, way: str) -> None:
    gone: list[bool] = []

    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED + b"2\r\nok\r\n")
        gone.append(peer.gone_within(PATIENCE))

    answer = pool.send("GET", upstream(script).url, [])
    if way == "with":
        with answer:
            pass
    else:
        pieces = answer.pieces()
        next(pieces)
        pieces.close()
    assert until(lambda: gone) == [True]
    assert pool.idle() == 0


def test_silence_is_told_by_empty_pieces_up_to_the_idle_limit(pool: Any, upstream: Any) -> None:
    ticked = threading.Event()

    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED)
        ticked.wait(PATIENCE)
        peer.say(b"2\r\nok\r\n")
        peer.gone_within(PATIENCE)

    pieces = pool.send("GET", upstream(script).url, [], b"", Timeouts(idle=2)).pieces(0.05)
    assert next(pieces) == b""
    ticked.set()
    assert next(filter(None, pieces)) == b"ok"
    started = time.monotonic()
    assert kind_of(lambda: list(pieces)) == "idle_timeout"
    assert 1.5 < time.monotonic() - started < 30


def test_nothing_is_read_ahead_of_the_caller(pool: Any, upstream: Any) -> None:
    sent = [0]

    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED)
        block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(400):
            peer.say(block)
            sent[0] += 1
        peer.say(b"0\r\n\r\n")

    answer = pool.send("GET", upstream(script).url, [])
    pieces = answer.pieces()
    next(pieces)
    time.sleep(0.2)
    # 26 MB are on offer; only what the sockets' buffers hold has left the server.
    assert sent[0] < 200
    assert sum(map(len, pieces)) > 400 * 65536 - 70_000
