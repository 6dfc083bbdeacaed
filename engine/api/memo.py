"""What everybody may ask for is made once a minute and worker, however often it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine.api.route import Ask

SECONDS = 60.0
_MOST = 200


def for_strangers(ask: Ask, key: Any, make: Callable[[], Any]) -> Any:
    """What ``make`` gives; to those who have not logged in, as it was a minute ago at most."""
    return make() if ask.person is not None else for_all(ask, key, make)


def for_all(ask: Ask, key: Any, make: Callable[[], Any]) -> Any:
    """What ``make`` gives, as it was a minute ago at most."""
    memo, now = ask.worker.memo, time.monotonic()
    held = memo.get(key)
    if held is None or now > held[0]:
        if len(memo) >= _MOST:
            memo.clear()
        held = memo[key] = (now + SECONDS, make())
    return held[1]
