"""Channels: the table and a channel's drawer, the form of one, and the form of many."""

from __future__ import annotations

from admin.pages.channels import form, many, table, trials
from admin.view import Page

PAGES: tuple[Page, ...] = (*form.PAGES, *many.PAGES, *table.PAGES, *trials.PAGES)
