"""Attacks and accidents that were found once, each a file beside this checkout; further ones are run the same way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.reports import public
from tests.reports.cases import files
from tests.reports.gateways import Site
from tests.reports.security import SECRET, Bench, documents, run
from tests.reports.upstream import ReportUpstream

CASES = files("security", "json")
_numbers = count(1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, Any]], Bench]]:
    """One gateway for all cases of equal settings; one of its own for a case that is to be alone."""
    with ExitStack() as stack:
        made: dict[str, Bench] = {}

        def get(case: dict[str, Any]) -> Bench:
            settings = {name: str(told) for name, told in case.get("settings", {}).items()}
            kind = json.dumps([settings, bool(case.get("public")), case["id"] if case.get("alone") else ""])
            if kind not in made:
                upstream = ReportUpstream()
                stack.callback(upstream.close)
                beside = None
                if case.get("public"):
                    beside = ReportUpstream(stack.enter_context(public.address()))
                    stack.callback(beside.close)
                env = {"GATEWRIGHT_EGRESS_ALLOW": f"127.0.0.1:{upstream.port}", "GATEWRIGHT_KEY_REPORTS": SECRET}
                place = tmp_path_factory.mktemp("security") / "site"
                site = Site(place, {"reports.yaml": documents(upstream)}, env={**env, **settings})
                stack.callback(site.close)
                made[kind] = Bench(site, upstream, beside)
            return made[kind]

        yield get


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_was_found_by_trial_holds(path: Path, bench: Callable[[dict[str, Any]], Bench]) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    wrong = run(bench(case), case, next(_numbers))
    assert not wrong, f"{case.get('want', '')}\n" + "\n".join(wrong)


def test_there_are_cases() -> None:
    from tests.support import missing

    if not CASES:
        missing("the cases of reports are not beside this checkout (GATEWRIGHT_REPORTS names their place)")
