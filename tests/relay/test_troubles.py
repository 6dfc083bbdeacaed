"""What happens to a channel is told: in the log, once a minute, and to who asks ``/readyz``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.relay import plain
from tests.relay.conftest import provider
from tests.relay.scripted import Say, Upstream
from tests.support import PATIENCE, Gateway, until

SECRET = "sk-of-the-operator-7731"
KEYLESS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: keyless}
extends: openai
spec: {models: [keyless-1], credential: {secretRef: {file: nowhere.key}}}
"""


class Vendor(Upstream):
    """Refuses or answers, as told."""

    def __init__(self) -> None:
        super().__init__()
        self.well = False
        self.script = self._answer

    def _answer(self, say: Say) -> None:
        if self.well:
            say.whole(plain.whole("openai.chat"))
        else:
            said = f"Incorrect API key provided: {SECRET}. Find yours at our page."
            say.whole({"error": {"message": said, "code": "invalid_api_key"}}, 401)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Vendor]]:
    vendor = Vendor()
    more = "  credential: {secretRef: {env: GATEWRIGHT_KEY_TROUBLED}}\n"
    own = provider("troubled", vendor.base, "openai.chat", "m-1", more=more).replace("scheme: none", "scheme: bearer")
    env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{vendor.port}", "GATEWRIGHT_KEY_TROUBLED": SECRET}
    gateway = Gateway(tmp_path_factory.mktemp("troubles"), specs={"own.yaml": f"{own}\n---{KEYLESS}"}, env=env)
    try:
        gateway.ready()
        yield gateway, vendor
    finally:
        gateway.stop()
        vendor.close()


def _ask(gateway: Gateway) -> requests.Response:
    return gateway.post("/v1/chat/completions", {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]})


def _channels(gateway: Gateway) -> dict:
    headers = {"authorization": f"Bearer {gateway.key}"}
    return requests.get(gateway.base + "/readyz", headers=headers, timeout=PATIENCE).json()["channels"]


def _log(gateway: Gateway) -> str:
    return gateway.output


def _lines(gateway: Gateway, text: str) -> list[str]:
    return [line for line in _log(gateway).splitlines() if text in line]


def test_a_refused_key_is_told_once_and_shown_until_it_is_mended(site: tuple[Gateway, Vendor]) -> None:
    gateway, vendor = site
    vendor.well = False
    answers = [_ask(gateway) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {502}
    request_id = answers[0].headers["x-request-id"]
    told = until(lambda: _lines(gateway, "channel troubled fails"))
    assert len(told) == 1, told
    assert all(
        word in told[0] for word in ("upstream_auth", "401", request_id, "Incorrect API key", "explain --model m-1")
    )
    assert SECRET not in _log(gateway)
    failing = _channels(gateway)["failing"]
    assert [(one["channel"], one["meaning"], one["failures"]) for one in failing] == [("troubled", "upstream_auth", 3)]
    assert SECRET not in str(failing)
    vendor.well = True
    until(lambda: _ask(gateway).status_code == 200)
    assert len(until(lambda: _lines(gateway, "channel troubled is well again"))) == 1
    assert _channels(gateway)["failing"] == []


def test_what_is_left_out_is_shown_with_its_reason(site: tuple[Gateway, Vendor]) -> None:
    gateway, _ = site
    left_out = _channels(gateway)["leftOut"]
    assert len(left_out) == 1
    assert all(word in left_out[0] for word in ("keyless", "nowhere.key"))
    assert "channels" not in requests.get(gateway.base + "/readyz", timeout=PATIENCE).json()
