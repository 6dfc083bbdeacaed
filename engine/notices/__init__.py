"""Notices: who is told of what happened, on which way, in which words; and the webhooks of operators.

Events are put into the outbox where they happen. Here each becomes messages to people and webhooks, and these become
calls and mails, as documents of kind Notice say. Knows nothing of HTTP servers.
"""

from __future__ import annotations

from engine.notices.service import Notices

__all__ = ["Notices"]
