"""New API's recorded story, told to a running gateway; then every route with bodies that nobody should send."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.api.resources import newapi, v2
from tests.support import PATIENCE, ROOT, Gateway, missing

GOLDEN = ROOT.parent / "shared" / "tools" / "golden.py"
ON_PURPOSE = tomllib.loads((ROOT / "tests" / "api" / "golden_differences.toml").read_text(encoding="utf-8"))
PASSWORD = "password-root-1"
BODIES: tuple[Any, ...] = (
    *("", "[", "null", "[]", "1", '"x"', "{}", '{"id":"x","ids":"x","key":[],"name":{},"channel":[],"items":7}'),
    '{"id":-1,"ids":[-1],"user_id":-5,"key":"\\u0000","name":"\' OR 1=1 --","username":"{{7*7}}","value":1e999}',
    '{"id":9223372036854775807,"ids":[9223372036854775807],"quota":-9223372036854775808,"name":"' + "x" * 70_000 + '"}',
)
QUERIES = (
    "?p=-1&page_size=-5&type=x&status=%00&keyword=%25%25%25&start_timestamp=9&end_timestamp=1&sort_by=password",
    "?p=1000000000&page_size=1000000000&keyword='%20OR%201=1&start_timestamp=abc&status_only=true&mode=by_moon",
)
pytestmark = pytest.mark.timeout(600)  # the story is 766 calls
REACHING = ("upstream", "test", "balance", "fetch", "ratio_sync", "discovery")
"""Routes that call elsewhere; they are walked with what names nobody."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    env = {
        "GATEWRIGHT_FIRST_START": "open",
        "GATEWRIGHT_EGRESS_ALLOW": "127.0.0.1",
        "CRITICAL_RATE_LIMIT_ENABLE": "false",
    }
    one = Gateway(tmp_path_factory.mktemp("golden"), priced=True, env=env, may_stall=True)
    (one.data / "first.key").write_text("none")  # nobody makes a first key here
    one.ready()
    yield one
    one.stop()


def test_new_apis_own_answers_to_one_story(gateway: Gateway) -> None:
    if not GOLDEN.exists():
        missing(f"the recorded answers of New API are not here: {GOLDEN}")
    command = [sys.executable, str(GOLDEN), "compare", gateway.base, "--password", PASSWORD, "--patience", "5"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False).stdout
    assert re.search(r"^\d+ of 766 steps alike", told, re.MULTILINE), told[-2000:]
    differing = {line.partition(": ")[0]: line for line in told.splitlines() if re.match(r"[a-z][\w.-]*: ", line)}
    known = [step for one in ON_PURPOSE["difference"] for step in one["steps"]]
    assert [line for step, line in differing.items() if step not in known] == []
    assert [step for step in known if step not in differing] == [], "these are alike: take them out of the list"
    assert len(known) == len(set(known))
    assert all(one["why"] for one in ON_PURPOSE["difference"])
    assert " 500" not in "".join(re.findall(r"status \d+", told))


def root_of(gateway: Gateway) -> dict[str, str]:
    body = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
    requests.post(f"{gateway.base}/api/setup", json=body, timeout=PATIENCE)  # where the story was not told
    answer = requests.post(f"{gateway.base}/api/user/login", json=body, timeout=PATIENCE).json()
    assert answer["success"], answer
    return {"authorization": f"Bearer {answer['data']['access_token']}"}


def test_no_route_fails_whatever_is_sent(gateway: Gateway) -> None:
    headers = {**root_of(gateway), "content-type": "application/json", "if-match": "*"}
    faults, session = [], requests.Session()
    for route in (*newapi.ROUTES, *v2.ROUTES):
        if "logout" in route.path or route.path == "/api/user/self" or "revoke" in route.path:
            continue
        path = re.sub(r":\w+", "999999999", route.path)
        bodies = BODIES if route.body is not None and not any(word in path for word in REACHING) else BODIES[:7]
        tries = [(QUERIES[0], body) for body in (bodies if route.method != "GET" else ("",))]
        for query, body in [*tries, (QUERIES[1], "{}" if route.method != "GET" else "")]:
            url = gateway.base + path + query
            answer = session.request(route.method, url, data=body, headers=headers, timeout=60)
            if answer.status_code >= 500:
                faults.append((route.method, path, body[:60], answer.status_code, answer.text[:200]))
    session.close()
    assert faults == []


def test_texts_in_variables_of_paths_are_refused(gateway: Gateway) -> None:
    headers = root_of(gateway)
    for route in (*newapi.ROUTES, *v2.ROUTES):
        if ":" in route.path and route.method == "GET":
            path = re.sub(r":\w+", "%00'%20OR%201", route.path)
            answer = requests.get(gateway.base + path, headers=headers, timeout=PATIENCE)
            assert answer.status_code < 500, (path, answer.text)


def test_the_log_is_exported_beside_the_workers_as_it_is_listed(gateway: Gateway) -> None:
    headers = root_of(gateway)
    listed, place = [], ""
    while True:
        page = requests.get(f"{gateway.base}/api/v2/logs?limit=200{place}", headers=headers, timeout=PATIENCE).json()
        listed += page["items"]
        if page["next"] is None:
            break
        place = f"&cursor={page['next']}"
    export = f"{gateway.base}/api/v2/logs/export"
    lines = requests.get(f"{export}?format=jsonl", headers=headers, timeout=PATIENCE).text.splitlines()
    # the login of this very test may be among the newest
    assert [json.loads(line)["id"] for line in lines][-len(listed) :] == [row["id"] for row in listed]
    told = requests.get(f"{export}?format=csv&type=call", headers=headers, timeout=PATIENCE)
    assert told.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(told.text)))
    calls = [row for row in listed if row["type"] == "call"]
    assert [row["request_id"] for row in rows] == [row["request_id"] for row in calls]
    body = {"name": "operator", "unlimited": True}
    key = requests.post(f"{gateway.base}/api/v2/keys", json=body, headers=headers, timeout=PATIENCE).json()["key"]
    served = requests.get(f"{gateway.base}/readyz", headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE).json()
    assert served["large"]["served"] >= 2, served
    refused = requests.get(f"{export}?format=xml", headers=headers, timeout=PATIENCE)
    assert (refused.status_code, refused.json()["field"]) == (400, "format")
    assert requests.get(export, timeout=PATIENCE).status_code == 401


def test_sums_of_calls_are_those_of_the_log(gateway: Gateway) -> None:
    headers = root_of(gateway)
    hours = f"{gateway.base}/api/v2/reports/hours"
    told = requests.get(hours, headers=headers, timeout=PATIENCE).json()["items"]
    data = requests.get(f"{gateway.base}/api/data/", headers=headers, timeout=PATIENCE).json()["data"]
    by_model = requests.get(f"{hours}?dimension=model", headers=headers, timeout=PATIENCE).json()["items"]
    for name, other in (("calls", "count"), ("quota", "quota")):
        assert sum(row[name] for row in told) == sum(row[name] for row in by_model) == sum(row[other] for row in data)


def test_data_directory_is_where_the_session_secret_is(gateway: Gateway) -> None:
    path: Path = gateway.data / "session.secret"
    assert path.stat().st_mode & 0o077 == 0
