"""Codes that are scanned: against what another program drew of the same texts with the same mask."""

from __future__ import annotations

import hashlib

import pytest

from admin import qr
from engine.errors import Invalid

# Length that fills a version, the version, and the start of the SHA-256 of the modules as segno 1.6 draws them.
DRAWN = (
    (14, 1, "81a24cdea8379d3c"),
    (26, 2, "2a68f9c41770bb52"),
    (42, 3, "f1679a545b524593"),
    (62, 4, "7e81409b745bc797"),
    (84, 5, "63ab22cb8a449f71"),
    (106, 6, "4210715519fa01d5"),
)


@pytest.mark.parametrize(("length", "version", "digest"), DRAWN)
def test_a_code_is_as_another_program_draws_it(length: int, version: int, digest: str) -> None:
    rows = ["".join("#" if on else "." for on in row) for row in qr.matrix("q" * length)]
    assert len(rows) == 17 + 4 * version
    assert hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16] == digest


def test_what_is_too_long_is_told() -> None:
    with pytest.raises(Invalid, match="holds 106 bytes, not 107"):
        qr.matrix("q" * 107)
