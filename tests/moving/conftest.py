"""The fact sheets of the family's schemas, and databases of the test's own."""

from __future__ import annotations

from tests.storage.conftest import sheets

__all__ = ["sheets"]
