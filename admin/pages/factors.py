"""What concerns second factors: own passkeys, and the proof that a dangerous act needs."""

from __future__ import annotations

from admin.pages.gate import answered, ceremony
from admin.pages.own import profile
from admin.view import USER, Page, Result, Sent, View
from admin.words import gettext
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)


def begin(view: View) -> Result:
    """What the browser makes a passkey of."""
    return ceremony(view, "register/begin", {})


def add(view: View) -> Result:
    """Keep the passkey that it made; the first one comes with backup codes."""
    try:
        body = {**answered(view), "name": view.form.get("name", "").strip()}
        data = view.api("POST", "/api/user/passkey/register/finish", body)
    except _FAULTS as error:
        return profile(view, 422, faults={"passkey": view.words(error)}, form=view.form)
    return profile(view, codes=data.get("backup_codes"), toast_of=gettext("The passkey counts from now on"))


def rename(view: View) -> Result:
    """Give one another name."""
    try:
        view.api("PUT", f"/api/user/passkey/{view.number()}", {"name": view.form.get("name", "")})
    except _FAULTS as error:
        return profile(view, 422, faults={"passkey": view.words(error)})
    return profile(view, toast_of=gettext("Saved"))


def remove(view: View) -> Result:
    """Take one away."""
    try:
        view.api("DELETE", f"/api/user/passkey/{view.number()}")
    except _FAULTS as error:
        return profile(view, 422, faults={"passkey": view.words(error)})
    return profile(view, toast_of=gettext("The passkey is gone"))


def codes(view: View) -> Result:
    """New backup codes."""
    try:
        data = view.api("POST", "/api/user/2fa/backup_codes", {"code": view.form.get("code", "").strip()})
    except _FAULTS as error:
        return profile(view, 422, faults={"codes": view.words(error)})
    return profile(view, codes=data["backup_codes"])


def by_code(view: View) -> Result:
    """A proof for a code."""
    body = {"method": "2fa", "code": view.form.get("code", "").strip(), "scope": view.form.get("scope", "")}
    try:
        return Sent(str(view.api("POST", "/api/verify", body)["proof_token"]))
    except _FAULTS as error:
        return Sent(view.words(error), status=422)


def asked(view: View) -> Result:
    """What the browser asks a passkey for."""
    return ceremony(view, "verify/begin", {"scope": view.form.get("scope", "")})


def by_passkey(view: View) -> Result:
    """A proof for what it answered."""
    try:
        return Sent(str(view.api("POST", "/api/user/passkey/verify/finish", answered(view))["proof_token"]))
    except _FAULTS as error:
        return Sent(view.words(error), status=422)


PAGES = (
    Page("POST", "/console/profile/passkeys", USER, add),
    Page("POST", "/console/profile/passkeys/begin", USER, begin),
    Page("POST", "/console/profile/passkeys/:id/name", USER, rename),
    Page("POST", "/console/profile/passkeys/:id/remove", USER, remove),
    Page("POST", "/console/profile/codes", USER, codes),
    Page("POST", "/console/proof", USER, by_code),
    Page("POST", "/console/proof/begin", USER, asked),
    Page("POST", "/console/proof/finish", USER, by_passkey),
)
