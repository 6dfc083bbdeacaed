"""Passwords: checked for what can be kept whole, kept as bcrypt (cost 10), which the family's programs read too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bcrypt

from engine.errors import Invalid

_COST = 10
_LONGEST = 72
"""bcrypt reads no further; what it would ignore must not look like part of the password."""
_SHORTEST = 8


def hash_password(password: str) -> str:
    """The form in which a password is kept."""
    raw = password.encode()
    if len(raw) > _LONGEST:
        raise Invalid("password", f"the password is {len(raw)} bytes long", f"at most {_LONGEST} can be kept")
    if len(password) < _SHORTEST:
        raise Invalid("password", f"the password has {len(password)} characters", f"at least {_SHORTEST} are needed")
    return str(_aside(lambda: bcrypt.hashpw(raw, bcrypt.gensalt(_COST)).decode()))


def check_password(password: str, hashed: str) -> bool:
    """Whether this is the password that was kept; an account without one has none that fits."""
    raw = password.encode()
    try:
        return bool(hashed) and len(raw) <= _LONGEST and bool(_aside(lambda: bcrypt.checkpw(raw, hashed.encode())))
    except ValueError:
        return False


def _aside(work: Callable[[], Any]) -> Any:
    """PERF: 60 ms of the processor, in a thread, so that a worker's other calls go on; bcrypt lets go of the lock."""
    from gevent import get_hub, monkey

    return get_hub().threadpool.apply(work) if monkey.is_module_patched("socket") else work()
