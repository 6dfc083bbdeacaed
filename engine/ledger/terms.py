"""What a Policy says of money: a ``Terms`` made of its ``ledger`` section, with defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Terms:
    """See the Policy's schema for the words."""

    enforce: bool = True
    """A call is refused that a balance can't pay; else balances are only counted."""
    max_tokens: int = 4096
    near: int = 8
    serve_away: bool = True
    exposure: int = 500_000
    away_seconds: int = 900
    left_pays: bool = True
    """A caller who leaves pays for what was produced until then."""
    left_early_pays: bool = True
    """A caller who leaves before anything came pays for the input, once it went up."""
    background_seconds: int = 86_400
    """How long an answer made in the background is followed; 0: none may be asked for."""
    unknown_end_pays: bool = True
    """One whose end nobody saw costs what was held for it, else nothing."""
    batch_output: int = 1024
    """Output tokens that are held for each request of a batch at most."""
    failed_pays: bool = False
    """A call whose upstream failed before any output is charged what the upstream said."""


def terms(policy: Mapping[str, Any]) -> Terms:
    """The terms of a merged policy."""
    ledger = policy.get("ledger") or {}
    away = ledger.get("databaseAway") or {}
    background = ledger.get("background") or {}
    return Terms(
        enforce=ledger.get("balance", "enforce") == "enforce",
        max_tokens=int(ledger.get("maxTokens", 4096)),
        near=int(ledger.get("countExactlyBelow", 8)),
        serve_away=bool(away.get("serve", True)),
        exposure=int(away.get("exposure", 500_000)),
        away_seconds=int(away.get("seconds", 900)),
        left_pays=ledger.get("callerLeft", "produced") == "produced",
        left_early_pays=ledger.get("callerLeftEarly", "input") == "input",
        background_seconds=int(background.get("seconds", 86_400)),
        unknown_end_pays=background.get("unknownEnd", "held") == "held",
        batch_output=int((ledger.get("batches") or {}).get("outputTokens", 1024)),
        failed_pays=ledger.get("failedBeforeOutput", "free") != "free",
    )
