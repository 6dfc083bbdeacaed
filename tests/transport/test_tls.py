"""TLS to an upstream: chain and host name are checked, cuts show, connections are kept."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.transport.egress import Guard
from engine.transport.faults import TransportError
from engine.transport.leg import Limits, Pool, Timeouts, default_tls
from engine.transport.limits import DEFAULT_TIMEOUTS
from engine.transport.proxied import Sender
from tests.support import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        usage = x509.BasicConstraints(ca=True, path_length=None)
        certificate = (
            self._builder(self._name, self._key, 1).add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(self, subject: Any, key: Any, days: int) -> Any:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 3 * DAY)
            .not_valid_after(NOW + days * DAY)
        )

    def server(self, *names: str, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives: list[Any] = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
        ]
        builder = self._builder(subject, key, days).add_extension(
            x509.SubjectAlternativeName(alternatives), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        file = self._place / f"{names[0]}{days}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: Any) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def call(authority: Authority) -> Any:
    """Calls a server under a name, trusting the test's authority; the pool is ``call.pool``."""
    context = default_tls()
    context.load_verify_locations(cadata=authority.pem)
    pool = Pool(Guard(["127.0.0.1"], resolve=lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 0))]), Limits(), context)

    def made(server: Any, name: str = "good.test", timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Any:
        return pool.send("POST", f"https://{name}:{server.port}/", [], b"x", timeouts)

    made.pool = pool  # type: ignore[attr-defined]
    yield made
    pool.close()


def secured(context: ssl.SSLContext) -> Any:
    return lambda sock: context.wrap_socket(sock, server_side=True)


def fault(call: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        call()
    return caught.value


def test_a_trusted_server_is_called_and_its_connection_kept(call: Any, authority: Authority, upstream: Any) -> None:
    server = upstream(OK, wrap=secured(authority.server("good.test")))
    for _ in range(3):
        assert call(server).read() == b"ok"
    assert server.connections == 1


def test_the_name_is_sent_to_the_server(call: Any, authority: Authority, upstream: Any) -> None:
    context = authority.server("good.test")
    asked: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: asked.append(name)  # type: ignore[assignment]
    assert call(upstream(OK, wrap=secured(context))).read() == b"ok"
    assert asked == ["good.test"]


def test_an_address_as_host_is_checked_as_address(call: Any, authority: Authority, upstream: Any) -> None:
    server = upstream(OK, wrap=secured(authority.server("127.0.0.1")))
    assert call(server, "127.0.0.1").read() == b"ok"
    assert fault(lambda: call(server, "good.test")).kind == "tls"


def test_another_hosts_certificate_is_refused(call: Any, authority: Authority, upstream: Any) -> None:
    server = upstream(OK, wrap=secured(authority.server("other.test")))
    found = fault(lambda: call(server))
    assert (found.kind, found.retry_safe) == ("tls", True)
    assert "good.test" in str(found)
    assert server.requests == []


def test_tls_through_a_proxys_tunnel_is_checked_too(authority: Authority, tmp_path: Path, upstream: Any) -> None:
    bundle = tmp_path / "authority.pem"
    bundle.write_text(authority.pem)
    context = authority.server("good.test")

    def script(peer: Any) -> None:
        peer.request()
        peer.say(b"HTTP/1.1 200 Connected\r\n\r\n")
        with context.wrap_socket(peer.sock, server_side=True) as peer.sock:
            while peer.request() is not None:
                peer.say(OK)

    server = upstream(script)
    sender = Sender(Guard(), f"http://127.0.0.1:{server.port}", verify=str(bundle))
    for _ in range(2):
        assert sender.send("GET", "https://good.test/", [("Authorization", "Bearer x")]).read() == b"ok"
    assert fault(lambda: sender.send("GET", "https://other.test/", [])).kind == "tls"
    assert server.requests[0].startswith(b"CONNECT good.test:443 ")
    assert b"Authorization" not in server.requests[0]
    assert len(server.requests) == 4
    sender.close()


def test_an_unknown_authority_is_refused(call: Any, tmp_path: Path, upstream: Any) -> None:
    server = upstream(OK, wrap=secured(Authority(tmp_path).server("good.test")))
    assert fault(lambda: call(server)).kind == "tls"
    assert server.requests == []


def test_an_expired_certificate_is_refused(call: Any, authority: Authority, upstream: Any) -> None:
    server = upstream(OK, wrap=secured(authority.server("good.test", days=-1)))
    assert "expired" in str(fault(lambda: call(server)))


def test_a_server_without_tls_is_a_tls_fault(call: Any, upstream: Any) -> None:
    server = upstream(lambda peer: peer.say(b"HTTP/1.1 400 Bad\r\n\r\n"))
    assert fault(lambda: call(server)).kind == "tls"


def test_a_silent_handshake_ends_in_time(call: Any, upstream: Any) -> None:
    server = upstream(lambda peer: peer.gone_within(PATIENCE))
    started = time.monotonic()
    assert fault(lambda: call(server, timeouts=Timeouts(connect=0.2))).kind == "connect_timeout"
    assert time.monotonic() - started < 30


def test_a_handshake_that_trickles_is_bounded_as_a_whole(call: Any, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.sock.recv(65536)
        peer.say(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", 0.1)
        for _ in range(600):
            peer.say(b"\x03", 0.1)

    server = upstream(script)
    started = time.monotonic()
    assert fault(lambda: call(server, timeouts=Timeouts(connect=0.5))).kind == "connect_timeout"
    assert time.monotonic() - started < 30


def test_an_unknown_authority_is_taken_where_nothing_is_checked(tmp_path: Path, upstream: Any) -> None:
    server = upstream(OK, wrap=secured(Authority(tmp_path).server("good.test")))
    pool = Pool(Guard(["127.0.0.1"]), Limits(), default_tls(verify=False))
    assert pool.send("GET", f"https://127.0.0.1:{server.port}/", []).read() == b"ok"
    pool.close()


@pytest.mark.parametrize(("proper", "expected"), [(True, b"all"), (False, None)])
def test_a_body_until_close_needs_the_closing_alert(
    call: Any, authority: Authority, upstream: Any, proper: bool, expected: bytes | None
) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\n\r\nall", 0.02)
        if proper:
            peer.sock.unwrap()

    answer = call(upstream(script, wrap=secured(authority.server("good.test"))))
    if expected is None:
        assert fault(answer.read).kind == "cut"
    else:
        assert answer.read() == expected


def test_a_kept_connection_that_the_server_closed_is_replaced(call: Any, authority: Authority, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(OK)

    server = upstream(script, wrap=secured(authority.server("good.test")))
    for _ in range(3):
        assert call(server).read() == b"ok"
        time.sleep(0.03)
    assert server.connections == 3


def test_a_stream_over_tls_is_given_as_it_comes(call: Any, authority: Authority, upstream: Any) -> None:
    def script(peer: Any) -> None:
        peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0.03)
        for number in range(3):
            peer.say(b"1\r\n%d\r\n" % number, 0.03)
        peer.say(b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n")

    pieces = list(call(upstream(script, wrap=secured(authority.server("good.test")))).pieces())
    assert pieces[:3] == [b"0", b"1", b"2"]
    assert sum(map(len, pieces)) == 100_003
