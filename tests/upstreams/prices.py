"""Another gateway's list of prices, on loopback."""

from __future__ import annotations

from typing import Any

from tests.upstreams.tasks import Answered, Vendor


class Shop(Vendor):
    """Tells ``prices``: by kind, then by model."""

    def __init__(self) -> None:
        super().__init__()
        self.prices: dict[str, Any] = {}
        self.answer = lambda asked: Answered({"success": True, "data": self.prices})
