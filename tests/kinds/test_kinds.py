"""The list of kinds: documents may name those that are served, and a format of any other is not served at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from engine.compiler.documents.schema import shape_of
from engine.kinds import KINDS
from tests.support import PATIENCE, Gateway

OWN = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: own}
extends: openai
spec:
  kind: KIND
  endpoints: [{operation: OPERATION, path: /v1/own, stream: false}]
"""


def test_documents_may_name_each_kind_and_no_other() -> None:
    pattern = shape_of("Format").schema["properties"]["kind"]["pattern"]
    named = re.findall("[a-z]+", pattern.split("x-")[0])
    assert sorted(named) == sorted(kind.name for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "operation", "status"),
    [("x-other", "generate", 404), ("plain", "get_stored", 404), ("plain", "generate", 400)],
)
def test_what_no_kind_does_is_told(tmp_path: Path, kind: str, operation: str, status: int) -> None:
    gateway = Gateway(tmp_path, specs={"own.yaml": OWN.replace("KIND", kind).replace("OPERATION", operation)})
    try:
        gateway.ready()
        headers = {"authorization": f"Bearer {gateway.key}"}
        method = "GET" if operation == "get_stored" else "POST"
        told = requests.request(method, f"{gateway.base}/v1/own", json={}, headers=headers, timeout=PATIENCE)
        assert told.status_code == status
        assert told.json()["error"]["message"]
    finally:
        gateway.stop()
