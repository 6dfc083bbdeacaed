"""Databases of the test's own on each engine, as in tests/storage."""

from tests.storage.conftest import empty, kind

__all__ = ["empty", "kind"]
