"""Databases of the test's own on each engine, and books on them."""

from __future__ import annotations

from tests.ledger.conftest import books

__all__ = ["books"]
