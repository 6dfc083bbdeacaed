"""Request ids."""

from __future__ import annotations

import os
import time


def fresh_id() -> str:
    """A request id. Later ones sort after earlier ones, so that an index of them grows at its end."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
