"""What begins with an e-mail, before a session: the code of who registers, and a forgotten password."""

from __future__ import annotations

from urllib.parse import urlencode

from admin.pages.gate import attended, framed
from admin.view import NOBODY, Moved, Page, Result, View
from admin.words import gettext
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)


def code(view: View) -> Result:
    """A code for who registers: said beside the field, or on the card that comes again with its captcha."""
    whole = "register.html" if not view.fragment else "mailed.html"
    try:
        email = _address(view)
        view.api("GET", "/api/verification", email=email, **attended(view))
    except _FAULTS as error:
        return framed(view, whole, 422, faults={"email": view.words(error)})
    return framed(view, whole, mailed_to=email)


def _address(view: View) -> str:
    if not (email := view.form.get("email", "").strip()):
        raise Invalid("email", gettext("Write your address"))
    return email


def card(view: View) -> Result:
    """The card that asks for the address of who forgot the password."""
    return framed(view, "forgotten.html", sent=False)


def forgotten(view: View) -> Result:
    """A link is mailed; whether the address is known is not told."""
    try:
        view.api("GET", "/api/reset_password", email=_address(view), **attended(view))
    except _FAULTS as error:
        return framed(view, "forgotten.html", 422, sent=False, faults={"email": view.words(error)})
    return framed(view, "forgotten.html", sent=True)


def arrived(view: View) -> Result:
    """The address of the mailed link, which New API's pages have, too."""
    return Moved(f"/console/reset?{urlencode({name: view.query.get(name, '') for name in ('email', 'token')})}")


def choose(view: View) -> Result:
    """The card of the mailed link."""
    return framed(view, "reset.html")


def reset(view: View) -> Result:
    """The password that was chosen is set, and one signs in by it."""
    form = view.form
    if form.get("password") != form.get("again"):
        return framed(view, "reset.html", 422, faults={"again": gettext("The two passwords differ")})
    try:
        view.api("POST", "/api/user/reset", {name: form.get(name, "") for name in ("email", "token", "password")})
    except _FAULTS as error:
        return framed(view, "reset.html", 422, faults={"password": view.words(error)})
    return Moved("/console/login")


PAGES = (
    Page("POST", "/console/register/code", NOBODY, code, unsealed=True),
    Page("GET", "/console/forgotten", NOBODY, card),
    Page("POST", "/console/forgotten", NOBODY, forgotten, unsealed=True),
    Page("GET", "/user/reset", NOBODY, arrived),
    Page("GET", "/console/reset", NOBODY, choose),
    Page("POST", "/console/reset", NOBODY, reset, unsealed=True),
)
