"""Who acts: noted around a request of the management API, and taken up by what writes revisions of rows.

Read before a transaction begins: what runs in one may run in another thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from engine.storage.releases.documents import Author

_WHO: ContextVar[Author | None] = ContextVar("who acts", default=None)


def who() -> Author:
    """The person in whose name this runs; the program itself where there is none."""
    return _WHO.get() or Author()


@contextmanager
def acting(author: Author) -> Iterator[None]:
    """Run something in a person's name."""
    token = _WHO.set(author)
    try:
        yield
    finally:
        _WHO.reset(token)
