"""Admit: may this account spend on this call now? Refuses with 402/403 when the key's quota is used up.

The reservation of an estimate stands here when prices exist; until then a limited key only needs quota left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import CallError

if TYPE_CHECKING:
    from engine.storage.accounts import Account


def admit(account: Account) -> None:
    """Refuse a key that has a limit and nothing left of it."""
    if not account.unlimited and account.remain_quota <= 0:
        raise CallError(
            "quota", "this API key has no quota left; ask for more, or use another key", code="insufficient_quota"
        )
