"""How a database fails, by what can be done: it is away, or it refuses a statement. No text holds a password."""

from __future__ import annotations

from sqlalchemy.exc import DataError, IntegrityError, NotSupportedError, ProgrammingError

from engine.errors import GatewrightError, Internal, Unavailable

REFUSED = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""The drivers' words for a statement that fails however often it is sent; all else may be otherwise in a moment."""


class StorageError(GatewrightError):
    """Whatever a database fails with; raised as one of the two below."""


class DatabaseAway(StorageError, Unavailable):  # noqa: N818 - the remedy's name: it may be tried again
    """The database can't be reached, or does not answer now."""

    public = "the gateway's database is away; try again soon"


class StatementError(StorageError, Internal):
    """The database refuses a statement; its cause is the driver's error."""
