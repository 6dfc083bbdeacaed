"""The response header that tells what a conversion lost."""

from __future__ import annotations

import re

_UNSAYABLE = re.compile("[^ -~]")
"""What a header can't hold; upstreams name fields as they like."""
_CHARACTERS = 2000


def loss_header(report: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the header for a report: ``path=why``, parted by semicolons alone; none for an empty one."""
    if not report:
        return []
    text = "; ".join(dict.fromkeys(f"{path}={why.replace(';', ',')}" for path, why in report))[:_CHARACTERS]
    return [("x-gatewright-loss", _UNSAYABLE.sub("?", text))]
