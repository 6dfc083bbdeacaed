"""The list of models with their prices, for everybody or for those who have logged in, as the operator chose."""

from __future__ import annotations

from typing import Any

import orjson

from engine.api.memo import for_strangers
from engine.api.refusals import Told
from engine.api.route import ADMIN, NOBODY, Answer, Ask, Route
from engine.catalogue import groups, pricing


def listed(ask: Ask) -> Answer:
    """All models that the caller may use, with prices."""
    try:
        modules = orjson.loads(ask.worker.options.get("HeaderNavModules") or "{}")
    except orjson.JSONDecodeError:
        modules = {}
    module = modules.get("pricing") if isinstance(modules, dict) else None
    if module is False or (isinstance(module, dict) and module.get("enabled") is False):
        raise Told.of("pricing.off", 403)
    if isinstance(module, dict) and module.get("requireAuth") is True and ask.person is None:
        raise Told.of("auth.none", 401)
    group = ask.person.group if ask.person is not None else "default"
    snapshot, worker = ask.worker.snapshot, ask.worker

    def make() -> dict[str, Any]:
        return pricing.table(worker.db, snapshot.book, worker.options, snapshot.groups, group)

    return Answer(whole=for_strangers(ask, "pricing", make))


def group_names(ask: Ask) -> Answer:
    """The names of all groups."""
    return Answer(sorted(groups.ratios(ask.worker.options)), shown=True)


ROUTES = (
    Route("GET", "/api/pricing", NOBODY, listed),
    Route("GET", "/api/group/", ADMIN, group_names, right="catalogue.read"),
)
