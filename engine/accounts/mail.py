"""One mail over the operator's SMTP server, in bounded time.

``Server.of(values)`` reads the options that the family's programs have for it. TLS is used wherever the server has it;
a password is never sent without it, but to this machine.
"""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from engine.errors import Unavailable

_TIMEOUT = 15.0
"""Seconds that one answer of the server may take."""
_WHOLE = 60.0
"""Seconds that a mail may take, however the server spends them."""
_IMPLICIT = 465
_HERE = ("127.0.0.1", "localhost", "::1")
_logger = logging.getLogger("gatewright.mail")


class MailFailed(Unavailable):
    """The mail server took no mail."""

    public = "no mail could be sent; tell the operator of this site"


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server. ``sender`` is the address that mails come from."""

    host: str
    port: int
    account: str
    password: str
    sender: str
    tls: bool
    verified: bool

    @classmethod
    def of(cls, value: Callable[[str], Any]) -> Server | None:
        """As the options say (``value`` gives one's); nothing where there is none."""
        if not value("SMTPServer"):
            return None
        account, port = str(value("SMTPAccount")), int(value("SMTPPort") or 0)
        return cls(
            host=str(value("SMTPServer")),
            port=port,
            account=account,
            password=str(value("SMTPToken")),
            sender=str(value("SMTPFrom") or account),
            tls=bool(value("SMTPSSLEnabled")) or port == _IMPLICIT,
            verified=not value("SMTPInsecureSkipVerify"),
        )

    def send(self, to: str, subject: str, text: str, *, html: str = "", message: str = "") -> None:
        """Send a text to one address, and the same as HTML. Raises ``MailFailed``.

        ``message``: an id by which the receiver knows a mail that comes again.
        """
        try:
            mail = self._written(to, subject, text, html, message)
            link = self._link()
            late = threading.Timer(_WHOLE, _cut, (link,))
            late.daemon = True
            late.start()
            try:
                with self._connected(link):
                    link.send_message(mail)
            finally:
                late.cancel()
        except (OSError, smtplib.SMTPException, ValueError) as error:
            _logger.warning("no mail to %s could be sent over %s:%d: %s", to, self.host, self.port, error)
            raise MailFailed(str(error)) from None

    def _written(self, to: str, subject: str, text: str, html: str, message: str) -> EmailMessage:
        """The mail; ``ValueError`` where a header would hold a line break."""
        mail, domain = EmailMessage(), self.sender.rpartition("@")[2]
        mail["From"], mail["To"], mail["Subject"] = self.sender, to, subject
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message}@{domain or 'localhost'}>" if message else make_msgid(domain=domain or None)
        mail.set_content(text)
        if html:
            mail.add_alternative(html, subtype="html")
        return mail

    def _link(self) -> smtplib.SMTP:
        """Not connected yet, so that it can be cut while the server greets."""
        link = (
            smtplib.SMTP_SSL(timeout=_TIMEOUT, context=self._context()) if self.tls else smtplib.SMTP(timeout=_TIMEOUT)
        )
        # the name that a certificate has to be of; smtplib notes it only where it connects at once
        link._host = self.host  # type: ignore[attr-defined]
        return link

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self.verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _connected(self, link: smtplib.SMTP) -> smtplib.SMTP:
        try:
            link.connect(self.host, self.port)
            link.ehlo()
            safe = self.tls
            if not safe and link.has_extn("starttls"):
                link.starttls(context=self._context())
                link.ehlo()
                safe = True
            if self.account and self.password and link.has_extn("auth"):
                if not safe and self.host not in _HERE:
                    raise smtplib.SMTPException("the server has no TLS: the password is not sent")
                link.login(self.account, self.password)
        except BaseException:
            link.close()
            raise
        return link


def _cut(link: smtplib.SMTP) -> None:
    """End a link whose server takes too long: who waits for it is told that it is closed."""
    if link.sock is not None:
        with suppress(OSError):
            link.sock.shutdown(socket.SHUT_RDWR)
