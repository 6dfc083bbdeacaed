"""New API's lists and statistics have bounds and say so; an option that nothing here reads says so when it is set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from engine.accounts import first_start
from engine.catalogue import options
from engine.reports.calls import MOST_ROWS
from engine.settings import Settings
from engine.storage.tables.core import logs
from tests.api.test_management import PASSWORD, Site

NOW = int(time.time())
DAY = 86_400
FEW = 30
"""Rows of one model; all rows are more than are counted."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    site = Site(Settings(data=Path(tmp_path_factory.mktemp("lists"))))
    first_start.make_root(site.worker.db, "root", PASSWORD)
    usual = {"user_id": 1, "username": "root", "type": 2, "quota": 1, "channel_id": 1, "token_id": 1, "content": ""}
    rows = [
        {**usual, "created_at": NOW - number, "model_name": "few" if number < FEW else "many"}
        for number in range(MOST_ROWS + FEW + 5)
    ]
    rows.append({**usual, "created_at": NOW - 40 * DAY, "model_name": "few of old"})
    site.worker.db.write(lambda connection: connection.execute(insert(logs), rows) and None)
    token = site.login("root").json["data"]["access_token"]

    def ask(path: str, method: str = "GET", body: Any = None) -> Any:
        return site.ask(method, path, body, authorization=f"Bearer {token}")

    yield ask
    site.worker.db.close()


def test_a_total_is_exact_up_to_its_bound_and_told_as_that_beyond(root: Any) -> None:
    few = root("/api/log/?model_name=few&page_size=20&p=2").json["data"]
    assert (few["total"], few["total_is_bounded"], len(few["items"])) == (FEW, False, FEW - 20)
    many = root("/api/log/?model_name=many&page_size=20").json["data"]
    assert (many["total"], many["total_is_bounded"]) == (MOST_ROWS, True)
    assert root("/api/log/self?page_size=20").json["data"]["total_is_bounded"] is True


def test_a_page_beyond_the_bound_is_refused_and_says_to_filter(root: Any) -> None:
    last = root(f"/api/log/?page_size=100&p={MOST_ROWS // 100}")
    assert (last.status_code, len(last.json["data"]["items"])) == (200, 100)
    for path in ("/api/log/", "/api/log/self"):
        beyond = root(f"{path}?page_size=100&p={MOST_ROWS // 100 + 1}")
        assert beyond.status_code == 400
        assert (beyond.json["success"], beyond.json["code"]) == (False, "invalid")
        assert "filter" in beyond.json["message"]


def test_a_pattern_is_of_a_month_at_most(root: Any) -> None:
    assert root("/api/log/?model_name=few%20of%20old").json["data"]["total"] == 1
    for path in ("/api/log/", "/api/log/self"):
        assert root(f"{path}?model_name=fe%25").json["data"]["total"] == FEW, "without a range it is the newest month"
    assert root("/api/log/stat?model_name=fe%25").json["data"]["quota"] == FEW
    month = f"/api/log/?model_name=fe%25&end_timestamp={NOW}&start_timestamp="
    assert root(f"{month}{NOW - 31 * DAY}").json["data"]["total"] == FEW
    for path in (month, month.replace("/log/?", "/log/stat?")):
        longer = root(f"{path}{NOW - 32 * DAY}")
        assert longer.json["success"] is False
        assert "31 days" in longer.json["message"]


def test_a_question_that_no_sum_answers_is_of_a_month_and_says_so(root: Any) -> None:
    flow = f"/api/data/flow?end_timestamp={NOW}&start_timestamp="
    assert root(f"{flow}{NOW - 31 * DAY}").json["success"] is True
    longer = root(f"{flow}{NOW - 32 * DAY}").json
    assert (longer["success"], "31 days" in longer["message"]) == (False, True)


def test_sums_are_of_hours_days_or_the_whole_time_and_not_of_any_number(root: Any) -> None:
    counts = {}
    for step in ("hour", "day", "whole"):
        items = root(f"/api/v2/reports/hours?since={NOW - 3 * DAY}&step={step}").json["items"]
        counts[step] = sum(row["calls"] for row in items)
        assert step != "whole" or [row["hour"] for row in items] == [0]
        assert all(row["hour"] % {"hour": 3600, "day": DAY, "whole": 1}[step] == 0 for row in items)
    assert counts == dict.fromkeys(counts, MOST_ROWS + FEW + 5)
    assert root("/api/v2/reports/hours?step=year").status_code == 400


@pytest.mark.parametrize("used", [True, False])
def test_an_option_that_nothing_reads_says_so(root: Any, used: bool) -> None:
    """Every one of them that a switch or a number can be set to."""
    samples = {"boolean": "true", "integer": "7", "number": "7"}
    wrong = []
    for option in options.known().values():
        if option.used is not used or option.readonly or option.type not in samples:
            continue
        answer = root("/api/option/", "PUT", {"key": option.name, "value": option.default or samples[option.type]})
        told = answer.json.get("no_effect", False)
        if answer.json["success"] and told is used:
            wrong.append((option.name, answer.json))
    assert wrong == []
