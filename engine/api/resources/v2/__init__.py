"""The routes of ``/api/v2``, a module for each resource, in one table.

Whoever adds a resource writes a module with ``ROUTES`` of ``Operation`` records and names it here.
"""

from __future__ import annotations

from engine.api.operation import Operation
from engine.api.resources.v2 import (
    audit,
    channels,
    codes,
    described,
    health,
    jobs,
    keys,
    limits,
    logs,
    notices,
    options,
    people,
    reports,
    specs,
    teams,
    tokens,
    webhooks,
    work,
)
from engine.api.resources.v2.money import budgets, invoices, ledger, prices, tags

__all__ = ["ROUTES"]

_ROUTES: tuple[Operation, ...] = tuple(
    route
    for module in (
        *(people, tokens, keys, limits, codes, channels, health, options, logs, reports),
        *(budgets, tags, ledger, invoices, audit, specs, jobs, work),
        *(notices, webhooks, prices, teams),
    )
    for route in module.ROUTES
)
ROUTES = (*_ROUTES, described.route(_ROUTES))
