"""People over ``/api/v2``: users, and what a team's own systems do with them."""

from __future__ import annotations

from engine.api.resources.v2.people import personal, statements, users

ROUTES = (*users.ROUTES, *personal.ROUTES, *statements.ROUTES)
