"""An address that counts as public, for an upstream that callers may name: one of a block that is meant to be served
by whoever has a use for it (192.31.196.0/24, RFC 7535), put on this machine's loopback for as long as it is needed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support import missing


@contextmanager
def address() -> Iterator[str]:
    """The address, another one for each process; without the right to have one the test is missing something."""
    mine = f"192.31.196.{os.getpid() % 253 + 1}"
    try:
        _address("add", mine)
    except (OSError, subprocess.CalledProcessError) as error:
        missing(f"no right to put a public address on the loopback (ip addr add {mine}/32 dev lo): {error}")
    try:
        yield mine
    finally:
        _address("del", mine)


def _address(what: str, mine: str) -> None:
    subprocess.run(["ip", "addr", what, f"{mine}/32", "dev", "lo"], check=True, capture_output=True)
