"""The routes of the family's own management API, a module for each resource, in one table."""

from __future__ import annotations

from engine.api.resources.newapi import (
    data,
    factors,
    logins,
    logs,
    models,
    money,
    options,
    outside,
    own,
    playground,
    prefill,
    pricing,
    providers,
    routing,
    site,
    system,
    tasks,
    tokens,
    users,
    vendors,
)
from engine.api.route import Route

__all__ = ["ROUTES"]

ROUTES: tuple[Route, ...] = tuple(
    route
    for module in (
        *(
            site,
            logins,
            outside,
            factors,
            own,
            users,
            options,
            tokens,
            routing,
            money,
            logs,
            data,
            models,
            vendors,
            prefill,
        ),
        *(pricing, playground, tasks, system, providers),
    )
    for route in module.ROUTES
)
