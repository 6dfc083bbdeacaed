"""The caller's own account: itself, its settings, groups, models, invitations and check-ins."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from engine.accounts import checkins, invitations, mailed, people, rights
from engine.api.refusals import Told
from engine.api.resources.newapi.logins import stays
from engine.api.resources.newapi.shapes import own_user
from engine.api.route import NOBODY, USER, Answer, Ask, Route
from engine.catalogue import groups, options
from engine.errors import Conflict, Invalid
from engine.storage.rows import logins

_KINDS = ("email", "webhook", "bark", "gotify")


def show(ask: Ask) -> Answer:
    """The caller."""
    return Answer(own_user(ask.user, rights.of(ask.worker.db, ask.user.id, ask.user.role)["channel"]))


def change(ask: Ask) -> Answer:
    """The sidebar, the language, or names and password: the member that is there decides."""
    db = ask.worker.db
    for name in ("sidebar_modules", "language"):
        if name in ask.body:
            value = ask.given(name, "")
            if name == "language" and value not in people.LANGUAGES:
                raise Told.of("invalid")
            people.put_setting(db, ask.user, {name: value})
            return Answer(message="self.updated", shown=True)
    if ask.given("password") and ask.session is None:
        raise Told.of("auth.session")
    if not people.change_self(db, ask.user, ask.body):
        return Answer()
    row = ask.session
    if row is None:
        return Answer()
    db.write(lambda connection: logins.end(db, connection, ask.user.id, but=row["sid"]))
    return Answer(stays(ask, row))


def leave(ask: Ask) -> Answer:
    """Delete the own account."""
    people.delete(ask.worker.db, ask.user, ask.user.id, hard=False)
    return Answer()


def put_setting(ask: Ask) -> Answer:
    """How the caller is warned; what is not given stays."""
    kind = ask.given("notify_type", "")
    if kind not in _KINDS:
        raise Told.of("setting.type")
    if ask.given("quota_warning_threshold", 0) <= 0:
        raise Told.of("setting.threshold")
    _targets(ask, kind)
    names = (
        *("notify_type", "quota_warning_threshold", "webhook_secret", "gotify_token"),
        *("accept_unset_model_ratio_model", "record_ip_log", "upstream_model_update_notify_enabled"),
        *("webhook_url", "notification_email", "bark_url", "gotify_url"),
    )
    values = {name: ask.body[name] for name in names if ask.body.get(name) is not None}
    if kind == "gotify":
        priority = ask.given("gotify_priority", 5)
        values["gotify_priority"] = priority if 0 <= priority <= 10 else 5
    people.put_setting(ask.worker.db, ask.user, values)
    return Answer(message="setting.updated", shown=True)


def _targets(ask: Ask, kind: str) -> None:
    """Where warnings go has to be an address of its kind."""
    email = ask.given("notification_email", "")
    if kind == "email" and email and not people.is_email(email):
        raise Told.of("setting.email")
    empty = {"webhook": "setting.webhook.empty", "bark": "setting.bark.empty", "gotify": "setting.gotify.url"}
    if kind in empty:
        url = ask.given(f"{kind}_url", "")
        if not url:
            raise Told.of(empty[kind])
        if not _is_url(url):
            raise Told.of(f"setting.{kind}")
    if kind == "gotify" and not ask.given("gotify_token"):
        raise Told.of("setting.gotify.token")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(text) < 2048


def own_groups(ask: Ask) -> Answer:
    """The groups that the caller may choose for keys."""
    group = ask.person.group if ask.person is not None else "default"
    return Answer(groups.usable(ask.worker.options, ask.worker.snapshot.groups, group), shown=True)


def own_models(ask: Ask) -> Answer:
    """The models of the caller's groups, or of one of them."""
    snapshot = ask.worker.snapshot
    names = groups.models(snapshot.table, snapshot.groups, ask.user.group, ask.query.get("group", ""))
    return Answer(names, shown=True)


def types(ask: Ask) -> Answer:
    """The models that a channel of each type has by itself."""
    return Answer(groups.by_type(ask.worker.snapshot.program))


def invitation(ask: Ask) -> Answer:
    """The own code for invitations."""
    return Answer(people.invitation_code(ask.worker.db, ask.user))


def transfer(ask: Ask) -> Answer:
    """Rewards become balance."""
    try:
        invitations.transfer(ask.worker.db, ask.user.id, ask.given("quota", 0))
    except (Conflict, Invalid) as error:
        raise Told.of("transfer.failed", what=str(error)) from None
    return Answer()


def _checkin_on(ask: Ask) -> tuple[int, int]:
    if not options.value_of(ask.worker.options, "checkin_setting.enabled"):
        raise Told.of("checkin.off")
    least = options.value_of(ask.worker.options, "checkin_setting.min_quota")
    return least, max(least, options.value_of(ask.worker.options, "checkin_setting.max_quota"))


def checked_in(ask: Ask) -> Answer:
    """What the caller was given for coming back, in a month."""
    least, most = _checkin_on(ask)
    stats = checkins.stats(ask.worker.db, ask.user.id, ask.query.get("month", ""))
    return Answer({"enabled": True, "min_quota": least, "max_quota": most, "stats": stats})


def check_in(ask: Ask) -> Answer:
    """Quota for coming back, once a day."""
    day, quota = checkins.check_in(ask.worker.db, ask.user.id, *_checkin_on(ask))
    return Answer({"quota_awarded": quota, "checkin_date": day}, message="checkin.done")


def bind_email(ask: Ask) -> Answer:
    """Make an address the caller's, for the code that was mailed to it."""
    db, email, code = ask.worker.db, ask.given("email", "")[:254], ask.given("code", "")
    mailed.check_code(db, email, code)
    people.bind_email(db, ask.user, email)
    mailed.use(db, email, code)
    return Answer()


_SETTING: dict[str, Any] = {
    **dict.fromkeys(
        ("notify_type", "webhook_url", "webhook_secret", "notification_email", "bark_url", "gotify_url"), str
    ),
    "gotify_token": str,
    "gotify_priority": int,
    "quota_warning_threshold": float,
    **dict.fromkeys(("accept_unset_model_ratio_model", "record_ip_log", "upstream_model_update_notify_enabled"), bool),
}
_SELF = dict.fromkeys(("username", "display_name", "password", "original_password", "sidebar_modules", "language"), str)
ROUTES = (
    Route("GET", "/api/user/self", USER, show),
    Route("PUT", "/api/user/self", USER, change, _SELF),
    Route("DELETE", "/api/user/self", USER, leave),
    Route("PUT", "/api/user/setting", USER, put_setting, _SETTING),
    Route("GET", "/api/user/groups", NOBODY, own_groups),
    Route("GET", "/api/user/self/groups", USER, own_groups),
    Route("GET", "/api/user/models", USER, own_models),
    Route("GET", "/api/models", USER, types),
    Route("GET", "/api/user/aff", USER, invitation),
    Route("POST", "/api/user/aff_transfer", USER, transfer, {"quota": int}),
    Route("GET", "/api/user/checkin", USER, checked_in),
    Route("POST", "/api/user/checkin", USER, check_in),
    Route("POST", "/api/oauth/email/bind", USER, bind_email, {"email": str, "code": str}),
)
