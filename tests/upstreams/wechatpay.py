"""WeChat Pay's side (API v3): takes only what its pages say, and writes notices as it does: signed and sealed.

Whatever is not as it has to be is answered with its status and code, and noted in ``refused``.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

from tests.relay.scripted import Arrived, Say

MCH, APP, SERIAL = "1900000109", "wx8888888888888888", "5157F09EFDC096DE15EBE81A47057A72"
V3_KEY = "0123456789abcdef" * 2
_AUTHORIZATION = re.compile(
    r'WECHATPAY2-SHA256-RSA2048 mchid="(?P<mchid>[^"]*)",nonce_str="(?P<nonce>[^"]*)",signature="(?P<sign>[^"]*)",'
    r'timestamp="(?P<time>[0-9]+)",serial_no="(?P<serial>[^"]*)"'
)
_NATIVE, _QUERY = "/v3/pay/transactions/native", "/v3/pay/transactions/out-trade-no/"
_NAMES = {"appid", "mchid", "description", "out_trade_no", "notify_url", "amount"}


def _pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def certificate(key: rsa.RSAPrivateKey) -> str:
    """A platform certificate of a key, in PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
    begun = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(begun).not_valid_after(begun + datetime.timedelta(days=1825))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class WeChatPay:
    """See the module. ``orders`` are those that were made, by number, with what is to be paid in fen."""

    merchant: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    platform: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    orders: dict[str, int] = field(default_factory=dict)
    paid: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)

    @property
    def options(self) -> dict[str, str]:
        """What an operator sets, with a certificate of the platform."""
        values = {"app_id": APP, "mch_id": MCH, "serial_no": SERIAL, "private_key": _pem(self.merchant)}
        values |= {"api_v3_key": V3_KEY, "platform_key": certificate(self.platform)}
        return {f"payment.wechatpay.{name}": value for name, value in values.items()}

    @property
    def public_key(self) -> str:
        """The platform's public key, which is what new merchants get instead."""
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.platform.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()

    def answer(self, say: Say) -> None:
        """Take a call."""
        arrived = say.arrived
        status, code = self._unsigned(arrived)
        if not code:
            status, code = self._made(arrived) if arrived.method == "POST" else self._asked(arrived)
        if code:
            self.refused.append(code)
            say.whole({"code": code, "message": code}, status)
        elif arrived.method == "POST":
            say.whole({"code_url": f"weixin://wxpay/bizpayurl?pr={len(self.orders)}"})
        else:
            number = arrived.path.partition("?")[0].removeprefix(_QUERY)
            state = "SUCCESS" if number in self.paid else "NOTPAY"
            amount = {"total": self.orders[number], "currency": "CNY"}
            say.whole({"out_trade_no": number, "trade_state": state, "amount": amount})

    def _unsigned(self, arrived: Arrived) -> tuple[int, str]:
        """What is wrong with a call before its body is looked at."""
        headers = arrived.headers
        if headers.get("accept") != "application/json" or not headers.get("user-agent"):
            return 400, "PARAM_ERROR: headers"
        words = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if words is None or (words["mchid"], words["serial"]) != (MCH, SERIAL):
            return 401, "SIGN_ERROR: authorization"
        if abs(time.time() - int(words["time"])) > 300 or words["nonce"] in self.nonces or len(words["nonce"]) > 32:
            return 401, "SIGN_ERROR: time or nonce"
        self.nonces.add(words["nonce"])
        signed = f"{arrived.method}\n{arrived.path}\n{words['time']}\n{words['nonce']}\n".encode()
        try:
            signature, public = base64.b64decode(words["sign"]), self.merchant.public_key()
            public.verify(signature, signed + arrived.body + b"\n", padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return 401, "SIGN_ERROR: signature"
        return 200, ""

    def _made(self, arrived: Arrived) -> tuple[int, str]:
        if arrived.path != _NATIVE or arrived.headers.get("content-type") != "application/json":
            return 404, "NOT_FOUND"
        body = arrived.json
        if not set(body) <= _NAMES or (body.get("appid"), body.get("mchid")) != (APP, MCH):
            return 400, "APPID_MCHID_NOT_MATCH"
        if not re.fullmatch(r"[0-9A-Za-z_*-]{6,32}", body.get("out_trade_no", "")) or not body.get("description"):
            return 400, "PARAM_ERROR: out_trade_no or description"
        if not re.fullmatch(r"https://[^?#]+", body.get("notify_url", "")):
            return 400, "PARAM_ERROR: notify_url"
        total = body.get("amount", {}).get("total")
        if type(total) is not int or total < 1 or body["amount"].get("currency") != "CNY":
            return 400, "PARAM_ERROR: amount"
        if self.orders.setdefault(body["out_trade_no"], total) != total:
            return 403, "OUT_TRADE_NO_USED"
        return 200, ""

    def _asked(self, arrived: Arrived) -> tuple[int, str]:
        place, _, query = arrived.path.partition("?")
        if dict(parse_qsl(query)) != {"mchid": MCH}:
            return 400, "PARAM_ERROR: mchid"
        return (200, "") if place.removeprefix(_QUERY) in self.orders else (404, "ORDER_NOT_EXIST")

    def told(self, number: str, **change: Any) -> dict[str, Any]:
        """What a notice of a paid order holds inside."""
        amount = {"total": self.orders.get(number, 1), "payer_total": 1, "currency": "CNY", "payer_currency": "CNY"}
        whole = {"mchid": MCH, "appid": APP, "out_trade_no": number, "transaction_id": "4200", "trade_type": "NATIVE"}
        return {**whole, "trade_state": "SUCCESS", "amount": amount, **change}

    def notice(
        self,
        inside: dict[str, Any],
        *,
        event: str = "TRANSACTION.SUCCESS",
        sealed_by: str = V3_KEY,
        signed_by: rsa.RSAPrivateKey | None = None,
        beside: str = "transaction",
        algorithm: str = "AEAD_AES_256_GCM",
        age: int = 0,
    ) -> tuple[bytes, dict[str, str]]:
        """A notice's body and headers."""
        nonce = "fdasflkja484"
        sealed = AESGCM(sealed_by.encode()).encrypt(nonce.encode(), json.dumps(inside).encode(), b"transaction")
        resource = {"algorithm": algorithm, "ciphertext": base64.b64encode(sealed).decode(), "nonce": nonce}
        resource |= {"associated_data": beside, "original_type": "transaction"}
        whole = {"id": "EV-1", "resource_type": "encrypt-resource", "event_type": event, "resource": resource}
        body, stamp = json.dumps(whole).encode(), str(int(time.time()) - age)
        text = f"{stamp}\nabc\n".encode() + body + b"\n"
        signature = (signed_by or self.platform).sign(text, padding.PKCS1v15(), hashes.SHA256())
        headers = {"wechatpay-timestamp": stamp, "wechatpay-nonce": "abc", "wechatpay-serial": "7"}
        headers |= {"wechatpay-signature": base64.b64encode(signature).decode(), "content-type": "application/json"}
        return body, headers
