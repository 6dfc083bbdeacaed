"""The soak in small: a gateway with two workers, killed again and again; and money that two hundred calls want."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.soak.site import Seen, Site, check, run
from tests.support import until

pytestmark = pytest.mark.xdist_group("ledger-crash")


def test_workers_and_masters_are_killed_and_the_books_agree(tmp_path):
    site = Site(tmp_path)
    try:
        kinds = [site.kill_worker, site.kill_worker, lambda _: site.kill_all()]
        seen = run(site, 400, chaos=lambda chance: chance.choice(kinds)(chance), every=0.8)
        line = check(site, seen)
        assert sum(site.kills.values()) >= 1, line
        assert len(seen.done) > 20, line
    finally:
        site.close()


def test_two_hundred_parallel_calls_on_money_for_ten_let_ten_through(crowds, kind):
    each = 20_000 + 100  # max_tokens, and a little more than the input's estimate
    site = crowds(kind)
    site.payer("ten", each * 10)
    seen, before, numbers = Seen(), site.upstream.waiting, range(1001, 1201)
    try:
        site.upstream.hold.clear()
        with ThreadPoolExecutor(200) as pool:
            sent = [pool.submit(site.send, number, "whole", seen) for number in numbers]
            try:
                until(lambda: sum(one.done() for one in sent) >= 190)
                until(lambda: site.upstream.waiting - before >= 10)
                refused, held = sum(one.done() for one in sent), site.upstream.waiting - before
            finally:
                site.upstream.hold.set()
        assert (refused, held) == (190, 10)
        assert seen.statuses == {"200": 10, "402": 190}
        assert site.settle().agrees
        charged = {int(name[1:]): quota for name, quota, _ in site.rows()}
        assert {number: charged.get(number) for number in numbers if number in charged} == {
            number: 10 + number for number in seen.done
        }
        assert len(set(site.worker_pids())) == 4
        # all that was not spent is free again
        site.send(1500, "whole", seen)
        assert 1500 in seen.done
    finally:
        site.upstream.hold.set()


def test_who_leaves_pays_for_what_was_produced_and_failures_are_free(tmp_path):
    site = Site(tmp_path, workers=1)
    seen = Seen()
    try:
        site.send(100, "leave", seen)
        site.send(101, "fail", seen)
        site.send(102, "stream", seen)
        until(lambda: len(site.rows()) >= 2)
        assert site.settle().agrees
        charged = {name: (quota, source) for name, quota, source in site.rows()}
        assert charged["n102"] == (112, "upstream")
        quota, source = charged["n100"]
        assert source in ("counted", "estimated")
        assert 5 <= quota < 40, "a few words in, a few words out, not the 110 that it would have been"
        assert "n101" not in charged
    finally:
        site.close()


def test_the_last_bytes_leave_when_the_call_is_in_the_journal(tmp_path):
    """Kill the worker the moment that a caller has the end of its answer: the call is charged nevertheless."""
    site = Site(tmp_path, workers=1)
    seen = Seen()
    try:
        for number in range(1, 6):
            for mode in ("stream", "whole"):
                one = number * 10 + (mode == "whole")
                site.send(one, mode, seen)
                if one in seen.done:
                    for pid in site.worker_pids():
                        _kill(pid)
                time.sleep(0.3)
        assert len(seen.done) >= 5
        check(site, seen)
    finally:
        site.close()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
