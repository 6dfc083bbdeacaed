"""Money in: redemption codes, payments by the services that documents describe, and plans."""

from __future__ import annotations

from engine.api.resources.newapi.money import codes, payments, plans

ROUTES = (*codes.ROUTES, *payments.ROUTES, *plans.ROUTES)
