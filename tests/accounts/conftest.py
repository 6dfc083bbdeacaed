"""Databases of the test's own on each engine, as in tests/storage."""

from tests.storage.conftest import db, empty, kind, lite, opened, shared, sheets

__all__ = ["db", "empty", "kind", "lite", "opened", "shared", "sheets"]
