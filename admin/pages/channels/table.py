"""Channels: the table with odds and states, the drawer of one, and what may be done to one, some or all."""

from __future__ import annotations

import time
from typing import Any

from admin import figures, forms
from admin.pages.channels import form as fields
from admin.pages.channels.trials import MOST, trial
from admin.view import ADMIN, Moved, Page, Result, Shown, View
from admin.words import gettext, ngettext
from engine.catalogue import channel_tests, groups
from engine.errors import Conflict, Forbidden, Invalid

_SIZE = 100
_FAULTS = (Invalid, Conflict, Forbidden)
_CELLS = {"priority", "weight"}
_ON, _OFF, _AUTO = 1, 2, 3


def providers(view: View) -> list[tuple[int, str]]:
    """Channel types with the providers that they mean."""
    program = view.worker.snapshot.program
    provider_names = {
        number: names[0] for (numbering, number), names in program.legacy.items() if numbering == "newApi"
    }
    return sorted(provider_names.items(), key=lambda pair: pair[1])


def _asked_odds(view: View) -> tuple[str, str]:
    """The group and the model whose odds are shown."""
    table = view.worker.snapshot.table
    names = sorted({group for channel in table.channels for group in channel.groups})
    group = view.query.get("og", "")
    group = group if group in names else ("default" if "default" in names else next(iter(names), ""))
    models = table.models((group,)) if group else []
    model = view.query.get("om", "")
    if model not in models:
        model = max(models, key=lambda name: len(table.candidates(group, name)), default="")
    return group, model


def odds(view: View, group: str, model: str) -> dict[str, float]:
    """How likely each channel is the first: by its mark, in percent; other tiers have none."""
    candidates = [
        channel for channel in view.worker.snapshot.table.candidates(group, model) if not aside(view, channel)
    ]
    if not candidates:
        return {}
    top = max(channel.priority for channel in candidates)
    tier = [channel for channel in candidates if channel.priority == top]
    total = sum(channel.weight for channel in tier)
    return {channel.mark: 100 * (channel.weight / total if total else 1 / len(tier)) for channel in tier}


def aside(view: View, channel: Any) -> float:
    """For how many seconds more a channel is set aside, by a breaker or by hand; 0 for not."""
    return float(max(0.0, view.worker.upstream.health.away(channel) - time.time()))


def _state(view: View, row: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, word and reason of a channel's state."""
    status = row["status"]
    if status == _OFF:
        return "off", gettext("Disabled by hand"), ""
    if status != _ON:
        return "bad", gettext("Auto-disabled"), str(forms.loads(row.get("other_info")).get("status_reason") or "")[:60]
    channel = view.worker.snapshot.table.by_id.get(row["id"])
    if channel is None:
        return "warn", gettext("Left out"), gettext("a fault in it")
    wait = aside(view, channel)
    if wait:
        return "bad", gettext("Set aside"), f"{int(wait // 60)}:{int(wait % 60):02d}"
    info = row.get("channel_info") or {}
    if info.get("is_multi_key"):
        off = len(info.get("multi_key_status_list") or {})
        size = info.get("multi_key_size") or 0
        return "ok", gettext("Enabled"), gettext("%(on)s of %(all)s keys") % {"on": size - off, "all": size}
    return "ok", gettext("Enabled"), ""


def _shown(view: View, row: dict[str, Any], chance: dict[str, float], names: dict[int, str]) -> dict[str, Any]:
    kind, word, reason = _state(view, row)
    channel = view.worker.snapshot.table.by_id.get(row["id"])
    return {
        **row,
        "provider": names.get(row["type"], f"{gettext('type')} {row['type']}"),
        "kind": kind,
        "word": word,
        "reason": reason,
        "odds": chance.get(channel.mark) if channel is not None else None,
        "count": len(forms.words_of(row["models"])),
        "test_fault": str(row.get("test_fault") or "")[:200],
    }


def _declared(view: View, chance: dict[str, float]) -> list[dict[str, Any]]:
    """Channels of documents, read-only."""
    return [
        {
            "name": channel.name,
            "provider": channel.provider.name,
            "groups": ", ".join(channel.groups),
            "priority": channel.priority,
            "weight": channel.weight,
            "odds": chance.get(channel.mark),
            "count": len(channel.models),
            "wait": aside(view, channel),
        }
        for channel in view.worker.snapshot.table.channels
        if not channel.id
    ]


def listed(view: View, **more: Any) -> Shown:
    """The table."""
    q = view.query
    filters: dict[str, Any] = {"keyword": q.get("q", ""), "model": q.get("model", ""), "group": q.get("group", "")}
    filters |= {"id_sort": "true" if q.get("sort") == "id" else ""}
    filters |= {"status": q.get("state", ""), "type": q.get("type", ""), "p": q.get("p", "1"), "page_size": _SIZE}
    data = view.api("GET", "/api/channel/search", **filters)
    group, model = _asked_odds(view)
    chance, names = odds(view, group, model), dict(providers(view))
    rows = [_shown(view, row, chance, names) for row in data["items"]]
    if q.get("tags"):
        rows.sort(key=lambda row: (row["tag"] is None or row["tag"] == "", row["tag"] or ""))
    table = view.worker.snapshot.table
    values = {
        "rows": rows,
        "total": data["total"],
        "enabled": sum(1 for row in rows if row["status"] == _ON),
        "declared": _declared(view, chance) if not (q.get("q") or q.get("type") or q.get("state")) else [],
        "group": group,
        "model": model,
        "odds_groups": sorted({name for channel in table.channels for name in channel.groups}),
        "odds_models": table.models((group,)) if group else [],
        "groups": sorted(groups.ratios(view.worker.options)),
        "providers": [(kind, name) for kind, name in providers(view) if str(kind) in map(str, data["type_counts"])],
        "page": int(q["p"]) if q.get("p", "").isdigit() else 1,
        "size": _SIZE,
        "open": None,
        "twin": "/api/channel/",
    }
    return Shown("channels.html", {**values, **more})


def one(view: View) -> Result:
    """The drawer of one channel; over its table where the page is asked for whole."""
    values = drawer(view)
    if view.beside:
        return Shown("channel.html", values)
    return listed(view, open=values, form=values["form"])


def drawer(view: View, **more: Any) -> dict[str, Any]:
    """What the drawer of a channel holds."""
    row = view.api("GET", f"/api/channel/{view.number()}")
    group, model = _asked_odds(view)
    own = forms.words_of(row["models"])
    if model not in own and own:
        group, model = (forms.words_of(row["group"]) or ["default"])[0], own[0]
    table = view.worker.snapshot.table
    channel = table.by_id.get(row["id"])
    settings = forms.loads(row["settings"])
    keys = None
    if (row["channel_info"] or {}).get("is_multi_key"):
        keys = view.api(
            "POST",
            "/api/channel/multi_key/manage",
            {"channel_id": row["id"], "action": "get_key_status", "page_size": 100},
        )
    tier = [
        candidate
        for candidate in table.candidates(group, model)
        if channel is not None and candidate.priority == channel.priority
    ]
    chance = odds(view, group, model)
    return {
        "row": _shown(view, row, chance, dict(providers(view))),
        "form": fields.typed(row),
        "models": own,
        "offered": settings.get("upstream_model_update_last_detected_models") or [],
        "gone": settings.get("upstream_model_update_last_removed_models") or [],
        "keys": keys,
        "group": group,
        "model": model,
        "tier": [(candidate.name, candidate.weight, chance.get(candidate.mark, 0.0)) for candidate in tier],
        "wait": aside(view, channel) if channel is not None else 0,
        "by_hand": channel.aside_until if channel is not None and channel.aside_until > time.time() else 0,
        "checked": settings.get("upstream_model_update_last_check_time") or 0,
        "providers": providers(view),
        "rules": list(channel_tests.rules_of(view.worker.snapshot.program, row["type"])),
        "allowed": fields.ALLOWED,
        "lists": forms.filled(view, "model"),
        **more,
    }


def save(view: View) -> Result:
    """What was changed in the drawer."""
    which = view.number()
    row = view.api("GET", f"/api/channel/{which}")
    try:
        body = fields.body(view.form, row)
        view.api("PUT", "/api/channel/", {"id": which, **body})
    except _FAULTS as error:
        values = drawer(view, faults=forms.faults(view, error, "name"), tab="edit")
        return Shown("channel.html", {**values, "form": {**values["form"], **view.form}}, 422)
    return Shown("channel.html", drawer(view, tab="edit"), toast=gettext("Saved"), fresh=True)


def cell(view: View) -> Result:
    """A figure that was changed in the row."""
    which = view.number()
    name = next((name for name in _CELLS if name in view.form), "")
    before = view.api("GET", f"/api/channel/{which}")
    value = forms.whole(name, view.form.get(name, ""))
    view.api("PUT", "/api/channel/", {"id": which, name: value})
    word = gettext("Priority") if name == "priority" else gettext("Weight")
    toast = f"{before['name']}: {word} {before[name] or 0} → {value}"
    return Shown("", toast=toast, undo=(f"/console/channels/{which}/cell", {name: before[name] or 0}), fresh=True)


def power(view: View) -> Result:
    """One click takes a channel out, or brings it back."""
    which = view.number()
    row = view.api("GET", f"/api/channel/{which}")
    wanted = view.form.get("status") or (_OFF if row["status"] == _ON else _ON)
    view.api("POST", f"/api/channel/{which}/status", {"status": int(wanted)})
    word = gettext("Enabled") if int(wanted) == _ON else gettext("Disabled by hand")
    undo = {"status": _ON if row["status"] == _ON else _OFF}
    return Shown("", toast=f"{row['name']}: {word}", undo=(f"/console/channels/{which}/power", undo), fresh=True)


def set_aside(view: View) -> Result:
    """Set a channel aside for so many minutes or until a moment; or, without either, have it asked again."""
    which, now = view.number(), int(time.time())
    minutes = forms.whole("minutes", view.form.get("minutes", ""))
    until = forms.whole("until", view.form.get("until", "")) or (now + 60 * minutes if minutes > 0 else 0)
    if until and until <= now:
        raise Invalid("until", gettext("That moment is over: choose a later one"))
    view.api("POST", f"/api/v2/channels/{which}/aside", {"until": until})
    values = drawer(view)
    word = gettext("Set aside") if until else gettext("It is asked again")
    return Shown("channel.html", values, toast=f"{values['row']['name']}: {word}", fresh=True, done=True)


def offered(view: View) -> Result:
    """Ask the vendor for its models."""
    view.api("POST", "/api/channel/upstream_updates/detect", {"id": view.number()})
    return Shown("channel.html", drawer(view, tab="models"))


def take(view: View) -> Result:
    """Take up the models that the vendor offers, or leave out those that are gone."""
    add, gone = forms.words_of(view.form.get("add", "")), forms.words_of(view.form.get("remove", ""))
    view.api(
        "POST", "/api/channel/upstream_updates/apply", {"id": view.number(), "add_models": add, "remove_models": gone}
    )
    toast = ngettext("%(num)s model changed", "%(num)s models changed", len(add) + len(gone)) % {
        "num": len(add) + len(gone)
    }
    return Shown("channel.html", drawer(view, tab="models"), toast=toast, fresh=True)


def key(view: View) -> Result:
    """One of several keys: off, on, deleted."""
    body = {"channel_id": view.number(), "action": view.form.get("action", "")}
    if view.form.get("index", "").isdigit():
        body["key_index"] = int(view.form["index"])
    view.api("POST", "/api/channel/multi_key/manage", body)
    return Shown("channel.html", drawer(view, tab="keys"), toast=gettext("Saved"), fresh=True)


def act(view: View) -> Result:
    """What the menu of a row does: copy, delete, ask for the balance."""
    which, verb = view.number(), view.path["verb"]
    if verb == "copy":
        view.api("POST", f"/api/channel/copy/{which}", suffix=f" {gettext('copy')}")
        return Shown("", toast=gettext("Copied"), fresh=True)
    if verb == "balance":
        amount = view.api("GET", f"/api/channel/update_balance/{which}")["balance"]
        return Shown("", toast=f"{gettext('Balance')}: {figures.dollars(amount)}", fresh=True)
    if verb == "delete":
        view.api("DELETE", f"/api/channel/{which}")
        return Moved("/console/channels")
    raise Conflict(verb)


def several(view: View) -> Result:
    """The batch bar."""
    ids, verb, value = forms.ids(view), view.path["verb"], view.form.get("value", "")
    if verb in ("on", "off"):
        count = view.api("POST", "/api/channel/status/batch", {"ids": ids, "status": _ON if verb == "on" else _OFF})
    elif verb == "tag":
        count = view.api("POST", "/api/channel/batch/tag", {"ids": ids, "tag": value})
    elif verb in _CELLS:
        number = forms.whole(verb, value)
        for which in ids:
            view.api("PUT", "/api/channel/", {"id": which, verb: number})
        count = len(ids)
    elif verb == "test":
        results = [trial(view, which, "") for which in ids[:MOST]]
        good = sum(1 for _, kind, _, _ in results if kind == "ok")
        return Shown(
            "", toast=gettext("%(good)s of %(all)s answered") % {"good": good, "all": len(results)}, fresh=True
        )
    elif verb == "delete":
        count = view.api("POST", "/api/channel/batch", {"ids": ids})
    else:
        raise Conflict(verb)
    return Shown(
        "",
        toast=ngettext("%(num)s channel changed", "%(num)s channels changed", int(count or 0))
        % {"num": int(count or 0)},
        fresh=True,
        done=True,
    )


_ALL = {
    "test": ("GET", "/api/channel/test"),
    "balance": ("GET", "/api/channel/update_balance"),
    "models": ("POST", "/api/channel/upstream_updates/detect_all"),
    "apply": ("POST", "/api/channel/upstream_updates/apply_all"),
    "delete-off": ("DELETE", "/api/channel/disabled"),
    "repair": ("POST", "/api/channel/fix"),
}


def everything(view: View) -> Result:
    """What is done to all channels."""
    request = _ALL.get(view.path["verb"])
    if request is None:
        raise Conflict(view.path["verb"])
    view.api(*request)
    return Shown("", toast=gettext("Done"), fresh=True)


PAGES = (
    Page("GET", "/console/channels", ADMIN, listed),
    Page("POST", "/console/channels/batch/:verb", ADMIN, several),
    Page("POST", "/console/channels/all/:verb", ADMIN, everything),
    Page("GET", "/console/channels/:id", ADMIN, one),
    Page("POST", "/console/channels/:id", ADMIN, save),
    Page("POST", "/console/channels/:id/cell", ADMIN, cell),
    Page("POST", "/console/channels/:id/power", ADMIN, power),
    Page("POST", "/console/channels/:id/aside", ADMIN, set_aside),
    Page("POST", "/console/channels/:id/offered", ADMIN, offered),
    Page("POST", "/console/channels/:id/take", ADMIN, take),
    Page("POST", "/console/channels/:id/key", ADMIN, key),
    Page("POST", "/console/channels/:id/do/:verb", ADMIN, act),
)
