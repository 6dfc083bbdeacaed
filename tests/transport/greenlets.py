"""What only greenlets can show; run by test_gevent in a process that gevent has patched."""

from __future__ import annotations

import resource
import socket
import time
from typing import Any

import gevent
import pytest

from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.leg import Handle, Limits, Pool, Timeouts
from engine.transport.patience import patience
from engine.transport.proxied import Sender
from engine.transport.watch import Watch
from tests.support import PATIENCE, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def pair() -> Any:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_calls_run_side_by_side(pool: Any, upstream: Any) -> None:
    asked: list[Any] = []

    def script(peer: Any) -> None:
        while peer.request() is not None:
            asked.append(peer)
            until(lambda: len(asked) == 20)  # none is answered before all are there
            peer.say(OK)

    server = upstream(script)
    jobs = [gevent.spawn(lambda: pool.send("GET", server.url, []).read()) for _ in range(20)]
    gevent.joinall(jobs, raise_error=True)
    assert server.connections == 20


def test_a_long_wait_ends_by_the_shared_timer_and_the_timer_goes_with_it(pool: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED)
        gevent.sleep(3.2)
        peer.say(b"2\r\nok\r\n")
        gevent.sleep(30)

    server = upstream(script)
    seconds = Timeouts(first_byte=2.0, idle=3.6)
    with pool.send("GET", server.url, [], timeouts=seconds) as answer:
        started = time.monotonic()
        pieces = answer.pieces(2.0)
        assert next(pieces) == b""  # a tick takes nothing away
        assert time.monotonic() - started >= 2.0
        assert next(pieces) == b"ok"
        with pytest.raises(TransportError) as caught:
            list(pieces)
        assert caught.value.kind == "idle_timeout"
        assert 6.7 <= time.monotonic() - started < 30
    shared = patience()
    assert shared is not None
    until(lambda: shared._timer is None, every=0.005)


def test_a_connection_with_a_high_number_is_used_again(upstream: Any) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    pool = Pool(Guard(["127.0.0.1"]), Limits())
    server = upstream(OK)
    held = [socket.socket() for _ in range(1100)]
    try:
        for _ in range(3):
            answer = pool.send("GET", server.url, [])
            assert answer.read() == b"ok"
        assert next(iter(next(iter(pool._idle.values())))).sock.fileno() > 1024
    finally:
        for extra in held:
            extra.close()
        pool.close()
    assert server.connections == 1


@pytest.mark.parametrize("way", ["kill", "timeout", "watch"])
def test_a_call_that_is_ended_from_outside_closes_its_connection(pool: Any, upstream: Any, pair: Any, way: str) -> None:
    gone: list[bool] = []

    def script(peer: Any) -> None:
        peer.request()
        gone.append(peer.gone_within(PATIENCE))

    server = upstream(script)
    ends: list[BaseException] = []

    def call() -> None:
        handle = Handle()
        try:
            with gevent.Timeout(0.1 if way == "timeout" else None), Watch(pair[0], handle.abort):
                pool.send("POST", server.url, [], b"x", handle=handle)
        except (TransportError, gevent.Timeout, gevent.GreenletExit) as ex:
            ends.append(ex)

    job = gevent.spawn(call)
    gevent.sleep(0.1)
    if way == "kill":
        job.kill()
    elif way == "watch":
        pair[1].close()
    job.join(PATIENCE)
    until(lambda: gone == [True], every=0.005)
    assert len(ends) == 1
    assert pool.idle() == 0


def test_a_call_through_a_proxy_can_be_ended_before_its_answer(upstream: Any, pair: Any) -> None:
    gone: list[bool] = []

    def script(peer: Any) -> None:
        peer.request()
        gone.append(peer.gone_within(PATIENCE))

    server = upstream(script)
    sender = Sender(Guard(), f"http://127.0.0.1:{server.port}")
    handle = Handle()
    gevent.spawn_later(0.1, pair[1].close)
    with pytest.raises(TransportError) as caught, Watch(pair[0], handle.abort):
        sender.send("GET", "http://api.example.com/", [], handle=handle)
    assert caught.value.kind == "aborted"
    until(lambda: gone == [True], every=0.005)
    sender.close()


def test_a_silent_resolver_is_given_up() -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        gevent.sleep(60)

    started = time.monotonic()
    with pytest.raises(TransportError) as caught:
        Guard(resolve=resolve, seconds=0.1).check("name.test", 443)
    assert caught.value.kind == "dns"
    assert time.monotonic() - started < 30


def test_abort_wakes_a_greenlet_that_waits_for_a_piece(pool: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(CHUNKED)
        peer.gone_within(PATIENCE)

    handle = Handle()
    answer = pool.send("GET", upstream(script).url, [], handle=handle)
    gevent.get_hub().loop.run_callback(handle.abort)
    started = time.monotonic()
    with pytest.raises(TransportError) as caught:
        list(answer.pieces())
    assert caught.value.kind == "aborted"
    assert time.monotonic() - started < 30


def test_a_client_that_closes_is_noticed_once(pair: Any) -> None:
    calls: list[int] = []
    watch = Watch(pair[0], lambda: calls.append(1))
    gevent.sleep(0.02)
    assert calls == []
    pair[1].close()
    until(lambda: calls, every=0.005)
    gevent.sleep(0.05)
    assert calls == [1]
    assert not watch.active
    watch.stop()


def test_a_reset_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        calls: list[int] = []
        with Watch(server, lambda: calls.append(1)), server:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.close()
            until(lambda: calls == [1], every=0.005)


def test_nothing_is_told_after_stop(pair: Any) -> None:
    calls: list[int] = []
    watch = Watch(pair[0], lambda: calls.append(1))
    watch.stop()
    watch.stop()
    pair[1].close()
    gevent.sleep(0.05)
    assert calls == []


def test_unread_bytes_are_no_end_and_cost_no_spin() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        calls: list[int] = []
        with Watch(server, lambda: calls.append(1)), server:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            used = time.process_time()
            gevent.sleep(0.3)
            assert time.process_time() - used < 0.1
            assert calls == []
            assert server.recv(4) == b"GET "
            # More is unread; the end behind it is noticed all the same, only later.
            client.close()
            until(lambda: calls == [1], every=0.005)


def test_a_closed_socket_is_gone_at_once() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    calls: list[int] = []
    Watch(ours, lambda: calls.append(1))
    assert calls == [1]


def test_a_watch_is_cheap(pair: Any) -> None:
    used = time.process_time()
    for _ in range(2000):
        Watch(pair[0], int).stop()
    # 2,000 take 8 ms here; the bound only tells a mistake from noise.
    assert time.process_time() - used < 0.2
