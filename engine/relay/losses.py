"""The response header that tells what a conversion lost."""

from __future__ import annotations

_CHARACTERS = 2000


def loss_header(report: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the header for a report: ``path=why`` separated by semicolons, cut at a length; none for an empty one."""
    if not report:
        return []
    text = "; ".join(dict.fromkeys(f"{path}={why}" for path, why in report))[:_CHARACTERS]
    return [("x-gatewright-loss", text.encode("ascii", "replace").decode().replace("\n", " ").replace("\r", " "))]
