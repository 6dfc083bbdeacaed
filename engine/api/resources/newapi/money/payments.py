"""Paying: what one can pay with, and the routes that Payment documents declare: a price, an order, a notice.

Starts of payments answer in New API's old form, ``message`` and ``data`` alone (management-api.md, 1.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.accounts.plans import catalogue
from engine.accounts.teams import standing
from engine.api.route import NOBODY, USER, Answer, Ask, Route, Worker
from engine.errors import GatewrightError, Internal, Invalid
from engine.payments import notices, offers, ordering
from engine.texts import told

if TYPE_CHECKING:
    from engine.accounts.people import Person
    from engine.program import Program
    from engine.program.outside.payments import Payment

_AMOUNT = {"amount": int, "payment_method": str, "top_up_code": str, "team": int}
_PLACES = {"success_url": str, "cancel_url": str}
_PAY = {**_AMOUNT, **_PLACES, "product_id": str}
_PLAN = {**_PLACES, "plan_id": int, "payment_method": str, "team": int}
_WALLET = "/console/wallet?pay="


class Declared:
    """The routes of the payments of the release that is in force, by method and path; made once for a release."""

    def __init__(self) -> None:
        self._program: Program | None = None
        self._routes: Mapping[tuple[str, str], Route] = {}

    def __call__(self, worker: Worker) -> Mapping[tuple[str, str], Route]:
        program = worker.snapshot.program
        if program is not self._program:
            routes = [route for payment in program.payments for route in _of(payment)]
            self._routes = {(route.method, route.path): route for route in routes}
            self._program = program
        return self._routes


def _of(payment: Payment) -> list[Route]:
    offer, notice = payment.offer, payment.notice
    routes = [Route("POST", offer.pay, USER, _started(pay, payment), _PAY)]
    if offer.amount:
        routes.append(Route("POST", offer.amount, USER, _started(price, payment), _AMOUNT, noted=False))
    if offer.plan is not None:
        routes.append(Route("POST", offer.plan.pay, USER, _started(pay_plan, payment), _PLAN))
    for method in ("GET", "POST") if notice.reads == "form" else ("POST",):
        for path in (notice.path, *notice.also):
            routes.append(Route(method, path, NOBODY, lambda ask: take(ask, payment), raw=True, noted=False))
        if notice.back:
            routes.append(Route(method, notice.back, NOBODY, lambda ask: back(ask, payment), raw=True, noted=False))
    return routes


def _started(start: Callable[[Ask, Payment], dict[str, Any]], payment: Payment) -> Callable[[Ask], Answer]:
    """Refusals of a start are told in its old form too."""

    def call(ask: Ask) -> Answer:
        try:
            return Answer(whole={"message": "success", **start(ask, payment)})
        except GatewrightError as error:
            if isinstance(error, Internal):
                raise
            field = {"field": error.field} if isinstance(error, Invalid) and error.field else {}
            return Answer(whole={"message": "error", "data": told(error, ask.language), **field}, success=False)

    return call


def payer(ask: Ask) -> Person:
    """Who pays and is credited: the caller, or the team that the body names, whose money the caller may spend."""
    return standing.payer(ask.worker.db, ask.user, ask.given("team", 0))


def price(ask: Ask, payment: Payment) -> dict[str, Any]:
    """What an amount costs the caller."""
    bought = offers.purchase(payment, ask.worker.options, payer(ask).group, ask.body)
    return {"data": str(bought.money)}


def pay(ask: Ask, payment: Payment) -> dict[str, Any]:
    """Make an order; where it is paid."""
    options, pays = ask.worker.options, payer(ask)
    bought = offers.purchase(payment, options, pays.group, ask.body)
    at = ordering.places(payment, options, ask.body)
    return ordering.begin(ask.worker.db, ask.worker.upstream.pool, payment, options, pays, bought, at)


def pay_plan(ask: Ask, payment: Payment) -> dict[str, Any]:
    """Make an order of a plan; where it is paid."""
    worker, pays = ask.worker, payer(ask)
    plan = catalogue.one(worker.db, ask.given("plan_id", 0))
    catalogue.buyable(worker.db, plan, pays.id)
    bought = offers.plan_purchase(payment, worker.options, catalogue.shown(plan), ask.body)
    at = ordering.places(payment, worker.options, ask.body)
    return ordering.begin(worker.db, worker.upstream.pool, payment, worker.options, pays, bought, at)


def take(ask: Ask, payment: Payment) -> Answer:
    """Book what a service tells."""
    reply = _taken(ask, payment)
    body = reply.body if reply.body is not None else b""
    return Answer(whole=body.encode() if isinstance(body, str) else body, status=reply.status)


def back(ask: Ask, payment: Payment) -> Answer:
    """Book what a payer's browser brings along, and send it on to the wallet."""
    reply = _taken(ask, payment)
    ask.headers.append(("location", f"{_WALLET}{reply.state}"))
    return Answer(whole=b"", status=302)


def _taken(ask: Ask, payment: Payment) -> notices.Reply:
    assert ask.raw is not None
    worker, raw = ask.worker, ask.raw
    return notices.take(
        *(worker.db, worker.log_db, worker.upstream.pool, payment, worker.options),
        query=raw.query,
        raw=raw.body,
        header=raw.header,
    )


def info(ask: Ask) -> Answer:
    """What one can pay with."""
    return Answer(offers.listed(ask.worker.snapshot.program.payments, ask.worker.options))


ROUTES = (Route("GET", "/api/user/topup/info", USER, info),)
