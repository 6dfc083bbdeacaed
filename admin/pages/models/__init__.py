"""Models: their prices, what is said of them, groups, prices of other gateways, and the list for users."""

from __future__ import annotations

from admin.pages.models import pricelist, ratios, shelf, sync, table, tools
from admin.view import Page

PAGES: tuple[Page, ...] = (
    *table.PAGES,
    *shelf.PAGES,
    *ratios.PAGES,
    *tools.PAGES,
    *sync.PAGES,
    *pricelist.PAGES,
)
