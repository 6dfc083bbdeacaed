"""Tables of documents and releases; ours alone, so named ``gatewright_``."""

from __future__ import annotations

from sqlalchemy import Index

from engine.storage.tables.columns import chars, key, long, note, real, table, whole

documents = table(
    "gatewright_documents",
    chars("id", 64, primary_key=True, nullable=False),
    chars("kind", 32, nullable=False),
    chars("name", 200, nullable=False),
    chars("owner", 16, nullable=False),
    note("place"),
    whole("line", 1, nullable=False),
    long("text"),
    chars("hash", 64, nullable=False),
    note("labels"),
    whole("release_number", nullable=False),
    whole("changed_at"),
    whole("user_id", 0),
    chars("username", 191),
    plain="kind owner",
)
"""The documents of the newest release, byte for byte. ``id`` is a hash of kind and name, as some engines fold case;
``place`` and ``line`` say where in a file of its owner a document begins."""

revisions = table(
    "gatewright_revisions",
    chars("document_id", 64, primary_key=True, nullable=False),
    whole("release_number", primary_key=True, nullable=False, autoincrement=False),
    chars("kind", 32, nullable=False),
    chars("name", 200, nullable=False),
    chars("owner", 16, nullable=False),
    note("place"),
    whole("line", 1, nullable=False),
    long("text"),
    chars("hash", 64, nullable=False),
    note("labels"),
    plain="release_number",
)
"""What a release changed: a document's new text, or none where it took the document away."""

releases = table(
    "gatewright_releases",
    whole("number", primary_key=True, nullable=False, autoincrement=False),
    chars("content", 64, nullable=False),
    whole("parent", 0, nullable=False),
    whole("created_at"),
    whole("user_id", 0),
    chars("username", 191),
    chars("source", 191),
    note("message"),
    whole("changes", 0),
    plain="created_at",
)
"""Releases in their order. ``number`` is one more than the one before, so two publishers can't both have it;
``content`` is a hash over all documents, ``source`` what the release came from, as a commit."""

machines = table(
    "gatewright_machines",
    chars("id", 64, primary_key=True, nullable=False),
    chars("name", 191),
    whole("release_number", 0),
    chars("program", 64),
    whole("ok", 1),
    long("report"),
    whole("changed_at"),
    whole("seen_at"),
)
"""Which release each machine runs, since when, and why it may not run the newest."""

drafts = table(
    "gatewright_drafts",
    chars("id", 32, primary_key=True, nullable=False),
    chars("name", 191),
    whole("base", 0),
    whole("user_id", 0),
    chars("username", 191),
    note("message"),
    long("changes"),
    whole("version", 1, nullable=False),
    whole("created_at"),
    whole("changed_at"),
    note("hands"),
    plain="user_id",
)
"""Change sets that are not published: documents as their author left them, with or without faults. ``hands``: all who
wrote at one, as JSON."""

approvals = table(
    "gatewright_approvals",
    chars("content", 64, primary_key=True, nullable=False),
    chars("who", 200, primary_key=True, nullable=False),
    whole("user_id", 0),
    chars("username", 191),
    whole("created_at"),
)
"""Who approved which changes: ``content`` is a hash over them, ``who`` a user's number, or 0 and a name."""

secrets = table(
    "gatewright_secrets",
    chars("name", 64, primary_key=True, nullable=False),
    long("value"),
    whole("changed_at"),
    whole("user_id", 0),
)
"""Secrets that documents name by ``secretRef: {db: NAME}``, encrypted where CRYPTO_SECRET is set."""

trials = table(
    "gatewright_trials",
    chars("id", 32, primary_key=True, nullable=False),
    chars("name", 191),
    whole("base", 0),
    whole("version", 0),
    whole("user_id", 0),
    chars("username", 191),
    note("message"),
    long("changes"),
    whole("created_at"),
    whole("until"),
)
"""Changes that machines compile beside the release in force. ``id`` is that of the draft that they were, or
``release-NUMBER``; ``version`` that of the draft; after ``until`` nobody runs them any more."""

canaries = table(
    "gatewright_canaries",
    whole("number", primary_key=True, nullable=False, autoincrement=False),
    chars("trial", 32, nullable=False),
    chars("name", 191),
    note("rules"),
    chars("state", 16, nullable=False),
    note("reason"),
    whole("looks", 0),
    long("verdict"),
    whole("begun_at"),
    whole("ended_at", 0),
    whole("user_id", 0),
    chars("username", 191),
    plain="state",
)
"""Trials that were given a share of calls. One runs at a time; ``number`` is one more than the one before, so two can't
begin at once. ``looks`` counts comparisons, ``verdict`` is the last of them."""

canary_counts = table(
    "gatewright_canary_counts",
    whole("canary", primary_key=True, nullable=False, autoincrement=False),
    chars("arm", 4, primary_key=True, nullable=False),
    whole("token_id", primary_key=True, nullable=False, autoincrement=False),
    whole("calls", 0),
    whole("errors", 0),
    whole("timed", 0),
    real("log_ms"),
    real("log_ms2"),
    whole("losses", 0),
    real("losses2"),
    whole("tokens", 0),
    whole("quota", 0),
    real("tokens2"),
    real("quota_tokens"),
    real("quota2"),
)
"""Sums over the calls of a canary by release (``new``, ``old``) and key; counted where their charges are booked.
``timed`` calls had a first byte, ``log_ms`` sums the logarithms of their milliseconds; a name that ends in 2 sums
squares."""

captures = table(
    "gatewright_captures",
    chars("id", 64, primary_key=True, nullable=False),
    chars("rule", 80, nullable=False),
    whole("created_at", 0, nullable=False),
    whole("until", 0, nullable=False),
    whole("user_id", 0),
    chars("username", 191),
    whole("token_id", 0),
    chars("token_name", 191),
    chars("model", 191),
    chars("format", 64),
    chars("channel", 191),
    chars("release", 64),
    whole("status", 0),
    whole("size", 0),
    whole("redacted", 0),
    more=(
        Index("idx_gatewright_captures_rule", "rule", "created_at"),
        Index("idx_gatewright_captures_until", "until"),
    ),
)
"""Exchanges that were kept. ``id`` is the call's, ``rule`` the Policy's rule or ``key:ID`` by which it was kept,
``until`` when it goes."""

capture_data = table(
    "gatewright_capture_data",
    chars("id", 64, primary_key=True, nullable=False),
    note("data_key"),
    long("data"),
)
"""What was said in an exchange: ``data`` is encrypted under a key of its own, which stands sealed in ``data_key``."""

capture_keys = table(
    "gatewright_capture_keys",
    whole("token_id", primary_key=True, nullable=False, autoincrement=False),
    whole("until", 0, nullable=False),
    real("share"),
    whole("redacted", 0),
    real("days"),
    whole("created_at"),
    whole("user_id", 0),
    chars("username", 191),
)
"""Keys whose exchanges are kept until a moment, and who asked for it."""

row_revisions = table(
    "gatewright_row_revisions",
    key(),
    whole("created_at", 0, nullable=False),
    whole("user_id", 0),
    chars("username", 191),
    chars("kind", 16, nullable=False),
    chars("name", 191, nullable=False),
    chars("title", 191),
    long("before"),
    long("after"),
    more=(Index("idx_gatewright_row_revisions_row", "kind", "name"),),
)
"""Each change of a channel or an option; of secrets stands the beginning of a hash. Nothing in ``before`` where the row
was made, in ``after`` where it was deleted."""
