"""Tests that share something of their module run in one process: it is made once, not once in each process.

And what there is one of in each process: the browser, since Playwright takes no second one beside it, and a database
on each server.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.databases import db, empty, kind, lite, opened, shared, sheets
from tests.support import PATIENCE, missing

__all__ = ["db", "empty", "kind", "lite", "opened", "shared", "sheets"]

LONG = frozenset(
    f"tests/{name}.py"
    for name in (
        "care/test_doctor", "care/test_moved", "cli/test_prices", "compiler/test_extremes", "console/test_places",
        "deploy/test_git", "deploy/test_rolling", "deploy/test_upgrade", "kinds/kept/test_killed",
        "kinds/task/test_killed", "kinds/task/test_results", "ledger/test_crash", "ledger/test_hang",
        "ledger/test_outage", "ledger/test_parallel", "ledger/test_unlogged", "payments/test_killed",
        "payments/test_storm", "relay/test_aside_by_hand", "relay/test_background", "relay/test_continued",
        "relay/test_lane", "relay/test_stopping", "relay/test_two_machines", "releases/test_day",
        "releases/test_live", "releases/test_step_up", "releases/test_trials", "reports/test_security",
        "reports/test_variants", "routing/test_all_golden_fields", "server/test_memory", "server/test_modes",
        "server/test_stop_idle", "settings/test_effects", "storage/test_takeover", "storage/test_takeover_gateway",
        "transport/test_gevent",
    )
)  # fmt: skip
"""Modules that wait for leases and limits, kill servers or look at every page: a minute or more each."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        missing("there is no chromium: apt-get install chromium")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """A module whose tests share a gateway, say, is a group of its own, unless it is part of a larger one.

    Groups with long tests begin first, so that no process is left alone with one at the end; then the largest.
    """
    for item in items:
        if item.nodeid.partition("::")[0] in LONG:
            item.add_marker(pytest.mark.long)
        if item.get_closest_marker("xdist_group") is None and _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    long = {_group(item) for item in items if item.get_closest_marker("long") is not None}
    sizes = Counter(map(_group, items))
    items.sort(key=lambda item: (_group(item) not in long, -sizes[_group(item)]))


def _group(item: Any) -> str:
    mark = item.get_closest_marker("xdist_group")
    return str(item.nodeid if mark is None else mark.args[0] if mark.args else mark.kwargs["name"])


def _shares(item: Any) -> bool:
    information = getattr(item, "_fixtureinfo", None)
    definitions = information.name2fixturedefs.values() if information is not None else ()
    return any(definition[-1].scope in ("module", "package") for definition in definitions if definition)


def pytest_collection_finish(session: Any) -> None:
    """A pytest that its runner in several processes does not know would take groups apart without a word."""
    grouped = [item for item in session.items if item.get_closest_marker("xdist_group") is not None]
    if getattr(session.config.option, "loadgroup", False) and not all("@" in item.nodeid for item in grouped):
        pytest.exit("pytest-xdist does not keep groups of tests together with this version of pytest", 3)
