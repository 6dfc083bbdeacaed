"""A program of tests that kills itself before the statement of a number; imported by such programs alone."""

from __future__ import annotations

import os
import signal
from typing import Any

from sqlalchemy import event

from engine.storage.database import Database


def dies(db: Database, before: int) -> None:
    """Have this process die before what it writes next but so many statements and commits; -1 kills nobody."""
    left = before

    def die(*_: Any) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    event.listen(db._writer, "before_cursor_execute", die)
    event.listen(db._writer, "commit", die)
