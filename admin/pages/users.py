"""Users: the table, the drawer of one, quota with before and after, and what may be done to one."""

from __future__ import annotations

from typing import Any

from admin import figures, forms
from admin.pages import plans
from admin.view import ADMIN, Moved, Page, Result, Sent, Shown, View
from admin.words import gettext
from engine.catalogue import groups
from engine.errors import Conflict, Forbidden, Invalid
from engine.storage.rows.api import teams

_FAULTS = (Invalid, Conflict, Forbidden)
_SIZE = 100
_ON = 1
_VERBS = ("promote", "demote", "enable", "disable")


def roles() -> list[tuple[int, str]]:
    """Roles in words."""
    return [(1, gettext("User")), (10, gettext("Administrator")), (100, gettext("Root"))]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    total = row["quota"] + row["used_quota"]
    words = dict(roles())
    if row["DeletedAt"]:
        kind, word = "off", gettext("Deleted")
    elif row["status"] == _ON:
        kind, word = "ok", gettext("Enabled")
    else:
        kind, word = "off", gettext("Disabled")
    left = 100 * row["quota"] / total if total > 0 else 0
    return {
        **row,
        "kind": kind,
        "word": word,
        "left": max(0, left),
        "role_word": words.get(row["role"], str(row["role"])),
    }


def listed(view: View, **more: Any) -> Shown:
    """The table."""
    q = view.query
    page = int(q["p"]) if q.get("p", "").isdigit() else 1
    filters = {
        "keyword": q.get("q", ""),
        "group": q.get("group", ""),
        "role": q.get("role", ""),
        "status": q.get("state", ""),
    }
    data = view.api("GET", "/api/user/search", **filters, p=page, page_size=_SIZE)
    values = {
        "rows": [_shown(row) for row in data["items"]],
        "teams": {row["id"] for row in teams.listed(view.worker.db)},
        "total": data["total"],
        "groups": sorted(groups.ratios(view.worker.options)),
        "roles": roles(),
        "page": page,
        "size": _SIZE,
        "open": None,
        "twin": "/api/user/",
    }
    return Shown("users.html", {**values, **more})


def drawer(view: View, **more: Any) -> dict[str, Any]:
    """What the drawer of a user holds."""
    row = view.api("GET", f"/api/user/{view.number()}")
    bound = [(name, row[f"{name}_id"]) for name in ("github", "discord", "oidc", "wechat", "telegram", "linux_do")]
    values = {
        "row": _shown(row),
        "groups": sorted(groups.ratios(view.worker.options)),
        "bindings": [(name, value) for name, value in [("email", row["email"]), *bound] if value],
        "before": row["quota"],
        "plans": plans.of_user(view, view.number()),
        "titles": plans.titles(view),
    }
    return {**values, **more}


def one(view: View) -> Result:
    """The drawer of one user."""
    values = drawer(view)
    return Shown("user.html", values) if view.beside else listed(view, open=values)


def new(view: View) -> Result:
    """The dialog for a new user."""
    return Shown("user_new.html", {"roles": roles()[: 2 if view.root else 1]})


def create(view: View) -> Result:
    """Make a user."""
    form = view.form
    try:
        body = {name: form.get(name, "") for name in ("username", "password", "display_name")}
        user = view.api("POST", "/api/user/", {**body, "role": forms.whole("role", form.get("role", "1"), 1)})
    except _FAULTS as error:
        values = {
            "roles": roles()[: 2 if view.root else 1],
            "faults": forms.faults(view, error, "username"),
            "form": form,
        }
        return Shown("user_new.html", values, 422)
    return Moved(f"/console/users/{user['id']}")


def save(view: View) -> Result:
    """What was changed in the drawer."""
    names = ("username", "display_name", "group", "remark")
    body: dict[str, Any] = {name: view.form[name] for name in names if name in view.form}
    if view.form.get("password"):
        body["password"] = view.form["password"]
    try:
        view.api("PUT", "/api/user/", {"id": view.number(), **body})
    except _FAULTS as error:
        values = drawer(view, faults=forms.faults(view, error, "username"), form=view.form, tab="edit")
        return Shown("user.html", values, 422)
    return Shown("user.html", drawer(view, tab="edit"), toast=gettext("Saved"), fresh=True)


def quota(view: View) -> Result:
    """Add to a balance, take from it, set it."""
    which, mode = view.number(), view.form.get("mode", "add")
    before = view.api("GET", f"/api/user/{which}")
    try:
        value = forms.quota(view, "amount", view.form.get("amount", ""))
        body = {"id": which, "action": "add_quota", "mode": mode, "value": value}
        body["reason"] = view.form.get("reason", "").strip()[:150]
        after = view.api("POST", "/api/user/manage", body)["balance"]
    except _FAULTS as error:
        return Shown("user.html", drawer(view, faults={"amount": view.words(error)}, form=view.form, tab="quota"), 422)
    words = (
        f"{before['username']}: {figures.dollars(before['quota'] / view.unit)} → {figures.dollars(after / view.unit)}"
    )
    undo = {"mode": "override", "amount": before["quota"] / view.unit, "reason": gettext("taken back")}
    return Shown(
        "user.html", drawer(view, tab="quota"), toast=words, undo=(f"/console/users/{which}/quota", undo), fresh=True
    )


def give(view: View) -> Result:
    """Give a user a plan."""
    body = {"plan_id": forms.whole("plan_id", view.form.get("plan_id", ""))}
    try:
        view.api("POST", f"/api/subscription/admin/users/{view.number()}/subscriptions", body)
    except _FAULTS as error:
        return Shown("user.html", drawer(view, faults={"plan_id": view.words(error)}, tab="plans"), 422)
    return Shown("user.html", drawer(view, tab="plans"), toast=gettext("Saved"), fresh=True)


def end(view: View) -> Result:
    """End a user's plan."""
    view.api("POST", f"/api/subscription/admin/user_subscriptions/{view.number('plan')}/invalidate")
    return Shown("user.html", drawer(view, tab="plans"), toast=gettext("Saved"), fresh=True)


def export(view: View) -> Result:
    """All that is kept of a user, as a file."""
    answer = view.answer("GET", f"/api/v2/users/{view.number()}/export")
    return Sent(answer.stream, headers=answer.headers)


def erase(view: View) -> Result:
    """Erase a user for good."""
    which = view.number()
    row = view.api("GET", f"/api/user/{which}")
    if view.form.get("name") != row["username"]:
        raise Invalid("name", gettext("Type the name to erase the user"))
    view.api("POST", f"/api/v2/users/{which}/erase")
    return Moved("/console/users")


def act(view: View) -> Result:
    """Off or on, promote, demote, delete, take an identity away."""
    which, verb = view.number(), view.path["verb"]
    if verb in _VERBS:
        view.api("POST", "/api/user/manage", {"id": which, "action": verb})
        return (
            Shown("user.html", drawer(view), toast=gettext("Saved"), fresh=True)
            if view.fragment == "drawer"
            else Shown("", toast=gettext("Saved"), fresh=True)
        )
    if verb == "unbind":
        view.api("DELETE", f"/api/user/{which}/bindings/{view.form.get('kind', '')}")
        return Shown("user.html", drawer(view), toast=gettext("Saved"))
    if verb == "second-factor":
        view.api("DELETE", f"/api/user/{which}/2fa")
        return Shown("user.html", drawer(view), toast=gettext("The second factor is off"))
    if verb == "passkeys":
        view.api("DELETE", f"/api/user/{which}/reset_passkey")
        return Shown("user.html", drawer(view), toast=gettext("The passkeys are gone"))
    if verb == "delete":
        row = view.api("GET", f"/api/user/{which}")
        if view.form.get("name") != row["username"]:
            raise Invalid("name", gettext("Type the name to delete the user"))
        view.api("POST", "/api/user/manage", {"id": which, "action": "delete"})
        return Moved("/console/users")
    raise Conflict(verb)


PAGES = (
    Page("GET", "/console/users", ADMIN, listed),
    Page("GET", "/console/users/new", ADMIN, new),
    Page("POST", "/console/users/new", ADMIN, create),
    Page("GET", "/console/users/:id", ADMIN, one),
    Page("POST", "/console/users/:id", ADMIN, save),
    Page("GET", "/console/users/:id/export", ADMIN, export),
    Page("POST", "/console/users/:id/quota", ADMIN, quota),
    Page("POST", "/console/users/:id/plans", ADMIN, give),
    Page("POST", "/console/users/:id/plans/:plan", ADMIN, end),
    Page("POST", "/console/users/:id/erase", ADMIN, erase),
    Page("POST", "/console/users/:id/:verb", ADMIN, act),
)
