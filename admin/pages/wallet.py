"""The wallet: balance, plans, codes, what invitations earned, orders."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from admin import forms, qr
from admin.pages import gate, plans
from admin.view import USER, Moved, Page, Result, Shown, View
from admin.words import gettext
from engine.catalogue import options
from engine.errors import Conflict, Forbidden, Invalid
from engine.payments import offers

_FAULTS = (Invalid, Conflict, Forbidden)


def wallet(view: View, status: int = 200, **more: Any) -> Shown:
    """Balance, plans, redeeming, invitation."""
    me, payers = view.api("GET", "/api/user/self"), _payers(view)
    ways, products = offers.top_up_ways(
        view.worker.snapshot.program.payments, view.worker.options, str(me.get("group") or "")
    )
    code = view.api("GET", "/api/user/aff")
    orders = view.api("GET", "/api/user/topup/self", page_size=20)
    values = {
        "me": me,
        "invitation": f"{view.origin}/console/register?aff={code}",
        "orders": orders["items"] if isinstance(orders, dict) else orders,
        "order_words": _order_words(),
        "payers": payers,
        "chosen": view.query.get("for", ""),
        "ways": ways,
        "products": products,
        "amounts": _amounts(view),
        "link": str(options.value_of(view.worker.options, "TopUpLink") or ""),
        "twin": "/api/user/self",
        **_plans(view),
    }
    return Shown("wallet.html", {**values, **more}, status)


def _payers(view: View) -> list[tuple[str, str]]:
    """The teams whose money one may spend, by id and title."""
    return [(str(row["id"]), row["title"]) for row in view.api("GET", "/api/v2/teams") if "wallet" in row["may"]]


def _amounts(view: View) -> list[tuple[int, str]]:
    """The amounts that are offered, each with its discount in words."""
    info = view.api("GET", "/api/user/topup/info")
    rates = {str(name): rate for name, rate in info["discount"].items() if isinstance(rate, int | float)}
    listed = [one for one in info["amount_options"] if isinstance(one, int) and one > 0]
    return [(one, f"−{(1 - rates[str(one)]) * 100:.0f} %" if rates.get(str(one), 1) < 1 else "") for one in listed]


def _order_words() -> dict[str, tuple[str, str]]:
    return {
        "pending": ("probe", gettext("Waits for payment")),
        "success": ("ok", gettext("Paid")),
        "failed": ("bad", gettext("Failed")),
        "expired": ("off", gettext("Expired")),
        "refunded": ("off", gettext("Given back")),
    }


def pay(view: View) -> Result:
    """Pay an amount or a product by a service, for oneself or a team; the browser goes on to it, or shows its code."""
    form, payments = view.form, view.worker.snapshot.program.payments
    path, _, method = form.get("way", "").partition(" ")
    try:
        if path not in {one.offer.pay for one in payments}:
            raise Conflict(gettext("This way to pay is not offered"))
        body: dict[str, Any] = {"team": forms.whole("team", form.get("team", ""))}
        if form.get("product"):
            body |= {"product_id": form["product"]}
        else:
            amount = form.get("other", "").strip() or form.get("amount", "")
            body |= {"amount": forms.whole("amount", amount), "payment_method": method}
        answer = view.answer("POST", path, body).whole
    except _FAULTS as error:
        return wallet(view, 422, faults={"pay": view.words(error)}, form=form)
    return _sent(view, answer)


def _sent(view: View, answer: dict[str, Any]) -> Result:
    told = answer["data"]
    if told.get("code_url"):
        drawn, side = qr.path(str(told["code_url"]))
        return Shown("scan.html", {"path": drawn, "side": side, "order": str(told.get("order_id") or "")})
    return gate.leaving(view, _place(answer))


def redeem(view: View) -> Result:
    """A redemption code becomes balance."""
    try:
        added = view.api("POST", "/api/user/topup", {"key": view.form.get("key", "").strip()})
    except _FAULTS as error:
        return wallet(view, 422, faults={"key": view.words(error)}, form=view.form)
    shown = wallet(view)
    shown.toast = gettext("Added to the balance") if added else gettext("Done")
    return shown


def move(view: View) -> Result:
    """What invitations earned becomes balance."""
    try:
        view.api("POST", "/api/user/aff_transfer", {"quota": forms.quota(view, "amount", view.form.get("amount", ""))})
    except _FAULTS as error:
        return wallet(view, 422, faults={"amount": view.words(error)}, form=view.form)
    shown = wallet(view)
    shown.toast = gettext("Moved to the balance")
    return shown


def _plans(view: View) -> dict[str, Any]:
    """The plans one has, those that are offered, and how each can be paid."""
    mine, names = view.api("GET", "/api/subscription/self"), plans.titles(view)
    known, payments = view.worker.options, view.worker.snapshot.program.payments
    offered = [each["plan"] for each in view.api("GET", "/api/subscription/plans")]
    return {
        "mine": [plans.life(each["subscription"], names) for each in mine["subscriptions"]],
        "offered": [{**plans.worded(plan), "ways": offers.plan_ways(payments, known, plan)} for plan in offered],
        "preference": mine["billing_preference"],
        "preferences": [
            ("subscription_first", gettext("Plans first, then the balance")),
            ("wallet_first", gettext("The balance first, then plans")),
            ("subscription_only", gettext("Plans only")),
            ("wallet_only", gettext("The balance only")),
        ],
    }


def buy(view: View) -> Result:
    """Buy a plan: with the balance at once, or by a service, to which the browser goes on."""
    which, (path, _, method) = view.number(), view.form.get("way", "").partition(" ")
    payments = view.worker.snapshot.program.payments
    try:
        if not path:
            view.api("POST", "/api/subscription/balance/pay", {"plan_id": which})
            return Moved("/console/wallet")
        if path not in {one.offer.plan.pay for one in payments if one.offer.plan is not None}:
            raise Conflict(gettext("This way to pay is not offered"))
        answer = view.answer("POST", path, {"plan_id": which, "payment_method": method}).whole
    except _FAULTS as error:
        return wallet(view, 422, faults={"plans": view.words(error)})
    return _sent(view, answer)


def _place(answer: dict[str, Any]) -> str:
    """Where the service takes the payment: by its link, or by the values of its form."""
    told = answer["data"]
    link = told.get("pay_link") or told.get("checkout_url")
    address = str(answer.get("url") or "")
    return str(link or f"{address}{'&' if '?' in address else '?'}{urlencode(told)}")


def prefer(view: View) -> Result:
    """Choose what pays first."""
    view.api("PUT", "/api/subscription/self/preference", {"billing_preference": view.form.get("preference", "")})
    return Moved("/console/wallet")


PAGES = (
    Page("GET", "/console/wallet", USER, wallet),
    Page("POST", "/console/wallet", USER, redeem),
    Page("POST", "/console/wallet/pay", USER, pay),
    Page("POST", "/console/wallet/move", USER, move),
    Page("POST", "/console/wallet/preference", USER, prefer),
    Page("POST", "/console/wallet/plans/:id", USER, buy),
)
