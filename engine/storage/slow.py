"""Tells of statements that took long. ``watch(engine, limit)`` listens to an engine; ``told`` judges one statement.

The statement is named without its values, which may be secrets. Knows no tables.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import Engine, event

_logger = logging.getLogger("gatewright.storage")
_SHOWN = 300


def told(began: float, limit_ms: int, sql: str) -> None:
    """Log a statement that began at ``began`` (monotonic) and took longer than the limit."""
    took = (time.monotonic() - began) * 1000
    if took >= limit_ms:
        _logger.warning("slow statement, %d ms: %s", took, " ".join(sql.split())[:_SHOWN])


def watch(engine: Engine, limit_ms: int) -> None:
    """Judge every statement of an engine; a limit of 0 judges none."""
    if limit_ms <= 0:
        return

    @event.listens_for(engine, "before_cursor_execute")
    def _before(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        connection.info["gatewright_began"] = time.monotonic()

    @event.listens_for(engine, "after_cursor_execute")
    def _after(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        told(connection.info["gatewright_began"], limit_ms, statement)
