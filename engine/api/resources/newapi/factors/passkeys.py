"""Passkeys: the caller's own, signing in by one, and as the second factor of a login."""

from __future__ import annotations

import datetime

from engine.accounts import sessions
from engine.accounts.factors import passkeys, proofs
from engine.accounts.factors.passkeys import LOGIN, REGISTER, Ceremony, Party
from engine.api.identity import BROWSER
from engine.api.refusals import Told
from engine.api.resources.newapi.logins import alone, begun, browser_of, cookie, halfway, reset_factor
from engine.api.rights import prove
from engine.api.route import ADMIN, NOBODY, USER, Answer, Ask, Route
from engine.catalogue import options

_PLACE = "passkey."


def party(ask: Ask) -> Party:
    """The relying party that the options make."""
    own = {name.removeprefix(_PLACE): text for name, text in ask.worker.options.items() if name.startswith(_PLACE)}
    home = str(options.value_of(ask.worker.options, "ServerAddress") or "")
    name = own.get("rp_display_name") or str(options.value_of(ask.worker.options, "SystemName") or "Gatewright")
    return passkeys.party(home, name, own)


def _on(ask: Ask) -> None:
    if not options.value_of(ask.worker.options, "passkey.enabled"):
        raise Told.of("passkey.off")


def _session(ask: Ask) -> str:
    return str(ask.session["sid"]) if ask.session is not None else ""


def state(ask: Ask) -> Answer:
    """The caller's passkeys."""
    listed = passkeys.listed(ask.worker.db, ask.user.id)
    data: dict[str, object] = {"enabled": bool(listed), "passkeys": listed}
    last = max((row["used_at"] for row in listed), default=0)
    if last:
        data["last_used_at"] = datetime.datetime.fromtimestamp(last, datetime.UTC).isoformat()
    return Answer(data)


def register(ask: Ask) -> Answer:
    """What a browser makes a passkey of; who has a second factor shows it first."""
    _on(ask)
    prove(ask, proofs.REGISTER)
    ceremony = Ceremony(REGISTER, _session(ask), ask.user.id)
    return Answer(passkeys.begin(ask.worker.db, ask.worker.secret, party(ask), ceremony))


def registered(ask: Ask) -> Answer:
    """Note what it made; other logins end."""
    _on(ask)
    db = ask.worker.db
    ceremony = passkeys.taken(db, ask.worker.secret, ask.given("flow_token", ""), Ceremony(REGISTER, _session(ask)))
    if ceremony.user != ask.user.id:
        raise Told.of("passkey.flow")
    backup = passkeys.register(db, party(ask), ceremony, ask.given("credential", {}), ask.given("name", ""))
    return Answer({**alone(ask), **({"backup_codes": backup} if backup else {})}, message="success")


def rename(ask: Ask) -> Answer:
    """Give one another name."""
    passkeys.rename(ask.worker.db, ask.user.id, ask.number(), ask.given("name", ""))
    return Answer()


def remove(ask: Ask) -> Answer:
    """Take one away, or all; other logins end."""
    which = ask.number() if ask.path else 0
    if not any(row["id"] == which or not which for row in passkeys.listed(ask.worker.db, ask.user.id)):
        raise Told.of("passkey.none")
    prove(ask, proofs.REMOVE, always=True)
    passkeys.remove(ask.worker.db, ask.user.id, which)
    return Answer(alone(ask))


def reset(ask: Ask) -> Answer:
    """Take all of a user of a lower role away; all its logins end."""
    return reset_factor(ask, passkeys.remove)


def begin(ask: Ask) -> Answer:
    """What a browser signs in by: any passkey, or one of the user whose login waits for a second factor."""
    halved = ask.given("flow_token")
    if halved is None:
        _on(ask)
    user = halfway(ask, str(halved))["id"] if halved is not None else 0
    browser = browser_of(ask)
    cookie(ask, BROWSER, browser, "/", 2 * passkeys.LASTS)  # as long as an outside login beside it
    return Answer(passkeys.begin(ask.worker.db, ask.worker.secret, party(ask), Ceremony(LOGIN, browser, user)))


def finish(ask: Ask) -> Answer:
    """A session for what it answered."""
    db = ask.worker.db
    ceremony = passkeys.taken(db, ask.worker.secret, ask.given("flow_token", ""), Ceremony(LOGIN, ask.browser))
    if not ceremony.user:
        _on(ask)
    user = passkeys.prove(db, party(ask), ceremony, ask.given("credential", {}))
    method = "2fa" if ceremony.user else "passkey"
    return begun(ask, sessions.begin(db, user, method, ask.ip, ask.agent))


_MADE = {"flow_token": str, "credential": dict}
ROUTES = (
    Route("GET", "/api/user/passkey", USER, state),
    Route("POST", "/api/user/passkey/register/begin", USER, register, session=True, noted=False),
    Route("POST", "/api/user/passkey/register/finish", USER, registered, {**_MADE, "name": str}, session=True),
    Route("PUT", "/api/user/passkey/:id", USER, rename, {"name": str}, session=True),
    Route("DELETE", "/api/user/passkey", USER, remove, session=True),
    Route("DELETE", "/api/user/passkey/:id", USER, remove, session=True),
    Route("DELETE", "/api/user/:id/reset_passkey", ADMIN, reset, right="user.write"),
    Route("POST", "/api/user/passkey/login/begin", NOBODY, begin, {}),
    Route("POST", "/api/user/passkey/login/finish", NOBODY, finish, _MADE),
)
