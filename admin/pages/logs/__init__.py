"""Logs: calls with their stories, tasks with theirs, and what is live now."""

from __future__ import annotations

from admin.pages.logs import calls, tasks
from admin.view import Page

PAGES: tuple[Page, ...] = (*calls.PAGES, *tasks.PAGES)
