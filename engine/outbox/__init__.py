"""What leaves later: one durable queue, sent by one process of the cluster, each message at least once.

Whoever has something to tell puts a row in beside its own (``engine.storage.rows.work.outbox``); senders say how each
kind leaves. Retries grow, what can't leave becomes a dead letter, and nothing here holds up a worker.
"""

from __future__ import annotations

from engine.outbox.sending import Outbox, Outcome, Sender

__all__ = ["Outbox", "Outcome", "Sender"]
