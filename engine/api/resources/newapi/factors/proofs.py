"""The proof that somebody has just shown a second factor: for a code, or for a passkey."""

from __future__ import annotations

from engine.accounts.factors import codes, passkeys, proofs
from engine.accounts.factors.passkeys import VERIFY, Ceremony
from engine.api.refusals import Told
from engine.api.resources.newapi.factors.passkeys import party
from engine.api.route import USER, Answer, Ask, Route


def _scope(ask: Ask) -> str:
    scope = str(ask.given("scope", ""))
    if scope not in proofs.SCOPES:
        raise Told.of("invalid.field", field="scope", what=" or ".join(proofs.SCOPES))
    return scope


def _session(ask: Ask) -> str:
    return str(ask.session["sid"]) if ask.session is not None else ""


def by_code(ask: Ask) -> Answer:
    """For a code of an app, or a backup code."""
    db, which = ask.worker.db, ask.user.id
    if not proofs.methods(db, which):
        raise Told.of("factor.off")
    if ask.given("method") != "2fa":
        raise Told.of("invalid.field", field="method", what="2fa")
    scope = _scope(ask)
    codes.check(db, which, ask.given("code", ""))
    return Answer(proofs.make(ask.worker.secret, _session(ask), scope, "2fa"), message="success")


def begin(ask: Ask) -> Answer:
    """What a browser asks a passkey for."""
    ceremony = Ceremony(VERIFY, _session(ask), ask.user.id, _scope(ask))
    return Answer(passkeys.begin(ask.worker.db, ask.worker.secret, party(ask), ceremony))


def finish(ask: Ask) -> Answer:
    """For what it answered."""
    db, secret = ask.worker.db, ask.worker.secret
    ceremony = passkeys.taken(db, secret, ask.given("flow_token", ""), Ceremony(VERIFY, _session(ask)))
    passkeys.prove(db, party(ask), ceremony, ask.given("credential", {}))
    return Answer(proofs.make(secret, _session(ask), ceremony.scope, "passkey"), message="success")


ROUTES = (
    Route("POST", "/api/verify", USER, by_code, {"method": str, "code": str, "scope": str}, session=True, noted=False),
    Route("POST", "/api/user/passkey/verify/begin", USER, begin, {"scope": str}, session=True, noted=False),
    Route(
        "POST",
        "/api/user/passkey/verify/finish",
        USER,
        finish,
        {"flow_token": str, "credential": dict},
        session=True,
        noted=False,
    ),
)
