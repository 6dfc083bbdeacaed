"""Plans: what administrators offer; and how pages tell of plans and of what is left of them."""

from __future__ import annotations

from typing import Any

from admin import figures, forms
from admin.view import ADMIN, Page, Result, Shown, View
from admin.words import gettext, ngettext
from engine.accounts.plans import catalogue, periods
from engine.catalogue import groups
from engine.errors import Conflict, Forbidden, Invalid

_FAULTS = (Invalid, Conflict, Forbidden)
_TEXTS = ("title", "subtitle", "duration_unit", "quota_reset_period", "upgrade_group", "downgrade_group")
_SERVICES = ("stripe_price_id", "creem_product_id")
_FLAGS = ("enabled", "allow_balance_pay", "allow_wallet_overflow")


def length(plan: dict[str, Any]) -> str:
    """How long a plan lasts."""
    count = plan["duration_value"]
    words = {
        "year": ngettext("%(num)s year", "%(num)s years", count),
        "month": ngettext("%(num)s month", "%(num)s months", count),
        "day": ngettext("%(num)s day", "%(num)s days", count),
        "hour": ngettext("%(num)s hour", "%(num)s hours", count),
    }
    word = words.get(plan["duration_unit"])
    return word % {"num": count} if word else figures.span(plan["custom_seconds"])


def again(plan: dict[str, Any]) -> str:
    """How often its amount begins anew."""
    words = resets()
    if plan["quota_reset_period"] == "custom":
        return gettext("every %(span)s") % {"span": figures.span(plan["quota_reset_custom_seconds"])}
    return words.get(plan["quota_reset_period"], words["never"])


def resets() -> dict[str, str]:
    """How often an amount can begin anew, in words."""
    return {
        "never": gettext("once"),
        "daily": gettext("every day"),
        "weekly": gettext("every week"),
        "monthly": gettext("every month"),
        "custom": gettext("every so many seconds"),
    }


def _units() -> dict[str, str]:
    words = (gettext("Years"), gettext("Months"), gettext("Days"), gettext("Hours"), gettext("Seconds"))
    return dict(zip(periods.UNITS, words, strict=True))


def worded(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan with its length and its resets in words."""
    return {**plan, "length": length(plan), "again": again(plan)}


def listed(view: View) -> Result:
    """The table of plans."""
    rows = [worded(each["plan"]) for each in view.api("GET", "/api/subscription/admin/plans")]
    return Shown("plans.html", {"rows": rows, "twin": "/api/subscription/admin/plans"})


def _form(view: View, row: dict[str, Any] | None, status: int = 200, **more: Any) -> Shown:
    names = sorted(groups.ratios(view.worker.options))
    at = view.form if status != 200 else _typed(view, row)
    values = {"row": row, "at": at, "units": _units(), "resets": resets(), "groups": names, **more}
    return Shown("plan_form.html", values, status)


def _typed(view: View, row: dict[str, Any] | None) -> dict[str, Any]:
    """What the fields hold before anybody types."""
    plan = row or catalogue.shown({"id": 0})
    seconds = plan["custom_seconds"] if plan["duration_unit"] == "custom" else plan["duration_value"]
    amount = f"{plan['total_amount'] / view.unit:.6f}".rstrip("0").rstrip(".")
    again = plan["quota_reset_custom_seconds"] or ""
    return {
        **plan,
        "models": ", ".join(plan["models"]),
        "duration_value": seconds,
        "total_amount": amount,
        "seconds": again,
    }


def _row(view: View) -> dict[str, Any] | None:
    which = view.number()
    return catalogue.shown(catalogue.one(view.worker.db, which)) if which else None


def edit(view: View) -> Result:
    """The dialog of a plan, or of a new one."""
    return _form(view, _row(view))


def save(view: View) -> Result:
    """Make a plan, or change one."""
    row = _row(view)
    path = "/api/subscription/admin/plans"
    try:
        body = {"plan": {**(row or {}), **_read(view)}}
        view.api("PUT" if row else "POST", f"{path}/{row['id']}" if row else path, body)
    except _FAULTS as error:
        return _form(view, row, 422, faults=forms.faults(view, error, "title"))
    return Shown("", toast=gettext("Saved"), fresh=True, done=True)


def _read(view: View) -> dict[str, Any]:
    """What was typed, as the API takes it; lengths of seconds stand in the one field for lengths."""
    form = view.form
    count = forms.whole("duration_value", form.get("duration_value", ""), 1)
    seconds = form.get("duration_unit") == "custom"
    return {
        **{name: form.get(name, "").strip() for name in (*_TEXTS, *_SERVICES)},
        **{name: name in form for name in _FLAGS},
        "price_amount": forms.decimal("price_amount", form.get("price_amount", "")),
        "total_amount": forms.quota(view, "total_amount", form.get("total_amount", "")),
        "max_purchase_per_user": forms.whole("max_purchase_per_user", form.get("max_purchase_per_user", "")),
        "sort_order": forms.whole("sort_order", form.get("sort_order", "")),
        "duration_value": 1 if seconds else count,
        "custom_seconds": count if seconds else 0,
        "quota_reset_custom_seconds": forms.whole("quota_reset_custom_seconds", form.get("seconds", "")),
        "models": forms.words_of(form.get("models", "")),
    }


def power(view: View) -> Result:
    """Offer a plan, or offer it no longer."""
    which, wanted = view.number(), view.form.get("enabled") == "1"
    plan = view.api("PATCH", f"/api/subscription/admin/plans/{which}", {"enabled": wanted})
    words = gettext("Offered") if wanted else gettext("Not offered")
    undo = (f"/console/plans/{which}/power", {"enabled": "" if wanted else "1"})
    return Shown("", toast=f"{plan['title']}: {words}", undo=undo, fresh=True)


def of_user(view: View, which: int) -> list[dict[str, Any]]:
    """The plans that a user has had, the newest first; none for who may not see them."""
    try:
        rows = view.api("GET", f"/api/subscription/admin/users/{which}/subscriptions")
    except Forbidden:
        return []
    names = titles(view)
    return [life(each["subscription"], names) for each in rows[:20]]


def titles(view: View) -> dict[int, str]:
    """The titles of all plans, also of those that are offered no longer."""
    return {row["id"]: row["title"] for row in catalogue.listed(view.worker.db, offered=False)}


def life(one: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    """A subscription as pages show it."""
    total, used = one["amount_total"], one["amount_used"]
    words = {"active": ("ok", gettext("Active")), "expired": ("off", gettext("Expired"))}
    kind, word = words.get(one["status"], ("off", gettext("Ended")))
    left = max(0, total - used)
    share = 100 * left / total if total else 100
    title = names.get(one["plan_id"], f"#{one['plan_id']}")
    return {**one, "title": title, "kind": kind, "word": word, "left": left, "share": round(share, 1)}


PAGES = (
    Page("GET", "/console/plans", ADMIN, listed),
    Page("GET", "/console/plans/new", ADMIN, edit),
    Page("POST", "/console/plans/new", ADMIN, save),
    Page("GET", "/console/plans/:id", ADMIN, edit),
    Page("POST", "/console/plans/:id", ADMIN, save),
    Page("POST", "/console/plans/:id/power", ADMIN, power),
)
