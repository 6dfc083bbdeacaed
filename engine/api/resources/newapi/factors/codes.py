"""Codes as a second factor: of an app, and backup codes."""

from __future__ import annotations

from engine.accounts import sessions
from engine.accounts.factors import codes, proofs
from engine.api.resources.newapi.logins import alone, begun, halfway, reset_factor
from engine.api.rights import prove
from engine.api.route import ADMIN, NOBODY, USER, Answer, Ask, Route
from engine.catalogue import options
from engine.storage.rows import factors, people


def state(ask: Ask) -> Answer:
    """Whether the caller has one."""
    return Answer(codes.state(ask.worker.db, ask.user.id))


def set_up(ask: Ask) -> Answer:
    """A secret for an app, not in force yet."""
    if codes.enabled(ask.worker.db, ask.user.id) is None:  # else it is refused anyway
        prove(ask, proofs.SET_UP)
    issuer = str(options.value_of(ask.worker.options, "SystemName") or "gatewright")
    return Answer(codes.set_up(ask.worker.db, ask.user, issuer), message="success")


def enable(ask: Ask) -> Answer:
    """Put it in force; other logins end."""
    codes.switch_on(ask.worker.db, ask.user.id, ask.given("code", ""))
    return Answer(alone(ask), message="success")


def disable(ask: Ask) -> Answer:
    """Forget it, for a code; other logins end."""
    codes.check(ask.worker.db, ask.user.id, ask.given("code", ""))
    codes.switch_off(ask.worker.db, ask.user.id)
    return Answer(alone(ask), message="success")


def fresh(ask: Ask) -> Answer:
    """New backup codes: for a code of the app, or a proof, where there are passkeys alone."""
    db, which = ask.worker.db, ask.user.id
    if codes.enabled(db, which) is None and proofs.asked(db, which):
        prove(ask, proofs.BACKUP)
    else:
        codes.check(db, which, ask.given("code", ""), backup=False)
    return Answer({**alone(ask), "backup_codes": codes.fresh_codes(db, which)}, message="success")


def stats(ask: Ask) -> Answer:
    """How many users have one."""
    enabled, total = factors.count(ask.worker.db), people.count(ask.worker.db)
    rate = f"{100 * enabled / total:.1f}%" if total else "0.0%"
    return Answer({"total_users": total, "enabled_users": enabled, "enabled_rate": rate})


def admin_off(ask: Ask) -> Answer:
    """Take a user's away; all its logins end."""
    return reset_factor(ask, codes.switch_off)


def login(ask: Ask) -> Answer:
    """The second half of a login."""
    user = halfway(ask, ask.given("flow_token", ""))
    codes.check(ask.worker.db, user["id"], ask.given("code", ""))
    return begun(ask, sessions.begin(ask.worker.db, user, "2fa", ask.ip, ask.agent))


_CODE = {"code": str}
ROUTES = (
    Route("GET", "/api/user/2fa/status", USER, state),
    Route("POST", "/api/user/2fa/setup", USER, set_up, session=True),
    Route("POST", "/api/user/2fa/enable", USER, enable, _CODE, session=True),
    Route("POST", "/api/user/2fa/disable", USER, disable, _CODE, session=True),
    Route("POST", "/api/user/2fa/backup_codes", USER, fresh, _CODE, session=True),
    Route("GET", "/api/user/2fa/stats", ADMIN, stats, right="user.read"),
    Route("DELETE", "/api/user/:id/2fa", ADMIN, admin_off, right="user.write"),
    Route("POST", "/api/user/login/2fa", NOBODY, login, {"code": str, "flow_token": str}),
)
