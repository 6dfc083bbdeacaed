"""What the numbers in columns mean, as the family's programs write them: the one home of each."""

from __future__ import annotations

ENABLED, DISABLED, EXPIRED, EXHAUSTED = 1, 2, 3, 4
"""``status`` of users, keys and channels; the last two are of keys only. A channel with another number is off."""
AUTO_DISABLED = 3
"""``status`` of a channel, or of one of its keys, that was switched off because of its failures."""
ADMIN, ROOT = 10, 100
"""``role`` of users: who may choose a channel and see all, and who may do anything."""
QUOTA_PER_UNIT = 500_000
"""Quota units to a dollar, where the option of this name does not say otherwise."""
NANO = 10**9
"""Costs and what was paid in are kept in billionths of a dollar."""
