"""schemathesis asks every operation of the OpenAPI document for what it allows and what it does not.

No answer is a 5xx, and each has the status, the media type, the headers and the schema that the document says. One
case of each operation; nightly more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from tests.support import PATIENCE, Gateway, serving

EACH = 60 if os.environ.get("GATEWRIGHT_NIGHTLY") else 1
CHECKS = ",".join(
    (
        *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
        *("response_headers_conformance", "response_schema_conformance"),
    )
)
LEFT_OUT = ("personal_erase", "users_delete", "tokens_delete", "users_change", "options_change")
"""What would end or change whoever asks, or shut the door behind it; tests/fuzz/test_management.py asks these too."""
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    env = {"CRITICAL_RATE_LIMIT_ENABLE": "false"}
    one = Gateway(tmp_path_factory.mktemp("described"), env=env, may_stall=True)
    with serving(one):
        yield one


def test_every_answer_is_as_the_document_says(gateway: Gateway) -> None:
    body = {"name": "described"}
    made = requests.post(f"{gateway.base}/api/v2/me/tokens", json=body, headers=gateway.root(), timeout=PATIENCE)
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("run", f"{gateway.base}/api/v2/openapi.json", "--phases", "fuzzing", "-n", str(EACH), "--seed", "1"),
        *("--request-timeout", "300"),
        *("-H", f"Authorization: Bearer {made.json()['token']}", "-H", "If-Match: *", "-c", CHECKS),
        *(
            "--continue-on-failure",
            "--no-color",
            "--request-timeout",
            str(PATIENCE),
            "--warnings",
            "off",
            "--suppress-health-check",
            "all",
        ),
        *(part for name in LEFT_OUT for part in ("--exclude-operation-id", name)),
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False, cwd=gateway.data)
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr[-2000:]
    assert "No issues found" in told.stdout or "passed" in told.stdout, told.stdout[-2000:]
    assert "Traceback" not in gateway.output, gateway.output[-4000:]
