"""Tables of ours that the management API alone reads and writes, beside those in ``own``."""

from __future__ import annotations

from sqlalchemy import Index

from engine.storage.tables.columns import chars, flag, key, note, table, unique, whole

once = table(
    "gatewright_once",
    chars("name", 64, primary_key=True, nullable=False),
    chars("request", 64, nullable=False),
    note("answer"),
    whole("created_at"),
    plain="created_at",
)
"""Calls that may be sent twice: the hash of user, place and idempotency key, of the body, and the sealed answer."""

hours = table(
    "gatewright_hours",
    chars("dimension", 16, primary_key=True, nullable=False),
    chars("value", 160, primary_key=True, nullable=False),
    whole("hour", primary_key=True, nullable=False, autoincrement=False),
    *(whole(name, 0, nullable=False) for name in ("calls", "errors", "quota", "prompt_tokens", "completion_tokens")),
    *(whole(name, 0, nullable=False) for name in ("seconds", "slow_3", "slow_10", "slow_30", "slow_100", "failed")),
    *(whole(name, 0, nullable=False) for name in ("slow_1", "cost", "costed", "costed_quota", "lossy", "streamed")),
    *(whole(name, 0, nullable=False) for name in ("first_300", "first_1000", "first_3000", "first_10000")),
    more=(Index("idx_gatewright_hours_hour", "dimension", "hour"),),
)
"""Sums of an hour of calls, for one dimension at a time. Hours older than a month stand at the begin of their day.

``slow_N`` are calls that took N seconds or more, ``failed`` those of ``errors`` that were no fault of the caller's.
``cost`` is in billionths of a dollar, of the ``costed`` calls whose cost is known, which were charged ``costed_quota``.
``lossy`` calls lost something in a conversion. ``streamed`` are those whose first byte was timed, ``first_N`` those of
them that waited N milliseconds or more for it. Of a pair of dimensions ``value`` has both with ``|`` between.
"""

hour_parts = table(
    "gatewright_hour_parts",
    chars("dimension", 16, primary_key=True, nullable=False),
    chars("value", 160, primary_key=True, nullable=False),
    whole("hour", primary_key=True, nullable=False, autoincrement=False),
    chars("part", 48, primary_key=True, nullable=False),
    whole("amount", 0, nullable=False),
    more=(Index("idx_gatewright_hour_parts_hour", "dimension", "hour"),),
)
"""What ``hours`` has of a kind that is not fixed: ``error:MEANING`` are errors, ``tokens:BUCKET`` tokens."""

mailed = table(
    "gatewright_mailed",
    chars("name", 80, primary_key=True, nullable=False),
    chars("hash", 64, nullable=False),
    whole("tries", 0, nullable=False),
    whole("expires_at", 0, nullable=False),
    plain="expires_at",
)
"""Codes and links that were mailed: the hashes of purpose and address, and of the code itself."""

identities = table(
    "gatewright_identities",
    chars("key", 64, primary_key=True, nullable=False),
    chars("login", 64, nullable=False),
    chars("subject", 255, nullable=False),
    whole("user_id", 0, nullable=False),
    whole("created_at"),
    whole("seen_at"),
    plain="user_id",
)
"""Who somebody is at an outside login. ``key`` is the hash of login and subject, so that each stands here once.

Of logins that have a column in ``users``, or are kept by the console, the binding stands there, and a row here is only
what two logins at a time wait for.
"""

login_flows = table(
    "gatewright_login_flows",
    chars("hash", 64, primary_key=True, nullable=False),
    chars("login", 64, nullable=False),
    chars("intent", 8, nullable=False),
    whole("user_id", 0, nullable=False),
    chars("browser", 64, nullable=False),
    flag("strict"),
    chars("invited_by", 32, ""),
    whole("expires_at", 0, nullable=False),
    plain="expires_at",
)
"""Logins on their way: the hash of what has to come back, and of the cookie of the browser that it was given to."""

passkeys = table(
    "gatewright_passkeys",
    key(),
    whole("user_id", nullable=False),
    chars("hash", 64, nullable=False),
    note("credential_id", nullable=False),
    note("public_key", nullable=False),
    chars("name", 64, nullable=False),
    chars("transports", 128, ""),
    whole("sign_count", 0, nullable=False),
    flag("asked_for"),
    whole("created_at", 0, nullable=False),
    whole("used_at", 0, nullable=False),
    plain="user_id",
    more=(unique("idx_gatewright_passkeys_hash", "hash"),),
)
"""Passkeys, several for a person: New API's own table has room for one. ``hash`` is SHA-256 of ``credential_id``.

Both id and key (COSE) are base64url. ``asked_for``: after a password it is asked for; not of one that New API made,
which never asks for it there.
"""
