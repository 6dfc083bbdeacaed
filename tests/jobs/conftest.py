"""Databases of the test's own on each engine, as in tests/storage."""

from tests.storage.conftest import db, kind, opened, shared

__all__ = ["db", "kind", "opened", "shared"]
