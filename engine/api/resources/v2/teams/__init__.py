"""Teams over ``/api/v2``: themselves, their people, keys, projects, tags, budgets, use, and money between wallets."""

from __future__ import annotations

from engine.api.resources.v2.teams import members, purposes, team_keys, teams

ROUTES = (*teams.ROUTES, *members.ROUTES, *team_keys.ROUTES, *purposes.ROUTES)
