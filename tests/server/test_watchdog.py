"""Stalls are counted in the processor's time, and long work that gives way is none."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import gevent

from engine.server.watchdog import Watchdog
from engine.turns import give_way
from tests.support import ROOT, until


def stalls(site):
    return tuple(map(int, site.ask(b"GET /stalls HTTP/1.1\r\nHost: a\r\n\r\n").body.split()))


def busy(site, milliseconds, turns):
    data = b"GET /busy?%d,%d HTTP/1.1\r\nHost: a\r\n\r\n" % (milliseconds, turns)
    assert site.ask(data).body == b"done"
    time.sleep(0.1)


def test_work_that_holds_up_a_worker_is_counted(short_site):
    count, _ = stalls(short_site)
    busy(short_site, 250, 1)
    until(lambda: stalls(short_site)[0] > count)
    assert stalls(short_site)[0] == count + 1
    assert stalls(short_site)[1] >= 200


def test_work_that_gives_way_and_work_that_waits_are_not(short_site):
    count, _ = stalls(short_site)
    busy(short_site, 40, 10)
    short_site.ask(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stalls(short_site)[0] == count


def test_a_stall_is_told_with_its_place_once_a_minute(caplog):
    watchdog = Watchdog(logging.getLogger("stalls"), 60)
    watchdog.start()
    try:
        gevent.sleep(0.05)
        for count in (1, 2, 3):
            _burn(0.15)
            until(lambda count=count: gevent.sleep(0.05) or watchdog.stalls.count == count, every=0)
    finally:
        watchdog.stop()
    assert watchdog.stalls.count == 3
    told = [record.getMessage() for record in caplog.records if record.name == "stalls"]
    assert len(told) == 1
    assert "test_watchdog.py:_burn" in told[0]


def _burn(seconds):
    begun = time.thread_time()
    while time.thread_time() - begun < seconds:
        pass


def test_giving_way_lets_sockets_be_served_and_costs_nothing_before_it_is_due():
    others = []

    def beside():
        while len(others) < 3:
            others.append(1)
            gevent.sleep(0.001)

    gevent.spawn(beside)
    gevent.sleep(0)
    began = time.thread_time()
    while len(others) < 3 and time.thread_time() - began < 2:
        _burn(0.006)
        give_way()
    assert len(others) == 3


def test_without_a_hub_giving_way_does_nothing():
    code = "import sys; from engine.turns import give_way; give_way(); assert 'gevent' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
