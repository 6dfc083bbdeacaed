"""What is published: documents, drafts, releases, trials and canaries; exchanges that were kept; secrets."""

from __future__ import annotations

from engine.api.resources.v2.specs import captures, documents, drafts, releases, rows, secrets, trials

ROUTES = (
    *documents.ROUTES,
    *releases.ROUTES,
    *drafts.ROUTES,
    *trials.ROUTES,
    *captures.ROUTES,
    *rows.ROUTES,
    *secrets.ROUTES,
)
