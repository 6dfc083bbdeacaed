"""Named work that one process of the cluster does at a time: a ``Job`` says what, a ``Runner`` does what is due.

A job is held by a lease in the database, which ends by itself when its process dies; ``Lease.keep`` holds it for
longer, and says when it was lost. Next time and last result stand in the database, so a restart forgets nothing.
"""

from __future__ import annotations

from engine.jobs.runner import Job, Lease, Runner

__all__ = ["Job", "Lease", "Runner"]
