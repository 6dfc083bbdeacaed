"""The form of a channel, and the wizard that makes one: every field of the family's form, none of them as JSON."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import orjson

from admin import forms
from admin.view import ADMIN, ROOT, Moved, Page, Result, Shown, View
from admin.words import gettext
from engine.catalogue import groups
from engine.errors import Conflict, Forbidden, Invalid
from engine.storage.rows.work.paid import PaidIn

_FAULTS = (Invalid, Conflict, Forbidden)
_TEXTS = ("name", "base_url", "other", "openai_organization", "test_model", "tag", "remark")
_MAPS = {"model_mapping": " → ", "status_code_mapping": " → ", "header_override": ": "}
_SWITCHES = ("pass_through_body_enabled", "thinking_to_content", "force_format", "system_prompt_override")
_SETTING_TEXTS = ("proxy", "system_prompt")
_NEWS = "upstream_model_update_"
ALLOWED = {
    **{f"allow_{name}": name for name in ("service_tier", "speed", "inference_geo", "safety_identifier")},
    "allow_include_obfuscation": "include_obfuscation",
}
"""Members of a request that go up only where a channel lets them, by the setting that says so."""
_ALSO = ("disable_store", f"{_NEWS}check_enabled", f"{_NEWS}auto_sync_enabled")


def typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A channel as the form shows it."""
    setting, also = forms.loads(row["setting"]), forms.loads(row["settings"])
    return {
        **{name: row[name] or "" for name in _TEXTS},
        **{name: forms.lines_of(row[name], mark) for name, mark in _MAPS.items()},
        **dict.fromkeys((*_SETTING_TEXTS, *_SWITCHES), ""),
        **{name: value for name, value in setting.items() if name in (*_SETTING_TEXTS, *_SWITCHES)},
        "type": row["type"],
        "models": "\n".join(forms.words_of(row["models"])),
        "group": ", ".join(forms.words_of(row["group"])),
        "param_override": row["param_override"] or "",
        "priority": row["priority"] or 0,
        "weight": row["weight"] or 0,
        "auto_ban": row["auto_ban"] != 0,
        "key": "",
        **{name: also.get(name) is True for name in (*ALLOWED, *_ALSO)},
        **_paid(also.get("balance")),
        "ignored": "\n".join(also.get(f"{_NEWS}ignored_models") or []),
    }


def body(form: Mapping[str, str], row: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the form changes, as the management API takes it."""
    values: dict[str, Any] = {name: form[name].strip() for name in _TEXTS if name in form}
    for name in _MAPS:
        if name in form:
            values[name] = forms.object_of(name, form[name])
    for name, kind in (("models", ","), ("group", ",")):
        if name in form:
            values[name] = kind.join(forms.words_of(form[name]))
    for name in ("priority", "weight", "type"):
        if name in form:
            values[name] = forms.whole(name, form[name])
    if "param_override" in form:
        values["param_override"] = form["param_override"].strip()
    if form.get("key", "").strip():
        values |= {"key": keys_of(form["key"]), "key_mode": form.get("key_mode") or "replace"}
    if "more" in form:  # switches that are off are not sent: this says that they were there
        values["auto_ban"] = int("auto_ban" in form)
        values["setting"] = _setting(form, forms.loads(row["setting"]) if row is not None else {})
        values["settings"] = _settings(form, forms.loads(row["settings"]) if row is not None else {})
    return values if row is None else {name: value for name, value in values.items() if not _same(name, value, row)}


def _setting(form: Mapping[str, str], before: dict[str, Any]) -> str:
    """The members of ``setting`` that the form has, over those that it does not know."""
    texts = {name: form.get(name, "").strip() for name in _SETTING_TEXTS}
    switches = {name: name in form for name in _SWITCHES}
    setting = {name: value for name, value in {**before, **texts, **switches}.items() if value not in ("", False, None)}
    return orjson.dumps(setting).decode()


def _settings(form: Mapping[str, str], before: dict[str, Any]) -> str:
    """The members of ``settings`` that the form has, over those that it does not know."""
    fresh = {**before, **{name: name in form for name in (*ALLOWED, *_ALSO)}}
    fresh[f"{_NEWS}ignored_models"] = forms.words_of(form.get("ignored", ""))
    if "paid" in form:
        before = {name: value for name, value in before.items() if name != "balance"}
        fresh["balance"] = _balance(form)
    return orjson.dumps({name: value for name, value in fresh.items() if value or name in before}).decode()


def _paid(said: Any) -> dict[str, Any]:
    """What was paid in, as the form has it."""
    balance = said if isinstance(said, dict) else {}
    share = balance.get("warnBelow") or 0
    return {
        "paid": balance.get("paid", ""),
        "paid_since": balance.get("since", ""),
        "paid_warn": f"{share * 100:g}" if isinstance(share, int | float) and share else "",
        "paid_aside": balance.get("setAside") is True,
    }


def _balance(form: Mapping[str, str]) -> dict[str, Any]:
    """The member ``balance`` of the form's fields; empty where nothing is declared."""
    if not form["paid"].strip():
        return {}
    since = form.get("paid_since", "").strip() or str(datetime.datetime.now(datetime.UTC).date())
    share = forms.decimal("paid_warn", form.get("paid_warn", "")) / 100
    paid = forms.decimal("paid", form["paid"])
    balance: dict[str, Any] = {"paid": paid, "since": since, "warnBelow": round(share, 6)}
    try:
        PaidIn.of(balance)
    except ValueError:
        field = "paid_warn" if not 0 <= share <= 1 else "paid" if paid < 0 else "paid_since"
        raise Invalid(field, gettext("This can't be so")) from None
    return {**balance, "setAside": "paid_aside" in form}


def keys_of(text: str) -> str:
    """Secrets, one a line, each once; a JSON object stays whole."""
    text = text.strip()
    return (
        text
        if text.startswith("{")
        else "\n".join(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    )


def _same(name: str, value: Any, row: Mapping[str, Any]) -> bool:
    """Whether the row says it already: what is not changed is not sent."""
    if name in (*_MAPS, "setting", "settings"):
        return forms.loads(value) == forms.loads(row[name])
    return bool(value == (row.get(name) or type(value)()))


def wizard(view: View, **more: Any) -> Shown:
    """The dialog: provider, key, then its models are found."""
    program = view.worker.snapshot.program
    names = {number: providers[0] for (numbering, number), providers in program.legacy.items() if numbering == "newApi"}
    chosen = forms.whole("type", view.form.get("type") or view.query.get("type", ""), 1)
    provider = program.providers.get(names.get(chosen, ""))
    values = {
        "providers": sorted(names.items(), key=lambda pair: pair[1]),
        "chosen": chosen,
        "base": provider.base_url if provider is not None else "",
        "known": sorted(provider.models)[:500] if provider is not None else [],
        "groups": sorted(groups.ratios(view.worker.options)),
        "found": None,
        "form": view.form,
        "lists": forms.filled(view, "model"),
    }
    return Shown("wizard.html", {**values, **more})


def found(view: View) -> Result:
    """Ask the vendor with the key that was typed."""
    form = view.form
    fields = {
        "type": forms.whole("type", form.get("type", "")),
        "key": form.get("key", ""),
        "base_url": form.get("base_url", "").strip(),
    }
    try:
        models = view.api("POST", "/api/channel/fetch_models", fields)
    except _FAULTS as error:
        return wizard(view, faults={"key": view.words(error)})
    return wizard(view, found=sorted(models))


def create(view: View) -> Result:
    """Make it."""
    form = view.form
    try:
        if not form.get("name", "").strip():
            raise Invalid("name", gettext("Give it a name"))
        if not forms.words_of(form.get("models", "")):
            raise Invalid("models", gettext("Name at least one model, or find them with the key"))
        channel = body(form)
        channel.pop("key_mode", None)
        mode = form.get("mode") if "\n" in form.get("key", "").strip() else "single"
        data = {"mode": mode or "batch", "channel": channel, "multi_key_mode": form.get("way") or "random"}
        answer = view.api("POST", "/api/channel/", data)
    except _FAULTS as error:
        shown = wizard(view, faults=forms.faults(view, error, "name"))
        shown.status = 422
        return shown
    return Moved(f"/console/channels/{answer['id']}")


PAGES = (
    Page("GET", "/console/channels/new", ADMIN, wizard),
    Page("POST", "/console/channels/new", ROOT, create),
    Page("POST", "/console/channels/new/fields", ROOT, wizard),
    Page("POST", "/console/channels/new/models", ROOT, found),
)
