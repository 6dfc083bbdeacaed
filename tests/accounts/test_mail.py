"""Mail servers that want TLS first, want a password, show a certificate that nobody signed, hang, drip, or refuse."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.accounts import mail
from engine.accounts.mail import MailFailed, Server
from tests.support import PATIENCE, free_port

OPEN = Server("127.0.0.1", 0, "", "", "site@example.org", tls=False, verified=True)


class Box:
    """What came, by whom, and over what."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, bool]] = []
        self.logins: list[tuple[bytes, bool]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((envelope.rcpt_tos[0], session.ssl is not None))
        return "250 OK"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        self.logins.append((given.password, session.ssl is not None))
        return AuthResult(success=given.password == b"secret")


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(1))
    signed = builder.not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "mail.pem"
    path.write_bytes(pem + signed.public_bytes(serialization.Encoding.PEM))
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(path)
    return made


Starting = Callable[..., tuple[Box, Server]]


@pytest.fixture
def start() -> Iterator[Starting]:
    """A mail server with these terms, and how it is set up here."""
    running: list[Controller] = []

    def begin(**terms: Any) -> tuple[Box, Server]:
        box, port = Box(), free_port()
        if terms.pop("asks", False):
            terms |= {"authenticator": box.login, "auth_required": True, "auth_exclude_mechanism": ["CRAM-MD5"]}
        controller = Controller(box, hostname="127.0.0.1", port=port, **terms)
        controller.start()
        running.append(controller)
        return box, replace(OPEN, port=port)

    yield begin
    for controller in running:
        controller.stop()


def test_a_server_that_wants_starttls_gets_it_and_the_password_after_it(
    start: Starting, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, server = start(tls_context=context, require_starttls=True, asks=True, auth_require_tls=True)
    named = replace(server, account="site", password="secret", verified=False)
    named.send("ann@example.org", "s", "t")
    assert box.mails == [("ann@example.org", True)]
    assert box.logins == [(b"secret", True)]
    monkeypatch.setattr(mail, "_TIMEOUT", 2.0)  # this server says nothing to a second way to sign in
    with pytest.raises(MailFailed):
        replace(named, password="wrong").send("ann@example.org", "s", "t")
    with pytest.raises(MailFailed):
        replace(named, account="").send("ann@example.org", "s", "t")
    assert len(box.mails) == 1


def test_a_certificate_that_nobody_signed_is_not_believed(start: Starting, context: ssl.SSLContext) -> None:
    box, server = start(tls_context=context, asks=True, auth_require_tls=True)
    with pytest.raises(MailFailed, match="certificate"):
        replace(server, account="site", password="secret").send("ann@example.org", "s", "t")
    assert (box.mails, box.logins) == ([], [])


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_no_password_goes_without_tls_to_another_machine(start: Starting, monkeypatch: pytest.MonkeyPatch) -> None:
    box, server = start(asks=True, auth_require_tls=False)
    named = replace(server, account="site", password="secret")
    named.send("ann@example.org", "s", "t")  # to this machine it does
    monkeypatch.setattr(mail, "_HERE", ())
    with pytest.raises(MailFailed, match="no TLS"):
        named.send("ann@example.org", "s", "t")
    assert len(box.logins) == 1


@pytest.mark.parametrize("begins", [b"", b"220 x", b"220 x\r\n", b"220"], ids=["mute", "half", "greets", "drips"])
def test_a_server_that_hangs_is_left_in_time(begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it hangs: what it says now and then gives it no more time."""
    monkeypatch.setattr(mail, "_TIMEOUT", 1.0)
    monkeypatch.setattr(mail, "_WHOLE", 2.0)
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            link, _ = listener.accept()
            with link:
                link.sendall(begins)
                while not over.wait(0.2):
                    if begins == b"220":
                        link.sendall(b"-")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        server = replace(OPEN, port=listener.getsockname()[1])
        began = time.monotonic()
        try:
            with pytest.raises(MailFailed):
                server.send("ann@example.org", "s", "t")
        finally:
            over.set()
        assert time.monotonic() - began < PATIENCE
        thread.join(PATIENCE)
