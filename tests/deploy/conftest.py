"""The version of before, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.older import older


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The version of before; this one, where there is no history."""
    with older(tmp_path_factory.mktemp("old") / "tree") as tree:
        yield tree
