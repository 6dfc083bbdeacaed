"""What is published: documents, drafts, releases, trials and canaries; and exchanges that were kept."""

from __future__ import annotations

from engine.api.resources.v2.specs import captures, documents, drafts, releases, rows, trials

ROUTES = (*documents.ROUTES, *releases.ROUTES, *drafts.ROUTES, *trials.ROUTES, *captures.ROUTES, *rows.ROUTES)
