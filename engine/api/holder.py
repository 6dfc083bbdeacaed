"""A key's own view of itself: what it may spend, what it spent, and its newest log rows.

The answers are those that the tools of the family's users read, field for field. Amounts are in the currency that the
console shows. Takes figures from ``engine.accounts.key_report``; knows no prices.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import falcon
import orjson

from engine.accounts.key_report import KeyReport, log_rows
from engine.api.caller import KeyServices, holder_of
from engine.api.refusals import refused
from engine.api.resources.v2 import limits
from engine.errors import GatewrightError
from engine.relay.attempts import in_force
from engine.relay.ingress.ids import fresh_id
from engine.storage.values import QUOTA_PER_UNIT

_TYPE = "application/json; charset=utf-8"
_CORS = (("access-control-allow-origin", "*"), ("cache-control", "no-store"))
_UNLIMITED = 100_000_000
_RATE = 7.3
_EXPONENT = 1e-6
"""Smaller amounts have an exponent there too."""


class _View:
    """What the resources share: the caller is found, faults are told in the form that belongs to the path."""

    query = ""

    def __init__(self, state: KeyServices) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer the key about itself."""
        resp.set_headers(_CORS)
        resp.content_type = _TYPE
        try:
            body = self.answer(holder_of(self._state, req, query=self.query))
            if self.query and not req.get_header("Authorization"):  # the tools that ask so turn the list round
                body["data"].reverse()
        except GatewrightError as error:
            request_id = fresh_id()
            refusal = refused(error, request_id)
            resp.status = refusal.status
            resp.set_header("x-request-id", request_id)
            if refusal.wait is not None:
                resp.set_header("retry-after", f"{refusal.wait:.0f}")
            body = self.refusal(refusal.message)
        resp.data = orjson.dumps(body)

    on_head = on_get

    def answer(self, holder: KeyReport) -> dict[str, Any]:
        """The body for a key that may ask."""
        raise NotImplementedError

    def refusal(self, message: str) -> dict[str, Any]:
        """The body for one that may not."""
        return {"success": False, "message": message}


class _Billing(_View):
    def refusal(self, message: str) -> dict[str, Any]:
        """See ``_View``."""
        return {"error": {"message": message, "type": "new_api_error", "code": ""}}

    def figures(self, holder: KeyReport) -> tuple[int, int, bool]:
        """What is left and what is used, of the key or (as the option says) of its user; whether it has no bound."""
        if self._state.options.get("DisplayTokenStatEnabled", "true") == "true":
            return holder.account.remain_quota, holder.used, holder.account.unlimited
        return holder.account.user_quota, holder.user_used, False


class Subscription(_Billing):
    """``/dashboard/billing/subscription``: the limit."""

    def answer(self, holder: KeyReport) -> dict[str, Any]:
        """See ``_View``."""
        left, used, unlimited = self.figures(holder)
        amount = _number(_UNLIMITED if unlimited else _amount(left + used, self._state.options))
        by_key = self._state.options.get("DisplayTokenStatEnabled", "true") == "true"
        return {
            "object": "billing_subscription",
            "has_payment_method": True,
            "soft_limit_usd": amount,
            "hard_limit_usd": amount,
            "system_hard_limit_usd": amount,
            "access_until": max(0, holder.account.expires) if by_key else 0,
        }


class Usage(_Billing):
    """``/dashboard/billing/usage``: what was used in all, in hundredths; dates are not looked at."""

    def answer(self, holder: KeyReport) -> dict[str, Any]:
        """See ``_View``."""
        amount = _amount(self.figures(holder)[1], self._state.options)
        return {"object": "list", "total_usage": _number(amount * 100)}


class TokenUsage(_View):
    """``/api/usage/token``: the key in quota units."""

    def answer(self, holder: KeyReport) -> dict[str, Any]:
        """See ``_View``."""
        account = holder.account
        data = {
            "object": "token_usage",
            "name": account.token_name,
            "total_granted": account.remain_quota + holder.used,
            "total_used": holder.used,
            "total_available": account.remain_quota,
            "unlimited_quota": account.unlimited,
            "model_limits": dict.fromkeys(holder.limits, True),
            "model_limits_enabled": holder.limited,
            "expires_at": max(0, account.expires),
        }
        return {"code": True, "message": "ok", "data": data}


class TokenLimits(_View):
    """``/api/usage/limits``: what binds the key now, as ``/api/v2/keys/:id/limits`` has it."""

    def answer(self, holder: KeyReport) -> dict[str, Any]:
        """See ``_View``."""
        bounds = in_force.in_force(self._state.upstream, self._state.snapshot, holder.account)
        return {"success": True, "message": "", "data": [limits.tell(bound) for bound in bounds]}


class TokenLogs(_View):
    """``/api/log/token``: the newest log rows of the key. Older tools send the key as a parameter of the address."""

    query = "key"

    def answer(self, holder: KeyReport) -> dict[str, Any]:
        """See ``_View``."""
        return {"success": True, "message": "", "data": log_rows(self._state.log_db, holder.account)}


def _amount(units: int, options: Any) -> float:
    """Quota units in the currency that the console shows."""
    shown = options.get("general_setting.quota_display_type", "")
    if not shown and options.get("DisplayInCurrencyEnabled", "true") != "true":
        shown = "TOKENS"
    if shown == "TOKENS":
        return units
    amount = units / (_float(options, "QuotaPerUnit", QUOTA_PER_UNIT) or QUOTA_PER_UNIT)
    return amount * _float(options, "USDExchangeRate", _RATE) if shown == "CNY" else amount


def _float(options: Any, name: str, default: float) -> float:
    try:
        return float(options.get(name) or default)
    except ValueError:
        return default


def _number(value: float) -> Any:
    """A whole amount without a point and a small one without an exponent, as the tools' own servers write them."""
    if value == int(value):
        return int(value)
    return orjson.Fragment(f"{Decimal(repr(value)):f}") if abs(value) >= _EXPONENT else value
