"""Checks that a person sits there: which one is on, and whether what somebody brings passes it. Fails closed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from engine.errors import MappingError
from engine.identity.refused import refused
from engine.program.outside.captchas import Captcha
from engine.transport import declared
from engine.transport.faults import TransportError
from engine.transport.leg import Pool

CODE = "CAPTCHA"
_LONGEST = 8192
_log = logging.getLogger(__name__)


def active(captchas: Iterable[Captcha], options: Mapping[str, str]) -> Captcha | None:
    """The first that the operator has switched on and set all of that it needs."""
    return next((one for one in captchas if _is_on(one, options)), None)


def _is_on(captcha: Captcha, options: Mapping[str, str]) -> bool:
    values = captcha.read(options)
    if not all(values[name].strip() for name in captcha.needs):
        return False
    try:
        return captcha.enabled is None or captcha.enabled([], values) is True
    except MappingError:
        return False


def prove(pool: Pool, captcha: Captcha, options: Mapping[str, str], answer: str, address: str) -> None:
    """Raise ``LoginRefused`` unless the service says that the answer is genuine; also where it can't be asked."""
    if not answer or len(answer) > _LONGEST:
        raise refused("captcha.none", 403, CODE, title=captcha.title, parameter=captcha.parameter)
    values, call = captcha.read(options), captcha.verify
    check = {"answer": answer, "address": address}
    try:
        parts = {
            name: part([], values, check) if part is not None else None
            for name, part in (("headers", call.headers), ("form", call.form), ("json", call.json))
        }
        url = str(call.url([], values, check))
        reply = declared.ask(pool, call.method, url, parts["headers"], form=parts["form"], json=parts["json"])
        passed = captcha.passed([], reply, values) is True
    except TransportError as error:
        _log.warning("captcha %s: its service failed: %s", captcha.name, error.public)
        raise refused("captcha.away", 503, CODE, title=captcha.title) from None
    except MappingError as error:
        _log.warning("captcha %s: an answer has not the shape that its document says: %s", captcha.name, error)
        raise refused("captcha.away", 503, CODE, title=captcha.title) from None
    if not passed:
        raise refused("captcha.failed", 403, CODE, title=captcha.title)
