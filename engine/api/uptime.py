"""How well the models that somebody may call answered, made once a minute for each group."""

from __future__ import annotations

import time

from engine.api.memo import for_all
from engine.api.route import Ask
from engine.catalogue import groups, options
from engine.reports import uptime
from engine.reports.uptime import Uptime

_STRANGERS = "default"


def public(ask: Ask) -> bool:
    """Whether everybody may know."""
    return bool(options.value_of(ask.worker.options, "status_page.public"))


def answered(ask: Ask) -> list[Uptime]:
    """Of the models of one's groups; of those that new users may call, where nobody has signed in."""
    worker = ask.worker
    group = ask.person.group if ask.person is not None else _STRANGERS

    def make() -> list[Uptime]:
        names = groups.models(worker.snapshot.table, worker.snapshot.groups, group, "")
        return uptime.of_models(worker.db, worker.log_db, names, int(time.time()))

    models: list[Uptime] = for_all(ask, ("uptime", group), make)
    return models
