"""The pages: a module each, with its ``PAGES``."""

from __future__ import annotations

from admin.pages import (
    channels,
    codes,
    dashboard,
    factors,
    gate,
    keys,
    logs,
    mailed,
    models,
    notices,
    own,
    plans,
    playground,
    receipts,
    settings,
    status,
    teams,
    texts,
    users,
    wallet,
)
from admin.pages.specs import captures, documents, releases
from admin.view import Page

_MODULES = (
    gate,
    mailed,
    texts,
    dashboard,
    playground,
    keys,
    logs,
    channels,
    models,
    users,
    codes,
    plans,
    notices,
    settings,
    own,
    wallet,
    receipts,
    teams,
    factors,
    status,
    documents,
    releases,
    captures,
)
PAGES: tuple[Page, ...] = tuple(page for module in _MODULES for page in module.PAGES)
