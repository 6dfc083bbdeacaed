"""Why somebody who came from outside can't be let in, in words, with a status and a code that programs know."""

from __future__ import annotations

from engine.errors import Conflict
from engine.texts import refusal


class LoginRefused(Conflict):
    """Who came from outside may not enter, or can't be known. ``status`` 0 is the usual one of a refusal."""

    status = 0
    code = "OAUTH_REFUSED"


def refused(key: str, status: int = 0, code: str = "", **values: object) -> LoginRefused:
    """Make one of a key of the texts."""
    error = refusal(LoginRefused, key, **values)
    error.status = status
    error.code = code or LoginRefused.code
    return error
