"""The account of a user who calls without a key of its own: from the console, or to try a channel."""

from __future__ import annotations

from engine.storage.rows.accounts import Account, funding
from engine.storage.rows.crud import Row
from engine.storage.values import ENABLED


def of(user: Row, name: str, group: str) -> Account:
    """An account that is bounded by the user's balance and plans alone; ``name`` stands in its log rows."""
    own = user.get("group") or "default"
    return Account(
        user_id=user["id"],
        username=user.get("username") or "",
        role=user.get("role") or 0,
        user_status=user.get("status") or 0,
        user_deleted=False,
        user_group=own,
        user_quota=user.get("quota") or 0,
        token_id=0,
        token_name=name,
        key="",
        status=ENABLED,
        token_group="",
        group=group or own,
        unlimited=True,
        remain_quota=0,
        expires=-1,
        model_limits=None,
        networks=(),
        cross_group_retry=False,
        auto_groups=(),
        logs_ip=False,
        funding=funding(user.get("setting"), planned=True),
    )
