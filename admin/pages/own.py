"""What concerns who looks alone: the profile; and the palette that finds pages, channels, keys, settings."""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Mapping
from typing import Any

from admin import areas, forms, shell
from admin.forms import words_of
from admin.pages import gate
from admin.pages.notices import event_words
from admin.view import USER, Moved, Page, Result, Sent, Shown, View
from admin.words import gettext
from engine.accounts import people
from engine.catalogue import options
from engine.errors import Conflict, Forbidden, Invalid
from engine.storage.rows import people as rows

_FAULTS = (Invalid, Conflict, Forbidden)
_MOST = 20


def profile(view: View, status: int = 200, *, toast_of: str = "", **more: Any) -> Shown:
    """Name, password, second factors, sessions, notices."""
    values = {
        "me": view.api("GET", "/api/user/self"),
        "setting": view.user.setting,
        "choice": view.api("GET", "/api/v2/me/notices"),
        "event_words": event_words(),
        "factor": view.api("GET", "/api/user/2fa/status"),
        "sessions": view.api("GET", "/api/user/sessions"),
        "passkeys": view.api("GET", "/api/user/passkey")["passkeys"],
        "passkeys_on": options.value_of(view.worker.options, "passkey.enabled"),
        "setup": None,
        "codes": None,
        "ways": _ways(view),
        "first": not view.user.row.get("password"),
        "token": "",
        "entries": [] if view.root else shell.own_entries(view),
        "checkin": _checkin(view),
        "twin": "/api/user/self",
    }
    return Shown("profile.html", {**values, **more}, status, toast=toast_of)


def _checkin(view: View) -> dict[str, Any] | None:
    """The calendar of a month with what was given on each day, where coming back is rewarded."""
    if not options.value_of(view.worker.options, "checkin_setting.enabled"):
        return None
    today = datetime.datetime.now(datetime.UTC).date()
    asked = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", view.query.get("month", ""))
    first = datetime.date(int(asked[1]), int(asked[2]), 1) if asked else today.replace(day=1)
    data = view.api("GET", "/api/user/checkin", month=f"{first:%Y-%m}")
    given = {row["checkin_date"]: row["quota_awarded"] for row in data["stats"]["records"]}
    length = calendar.monthrange(first.year, first.month)[1]
    days = [first + datetime.timedelta(days=number) for number in range(length)]
    return {
        **data,
        "month": f"{first:%Y-%m}",
        "blank": first.weekday(),
        "days": [(day.day, given.get(day.isoformat()), day == today, day > today) for day in days],
        "before": f"{first - datetime.timedelta(days=1):%Y-%m}",
        "after": f"{days[-1] + datetime.timedelta(days=1):%Y-%m}" if days[-1] < today else "",
    }


def _ways(view: View) -> list[dict[str, Any]]:
    """The outside logins that are on or bound, with what is bound."""
    bound = {row["provider_slug"]: row for row in view.api("GET", "/api/user/oauth/bindings")}
    on = [login for login in view.api("GET", "/api/status").get("logins", []) if login["way"] != "proof"]
    rows = [{**login, "bound": bound.pop(login["name"], None)} for login in on]
    return [*rows, *({"title": row["provider_name"], "name": name, "bound": row} for name, row in bound.items())]


def bind(view: View) -> Result:
    """Bind an outside identity: by going there, or by a code that one has."""
    name = view.path["provider"]
    try:
        if "code" in view.form:
            view.api("POST", f"/api/oauth/{name}/bind", {"code": view.form["code"].strip()})
            return Moved("/console/profile")
        data = view.api("POST", "/api/oauth/state", {"provider": name, "intent": "bind", "authorize": True})
    except _FAULTS as error:
        return profile(view, 422, faults={"ways": view.words(error)})
    return Moved(data["authorize_url"]) if view.fragment else gate.leaving(view, data["authorize_url"])


def change(view: View) -> Result:
    """The own name and password."""
    form = view.form
    body = {
        name: form[name] for name in ("username", "display_name", "password", "original_password") if form.get(name)
    }
    try:
        view.api("PUT", "/api/user/self", body)
    except _FAULTS as error:
        return profile(
            view,
            422,
            faults=forms.faults(view, error, "original_password" if "password" in body else "username"),
            form=form,
        )
    shown = profile(view)
    shown.values["first"] = shown.values["first"] and "password" not in body
    shown.toast = gettext("Saved")
    return shown


def notices(view: View) -> Result:
    """How to be told, of what, and what is kept in the log."""
    form = view.form
    ways = {way["name"]: way for way in view.api("GET", "/api/v2/me/notices")["ways"]}
    way = ways.get(form.get("way", ""), {"setting": {}})
    try:
        setting = {name: _typed(form[name], kind) for name, kind in way["setting"].items() if _sent(form, name, kind)}
        events = {name: f"event:{name}" in form for name in words_of(form.get("events", ""))}
        body = {"way": form.get("way", ""), "setting": setting, "events": events}
        view.api(
            "PATCH", "/api/v2/me/notices", {**body, "threshold": forms.quota(view, "threshold", form["threshold"])}
        )
        switches = {name: name in form for name in ("accept_unset_model_ratio_model", "record_ip_log")}
        people.put_setting(view.worker.db, _fresh(view), switches)
    except _FAULTS as error:
        return profile(view, 422, faults=forms.faults(view, error, "way"), form=form)
    return Moved("/console/profile")


def _sent(form: Mapping[str, str], name: str, kind: str) -> bool:
    """Whether a member of a way was typed: a secret that was left empty stays as it is."""
    return name in form and (kind != "secret" or bool(form[name]))


def _typed(text: str, kind: str) -> Any:
    text = text.strip()
    return int(text) if kind == "number" and text.isascii() and text.isdigit() and len(text) < 10 else text


def _fresh(view: View) -> people.Person:
    """Who looks, as the row is now."""
    row = rows.by_id(view.worker.db, view.user.id)
    return people.Person(row) if row is not None else view.user


def side(view: View) -> Result:
    """Which entries of the side are shown to who looks."""
    shown = {entry.key for entry, _ in shell.own_entries(view) if f"entry:{entry.key}" in view.form}
    view.api("PUT", "/api/user/self", {"sidebar_modules": shell.modules_of(shown)})
    return Moved("/console/profile#side")


def check_in(view: View) -> Result:
    """The reward of the day."""
    try:
        view.api("POST", "/api/user/checkin")
    except _FAULTS as error:
        return profile(view, 422, faults={"checkin": view.words(error)})
    return Moved("/console/profile#checkin")


def attempt(view: View) -> Result:
    """A notice is sent now, on the way that was chosen."""
    tried = view.api("POST", "/api/v2/me/notices/test")
    if tried["sent"]:
        return Shown("", toast=gettext("Sent"))
    return Shown("", toast=gettext("Not sent: %(why)s") % {"why": tried["error"]})


def act(view: View) -> Result:
    """A session ended, a token made, a second factor set up or taken away, the account erased."""
    verb, form = view.path["verb"], view.form
    try:
        if verb == "session":
            view.api("DELETE", f"/api/user/sessions/{form.get('sid', '')}")
        elif verb == "sessions":
            view.api("POST", "/api/user/sessions/revoke-others")
        elif verb == "ways":
            view.api("DELETE", f"/api/user/oauth/bindings/{form.get('provider', '')}")
        elif verb == "token":
            return Sent(str(view.api("GET", "/api/user/token")))
        elif verb == "factor":
            return profile(view, setup=view.api("POST", "/api/user/2fa/setup"))
        elif verb in ("factor-on", "factor-off"):
            route = "enable" if verb == "factor-on" else "disable"
            view.api("POST", f"/api/user/2fa/{route}", {"code": form.get("code", "").strip()})
        elif verb == "erase":
            if form.get("name") != view.user.username:
                raise Invalid("erase", gettext("Type your name to erase the account"))
            view.api("DELETE", "/api/user/self")
            return Moved("/console/login")
        else:
            raise Conflict(verb)
    except _FAULTS as error:
        return profile(
            view, 422, faults={verb: view.words(error), "erase": view.words(error) if verb == "erase" else ""}
        )
    return Moved("/console/profile")


def export(view: View) -> Result:
    """All that is kept of who looks, as a file."""
    answer = view.answer("GET", "/api/v2/me/export")
    return Sent(answer.stream, headers=answer.headers)


def palette(view: View) -> Result:
    """Rows of the palette for what was typed."""
    word = view.query.get("q", "").strip().lower()
    entries = [entry for _, group in shell.entries(view) for entry in group]
    pages = [
        (gettext(entry.label), entry.address, entry.icon, f"G {entry.letter}" if entry.letter else "")
        for entry in entries
        if _fits(word, entry.key, entry.label)
    ]
    acts = [row for row in _acts(view) if _fits(word, row[0], row[1])]
    matches = _found(view, word) if word else []
    return Shown("palette.html", {"pages": pages, "acts": acts[:6], "found": matches[: _MOST - 4]})


def _fits(word: str, *texts: str) -> bool:
    names = [*texts, *(gettext(text) for text in texts), *(areas.SYNONYMS.get(text.lower(), "") for text in texts)]
    return not word or any(word in name.lower() for name in names if name)


def _acts(view: View) -> list[tuple[str, str, str, str]]:
    acts = [(gettext("Create a key"), "/console/keys", "plus", "")]
    if view.root:
        acts = [
            (gettext("Add a channel"), "/console/channels", "plus", ""),
            *acts,
            (gettext("New document"), "/console/documents/new", "code", ""),
        ]
    if view.admin:
        acts += [
            (gettext("Models without a price"), "/console/models?view=unpriced", "model", ""),
            (gettext("Failed calls"), "/console/logs?kind=5", "logs", ""),
        ]
    return acts


def _found(view: View, word: str) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    if view.admin:
        channels = view.api("GET", "/api/channel/search", keyword=word, page_size=6)["items"]
        rows += [(row["name"], f"/console/channels/{row['id']}", "chan", f"#{row['id']}") for row in channels]
        users = view.api("GET", "/api/user/search", keyword=word, page_size=5)["items"]
        rows += [(row["username"], f"/console/users/{row['id']}", "users", row["group"]) for row in users]
    keys = (
        view.api("GET", "/api/token/search", keyword=f"%{word}%", page_size=5)["items"]
        if len(word) > 1 and "%" not in word
        else []
    )
    rows += [(row["name"], f"/console/keys/{row['id']}", "key", f"…{row['key'][-4:]}") for row in keys]
    if len(word) >= 20 and word.isalnum():
        rows.insert(0, (word, f"/console/logs/{word}", "logs", gettext("request id")))
    if view.root:
        rows += [
            (setting.label, f"/console/settings/{setting.area}?q={setting.name}", "gear", setting.name)
            for setting in areas.search(word)[:8]
        ]
    return rows


PAGES = (
    Page("GET", "/console/profile", USER, profile),
    Page("POST", "/console/profile", USER, change),
    Page("GET", "/console/profile/export", USER, export),
    Page("POST", "/console/profile/bind/:provider", USER, bind),
    Page("POST", "/console/profile/notices", USER, notices),
    Page("POST", "/console/profile/side", USER, side),
    Page("POST", "/console/profile/checkin", USER, check_in),
    Page("POST", "/console/profile/notices/test", USER, attempt),
    Page("POST", "/console/profile/do/:verb", USER, act),
    Page("GET", "/console/palette", USER, palette),
)
