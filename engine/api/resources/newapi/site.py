"""Setting up, the state of the site, and the texts that everybody may read."""

from __future__ import annotations

import re
from typing import Any

from engine import __version__
from engine.accounts import first_start
from engine.api import uptime as service
from engine.api.refusals import Told
from engine.api.resources.newapi import providers
from engine.api.route import ADMIN, NOBODY, Answer, Ask, Route
from engine.catalogue import options
from engine.identity import captchas, offers
from engine.storage.rows import options as rows
from engine.storage.rows import people, setup

_NAME, _PASSWORD = 12, 8


def _ready(ask: Ask) -> bool:
    return setup.done(ask.worker.db) or bool(people.roots(ask.worker.db))


def state(ask: Ask) -> Answer:
    """Whether the site is set up."""
    ready = _ready(ask)
    kind = {"postgresql": "postgres"}.get(ask.worker.db.kind, ask.worker.db.kind)
    return Answer({"status": ready, "root_init": False, "database_type": "" if ready else kind})


def set_up(ask: Ask) -> Answer:
    """Make root, once, where the operator has opened that."""
    if _ready(ask):
        raise Told.of("setup.already")
    name, password = ask.given("username", ""), ask.given("password", "")
    if not name.strip() or len(name) > _NAME:
        raise Told.of("setup.name")
    if len(password) < _PASSWORD:
        raise Told.of("setup.password")
    if password != ask.given("confirmPassword", ""):
        raise Told.of("setup.differs")
    if ask.worker.settings.first_start != "open":
        raise Told.of("setup.closed")
    first_start.make_root(ask.worker.db, name.strip(), password)
    for key, option in (("SelfUseModeEnabled", "SelfUseModeEnabled"), ("DemoSiteEnabled", "DemoSiteEnabled")):
        if ask.given(key, False):
            options.put(ask.worker.db, ask.worker.options, option, "true", 1)
    ask.worker.changed()
    return Answer(message="setup.done")


def status(ask: Ask) -> Answer:
    """What a page needs to know before anybody has logged in."""
    values = ask.worker.options
    shown: dict[str, Any] = {
        option.status: options.value_of(values, name) for name, option in options.known().items() if option.status
    }
    shown |= {
        "version": __version__,
        "start_time": int(ask.worker.started),
        "setup": _ready(ask),
        "theme": "default",
        "enable_batch_update": False,
        "user_agreement_enabled": bool(values.get("legal.user_agreement")),
        "privacy_policy_enabled": bool(values.get("legal.privacy_policy")),
        "logins": offers.shown(offers.every(ask.worker.db, ask.worker.snapshot.program.logins), values),
        "captcha": _captcha(ask),
        "custom_oauth_providers": providers.shown(ask.worker.db),
    }
    return Answer(shown)


def _captcha(ask: Ask) -> dict[str, Any] | None:
    """What a page has to show before a login, where something is on."""
    values = ask.worker.options
    captcha = captchas.active(ask.worker.snapshot.program.captchas, values)
    if captcha is None:
        return None
    widget = captcha.widget
    key = str(widget.site_key([], captcha.read(values)))
    shown = {"script": widget.script, "class": widget.style_class, "field": widget.field, "site_key": key}
    return {"name": captcha.name, "parameter": captcha.parameter, **shown, "allow": widget.allow}


def _text(option: str) -> Any:
    def answer(ask: Ask) -> Answer:
        return Answer(str(options.value_of(ask.worker.options, option) or ""))

    return answer


def uptime(ask: Ask) -> Answer:
    """How well models answered, in the form of the watcher that New API asks; nothing unless everybody may know."""
    if not service.public(ask):
        return Answer([])
    monitors = [
        {"name": one.name, "uptime": one.share, "status": int(one.share > 0)}
        for one in service.answered(ask)
        if one.share is not None
    ]
    return Answer([{"categoryName": "Models", "monitors": monitors}] if monitors else [])


def ratios(ask: Ask) -> Answer:
    """The ratios in force, where the operator shows them."""
    values = ask.worker.options
    if not options.value_of(values, "ExposeRatioEnabled"):
        raise Told.of("ratio.off", 403)
    names = ("ModelRatio", "CompletionRatio", "CacheRatio", "CreateCacheRatio", "ModelPrice")
    return Answer({_snake(name): options.value_of(values, name) for name in names})


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def alive(ask: Ask) -> Answer:
    """Whether the database answers."""
    rows.load(ask.worker.db)
    return Answer(message="server.running", beside={"http_stats": {"active_connections": 0}})


ROUTES = (
    Route("GET", "/api/setup", NOBODY, state),
    Route(
        "POST",
        "/api/setup",
        NOBODY,
        set_up,
        {
            "username": str,
            "password": str,
            "confirmPassword": str,
            "SelfUseModeEnabled": bool,
            "DemoSiteEnabled": bool,
        },
    ),
    Route("GET", "/api/status", NOBODY, status),
    Route("GET", "/api/status/test", ADMIN, alive),
    Route("GET", "/api/notice", NOBODY, _text("Notice")),
    Route("GET", "/api/about", NOBODY, _text("About")),
    Route("GET", "/api/home_page_content", NOBODY, _text("HomePageContent")),
    Route("GET", "/api/user-agreement", NOBODY, _text("legal.user_agreement")),
    Route("GET", "/api/privacy-policy", NOBODY, _text("legal.privacy_policy")),
    Route("GET", "/api/uptime/status", NOBODY, uptime),
    Route("GET", "/api/ratio_config", NOBODY, ratios),
)
