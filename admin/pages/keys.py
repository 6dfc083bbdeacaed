"""API keys: the table, the drawer of one, what a new one is used with; the key itself goes to the clipboard alone."""

from __future__ import annotations

import time
from difflib import get_close_matches
from typing import Any

from admin import figures, forms, snippets
from admin.view import USER, Moved, Page, Result, Sent, Shown, View
from admin.words import gettext, ngettext
from engine.catalogue import groups, options
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_SIZE = 100
_MOST = 100
_ON, _OFF = 1, 2


def state(view: View, row: dict[str, Any]) -> tuple[str, str]:
    """Kind and word of a key's state."""
    words = {2: ("off", gettext("Disabled")), 3: ("late", gettext("Expired")), 4: ("bad", gettext("Spent"))}
    if row["status"] in words:
        return words[row["status"]]
    total = row["remain_quota"] + row["used_quota"]
    if not row["unlimited_quota"] and row["remain_quota"] < total * 0.05:
        return "warn", gettext("Almost spent")
    return "ok", gettext("Enabled")


def _usable(view: View) -> dict[str, Any]:
    return groups.usable(view.worker.options, view.worker.snapshot.groups, view.user.group)


def _shown(view: View, row: dict[str, Any], usable: dict[str, Any]) -> dict[str, Any]:
    kind, word = state(view, row)
    total = row["remain_quota"] + row["used_quota"]
    watching = view.worker.snapshot.captures
    ratio = usable.get(row["group"], {}).get("ratio")
    return {
        **row,
        "kind": kind,
        "word": word,
        "tail": row["key"][-4:],
        "captured_until": watching.until(row["id"]) if watching is not None else 0,
        "ratio": f" × {figures.number(ratio)}" if isinstance(ratio, int | float) and ratio != 1 else "",
        "left": 100 * row["remain_quota"] / total if total else 0,
        "limits": [name for name in row["model_limits"].split(",") if name] if row["model_limits_enabled"] else [],
    }


def listed(view: View, **more: Any) -> Shown:
    """The table of the own keys."""
    q = view.query
    if q.get("q", "").startswith("sk-"):
        data = view.api("GET", "/api/token/search", token=q["q"], p=q.get("p", "1"), page_size=_SIZE)
    elif q.get("q"):
        data = view.api("GET", "/api/token/search", keyword=f"%{q['q']}%", p=q.get("p", "1"), page_size=_SIZE)
    else:
        data = view.api("GET", "/api/token/", p=q.get("p", "1"), page_size=_SIZE)
    usable = _usable(view)
    rows = [_shown(view, row, usable) for row in data["items"]]
    if q.get("state"):
        rows = [row for row in rows if row["kind"] == q["state"]]
    if q.get("group"):
        rows = [row for row in rows if row["group"] == q["group"]]
    values = {
        "rows": rows,
        "stats": data["stats"],
        "usable": usable,
        "open": None,
        "page": int(q["p"]) if q.get("p", "").isdigit() else 1,
        "size": _SIZE,
        "total": data["total"],
        "twin": "/api/token/",
    }
    return Shown("keys.html", {**values, **more})


def drawer(view: View, which: int, **more: Any) -> dict[str, Any]:
    """What the drawer of a key holds."""
    row = _shown(view, view.api("GET", f"/api/token/{which}"), _usable(view))
    row["tags"] = view.api("GET", f"/api/v2/keys/{which}")["call_tags"]
    row["bounds"] = [_bound(one) for one in view.api("GET", f"/api/v2/keys/{which}/limits")]
    models = view.api("GET", "/api/user/models")
    calls = view.api(
        "GET", "/api/log/self", token_name=row["name"], page_size=5, start_timestamp=int(time.time()) - 86_400
    )
    model = (row["limits"] or models or ["MODEL"])[0]
    return {
        "row": row,
        "usable": _usable(view),
        "models": models,
        "calls": calls["items"] if row["name"] else [],
        "snippets": snippets.of(view.origin, f"sk-…{row['tail']}", model),
        "chats": chats(view),
        "fresh": False,
        "once": "",
        "hashed": view.worker.db.keys.hashed,
        **more,
    }


def _bound(bound: dict[str, Any]) -> dict[str, Any]:
    """What binds a key, in words."""
    names = {
        "key": gettext("Quota"),
        "balance": gettext("Balance"),
        "plan": gettext("Plan"),
        "budget": gettext("Budget"),
    }
    units = {
        "tokens": gettext("tokens"),
        "requests": gettext("requests"),
        "served": gettext("answered requests"),
        "parallel": gettext("calls at once"),
    }
    whose = " · ".join([bound["source"], *bound["by"]])
    most, left = bound["most"], bound["left"]
    share = 100 * (most - left) / most if most and left is not None else 0
    words = {"word": names.get(bound["kind"], bound["name"]), "unit": units.get(bound["counts"], ""), "whose": whose}
    return {**bound, **words, "share": share}


def chats(view: View) -> list[tuple[str, str]]:
    """The links of the option Chats that open a client with a key."""
    listed_chats = options.value_of(view.worker.options, "Chats") or []
    return [(str(name), str(link)) for entry in listed_chats if isinstance(entry, dict) for name, link in entry.items()]


def one(view: View) -> Result:
    """The drawer of one key."""
    values = drawer(view, view.number())
    return Shown("key.html", values) if view.beside else listed(view, open=values)


def new(view: View) -> Result:
    """The dialog for a new key."""
    return Shown(
        "key_new.html", {"usable": _usable(view), "models": view.api("GET", "/api/user/models"), "form": view.form}
    )


def _body(view: View) -> dict[str, Any]:
    form = view.form
    amount = form.get("quota", "").strip()
    models = forms.words_of(form.get("models", ""))
    served = set(view.api("GET", "/api/user/models"))
    for name in models:
        if served and name not in served:
            near = next(iter(get_close_matches(name, served, 1)), "")
            hint = (
                gettext("%(name)s is no model of yours. Nearest: %(near)s")
                if near
                else gettext("%(name)s is no model of yours")
            )
            raise Invalid("models", hint % {"name": name, "near": near})
    body: dict[str, Any] = {
        "name": form.get("name", "").strip(),
        "group": form.get("group", ""),
        "unlimited_quota": not amount,
        "model_limits": ",".join(models),
        "model_limits_enabled": bool(models),
        "allow_ips": "\n".join(forms.words_of(form.get("networks", ""))),
        "cross_group_retry": "retry" in form,
        "call_tags": ",".join(forms.words_of(form.get("tags", ""))),
    }
    if amount:
        body["remain_quota"] = forms.quota(view, "quota", amount)
    if form.get("expires"):
        body["expired_time"] = forms.until("expires", form["expires"], form.get("date", ""))
    return body


def create(view: View) -> Result:
    """Make a key; its drawer tells how to use it."""
    try:
        if not view.form.get("name", "").strip():
            raise Invalid("name", gettext("Give it a name"))
        count = forms.whole("count", view.form.get("count", ""), 1)
        if not 1 <= count <= _MOST:
            raise Invalid("count", gettext("Write a number from 1 to %(most)s") % {"most": _MOST})
        body = _body(view)
        numbered = [f"{body['name']}-{number}" for number in range(1, count + 1)] if count > 1 else [body["name"]]
        keys = [view.api("POST", "/api/token/", {**body, "name": name}) for name in numbered]
    except _FAULTS as error:
        values = {"usable": _usable(view), "models": view.api("GET", "/api/user/models"), "form": view.form}
        return Shown("key_new.html", {**values, "faults": forms.faults(view, error, "name")}, 422)
    if view.worker.db.keys.hashed:
        return _once(view, keys[0]["id"], [key["key"] for key in keys])
    return Moved(f"/console/keys/{keys[0]['id']}?new=1" if count == 1 else "/console/keys")


def _once(view: View, which: int, keys: list[str]) -> Result:
    """Keys that are kept as hashes, in clear: never again. The drawer is where it stands, whatever asked for it."""
    view.headers += [("hx-retarget", "#drawer"), ("hx-reswap", "innerHTML")]
    once = "\n".join(f"sk-{key.removeprefix('sk-')}" for key in keys)
    return Shown("key.html", drawer(view, which, once=once), fresh=True, done=True)


def save(view: View) -> Result:
    """What was changed in the drawer."""
    which = view.number()
    try:
        view.api("PUT", "/api/token/", {"id": which, **_body(view)})
    except _FAULTS as error:
        values = drawer(view, which, faults=forms.faults(view, error, "name"), form=view.form, tab="edit")
        return Shown("key.html", values, 422)
    return Shown("key.html", drawer(view, which, tab="edit"), toast=gettext("Saved"), fresh=True)


def power(view: View) -> Result:
    """Off, or on again."""
    which = view.number()
    row = view.api("GET", f"/api/token/{which}")
    wanted = int(view.form.get("status") or (_OFF if row["status"] == _ON else _ON))
    view.api("PUT", "/api/token/", {"id": which, "status": wanted}, status_only="1")
    word = gettext("Enabled") if wanted == _ON else gettext("Disabled")
    return Shown(
        "", toast=f"{row['name']}: {word}", undo=(f"/console/keys/{which}/power", {"status": row["status"]}), fresh=True
    )


def secret(view: View) -> Result:
    """The key in clear, for the clipboard: asked for by a click, written into the trail, in no page."""
    key = view.api("POST", f"/api/token/{view.number()}/key")["key"]
    return Sent(f"sk-{key}")


def renew(view: View) -> Result:
    """Another secret for the key: its name, limits and history stay."""
    which = view.number()
    fresh = view.api("POST", f"/api/v2/keys/{which}/renew")["key"]
    if view.worker.db.keys.hashed:
        return _once(view, which, [fresh])
    return Moved(f"/console/keys/{which}?new=1")


def delete(view: View) -> Result:
    """Delete a key."""
    view.api("DELETE", f"/api/token/{view.number()}")
    return Moved("/console/keys")


def several(view: View) -> Result:
    """The batch bar."""
    ids, verb = forms.ids(view), view.path["verb"]
    if verb == "delete":
        view.api("POST", "/api/token/batch", {"ids": ids})
    elif verb in ("on", "off"):
        for which in ids:
            view.api("PUT", "/api/token/", {"id": which, "status": _ON if verb == "on" else _OFF}, status_only="1")
    elif verb == "group":
        for which in ids:
            row = view.api("GET", f"/api/token/{which}")
            values = {name: row[name] for name in ("name", "expired_time", "remain_quota", "unlimited_quota")}
            view.api("PUT", "/api/token/", {"id": which, **values, "group": view.form.get("value", "")})
    elif verb == "secrets":
        secrets = view.api("POST", "/api/token/batch/keys", {"ids": ids})["keys"]
        return Sent("\n".join(f"sk-{secret}" for secret in secrets.values()))
    else:
        raise Conflict(verb)
    words = ngettext("%(num)s key changed", "%(num)s keys changed", len(ids)) % {"num": len(ids)}
    return Shown("", toast=words, fresh=True, done=True)


PAGES = (
    Page("GET", "/console/keys", USER, listed),
    Page("GET", "/console/keys/new", USER, new),
    Page("POST", "/console/keys/new", USER, create),
    Page("POST", "/console/keys/batch/:verb", USER, several),
    Page("GET", "/console/keys/:id", USER, one),
    Page("POST", "/console/keys/:id", USER, save),
    Page("POST", "/console/keys/:id/power", USER, power),
    Page("POST", "/console/keys/:id/secret", USER, secret),
    Page("POST", "/console/keys/:id/renew", USER, renew),
    Page("POST", "/console/keys/:id/delete", USER, delete),
)
