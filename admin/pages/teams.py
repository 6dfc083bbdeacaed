"""Teams: those that one is in; and one of them with its people, keys, projects, tags, budgets, money and use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from admin import forms
from admin.pages import plans
from admin.view import USER, Moved, Page, Result, Shown, View
from admin.words import gettext
from engine.errors import Conflict, Forbidden, Invalid, NotFound

_FAULTS = (Invalid, Conflict, Forbidden, NotFound)
_API = "/api/v2/teams"


def role_words() -> dict[str, str]:
    """What roles in a team are called."""
    return {"owner": gettext("Owner"), "administrator": gettext("Administrator"), "member": gettext("Member")}


def periods() -> dict[str, str]:
    """How often a budget begins anew, in words."""
    return {"day": gettext("every day"), "week": gettext("every week"), "month": gettext("every month")}


def holders() -> dict[str, str]:
    """What a budget bounds, in words."""
    return {
        "team": gettext("Team"),
        "member": gettext("Member"),
        "project": gettext("Project"),
        "tag": gettext("Tag"),
        "key": gettext("API key"),
    }


def _items(view: View, path: str) -> list[dict[str, Any]]:
    return list(view.api("GET", path))


def listed(view: View, status: int = 200, **more: Any) -> Shown:
    """The teams that one is in or invited to; for administrators of the gateway beside them all others."""
    mine = _items(view, _API)
    others: list[dict[str, Any]] = []
    if view.admin:
        try:
            names = {row["id"] for row in mine}
            others = [row for row in _items(view, f"{_API}/all") if row["id"] not in names]
        except Forbidden:
            others = []
    values = {"rows": mine, "others": others, "roles": role_words(), "twin": _API, "faults": {}, "form": {}}
    return Shown("teams.html", {**values, **more}, status)


def create(view: View) -> Result:
    """Make a team and go to it."""
    name = view.form.get("name", "").strip()
    body = {"name": name, "title": view.form.get("title", "").strip() or name}
    try:
        row = view.api("POST", _API, body)
    except _FAULTS as error:
        return listed(view, 422, faults=forms.faults(view, error, "name"), form=view.form)
    return Moved(f"/console/teams/{row['id']}")


def one(view: View, status: int = 200, **more: Any) -> Shown:
    """A team, as far as one sees it."""
    place = f"{_API}/{view.number()}"
    team = view.api("GET", place)
    budgets = [{**row, "share": _share(row)} for row in _items(view, f"{place}/budgets")]
    values = {
        "team": team,
        "roles": role_words(),
        "periods": periods(),
        "holders": holders(),
        "members": _items(view, f"{place}/members"),
        "keys": _items(view, f"{place}/keys"),
        "projects": _items(view, f"{place}/projects"),
        "tags": _items(view, f"{place}/tags"),
        "budgets": budgets,
        "use": _by_member(_items(view, f"{place}/usage")),
        "offered": _offered(view) if "wallet" in team["may"] else [],
        "key": None,
        "twin": place,
        "faults": {},
        "form": {},
    }
    return Shown("team.html", {**values, **more}, status)


def _share(row: dict[str, Any]) -> float:
    return round(min(100.0, 100 * int(row["used"]) / max(1, int(row["amount"]) + int(row["carried"]))), 1)


def _by_member(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Use by member and project, the most first."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        place = (row["member"], row["project"])
        line = sums.setdefault(place, {"member": place[0], "project": place[1], "calls": 0, "quota": 0, "tokens": 0})
        for name in ("calls", "quota", "tokens"):
            line[name] += row[name]
    return sorted(sums.values(), key=lambda line: -line["quota"])


def _offered(view: View) -> list[dict[str, Any]]:
    rows = [each["plan"] for each in view.api("GET", "/api/subscription/plans")]
    return [plans.worded(row) for row in rows if row["allow_balance_pay"]]


def act(view: View) -> Result:
    """Do what a form of the page asks for; the page again, with what it says."""
    place, do = f"{_API}/{view.number()}", _ACTS.get(view.path["act"])
    if do is None:
        raise NotFound("there is no such action")
    try:
        result = do(view, place)
    except _FAULTS as error:
        return one(view, 422, faults={view.path["act"]: view.words(error)}, form=view.form)
    if isinstance(result, dict):
        return one(view, key=result)
    return Moved(result or f"/console/teams/{view.number()}")


def _join(view: View, place: str) -> None:
    view.api("POST", f"{place}/invitation")


def _decline(view: View, place: str) -> str:
    view.api("DELETE", f"{place}/invitation")
    return "/console/teams"


def _invite(view: View, place: str) -> None:
    body = {"username": view.form.get("username", "").strip(), "role": view.form.get("role", "member")}
    view.api("POST", f"{place}/members", body)


def _member(view: View, place: str) -> str | None:
    which, role = view.form.get("member", "0"), view.form.get("role", "")
    if role:
        view.api("PATCH", f"{place}/members/{which}", {"role": role})
        return None
    view.api("DELETE", f"{place}/members/{which}")
    return "/console/teams" if view.form.get("me") else None


def _key(view: View, place: str) -> dict[str, Any] | None:
    form, which = view.form, view.form.get("key", "")
    if form.get("delete"):
        view.api("DELETE", f"{place}/keys/{which}")
        return None
    if which:
        view.api("PATCH", f"{place}/keys/{which}", {"status": form.get("status", "disabled")})
        return None
    body: dict[str, Any] = {"name": form.get("name", "").strip(), "unlimited": True, "own": "own" in form}
    body |= {"project": form.get("project", ""), "tags": forms.words_of(form.get("tags", ""))}
    return dict(view.api("POST", f"{place}/keys", body))


def _label(view: View, place: str) -> None:
    kind = "tags" if view.form.get("kind") == "tag" else "projects"
    if view.form.get("delete"):
        view.api("DELETE", f"{place}/{kind}/{view.form['delete']}")
    else:
        view.api("POST", f"{place}/{kind}", {"name": view.form.get("name", "").strip()})


def _budget(view: View, place: str) -> None:
    form = view.form
    if form.get("delete"):
        view.api("DELETE", f"{place}/budgets/{form['delete']}")
        return
    holder, _, which = form.get("whose", "team").partition(":")
    body: dict[str, Any] = {"holder": holder, "period": form.get("period", "month"), "unit": "quota"}
    body |= {"amount": forms.quota(view, "amount", form.get("amount", ""))}
    body |= {"rollover": forms.whole("rollover", form.get("rollover", ""))}
    view.api("POST", f"{place}/budgets", {**body, **({"holder_id": int(which)} if which.isdigit() else {})})


def _money(view: View, place: str) -> None:
    amount = forms.quota(view, "amount", view.form.get("amount", ""))
    view.api("POST", f"{place}/transfers", {"direction": view.form.get("direction", "in"), "amount": amount})


def _code(view: View, place: str) -> None:
    view.api("POST", "/api/user/topup", {"key": view.form.get("code", "").strip(), "team": view.number()})


def _plan(view: View, place: str) -> None:
    which = forms.whole("plan", view.form.get("plan", ""))
    view.api("POST", "/api/subscription/balance/pay", {"plan_id": which, "team": view.number()})


def _end(view: View, place: str) -> str:
    if view.form.get("name", "").strip() != view.api("GET", place)["name"]:
        raise Invalid("name", gettext("Write the team's name to end it"))
    view.api("DELETE", place)
    return "/console/teams"


_ACTS: dict[str, Callable[[View, str], Any]] = {
    "join": _join,
    "decline": _decline,
    "invite": _invite,
    "member": _member,
    "key": _key,
    "label": _label,
    "budget": _budget,
    "money": _money,
    "code": _code,
    "plan": _plan,
    "end": _end,
}

PAGES = (
    Page("GET", "/console/teams", USER, listed),
    Page("POST", "/console/teams", USER, create),
    Page("GET", "/console/teams/:id", USER, one),
    Page("POST", "/console/teams/:id/:act", USER, act),
)
