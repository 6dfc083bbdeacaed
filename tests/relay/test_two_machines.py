"""Two machines, two workers each, over one Redis: limits and breakers hold as if there were one of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from engine.cluster.redis import Redis
from tests.cluster.test_rates import Server
from tests.cluster.test_shared_space import kept
from tests.relay import plain
from tests.relay.conftest import provider
from tests.relay.scripted import Upstream
from tests.relay.test_limits import ask
from tests.support import PATIENCE, Gateway, until

pytestmark = pytest.mark.xdist_group("two machines")
_POLICY = """
apiVersion: gatewright/v1
kind: Policy
metadata: {name: zz}
spec:
  breaker: {failures: 3, window: 60, coolDown: 1, longest: 2}
  rateLimits:
    all: {requests: 20, per: hour, when: {models: ["^shared$"]}}
    calls: {by: [key], requests: 100000, per: hour, when: {models: ["^talk$"]}}
    day: {by: [user], requests: 100000, per: day, when: {models: ["^talk$"]}}
    address: {by: [address], requests: 100000, per: minute, when: {models: ["^talk$"]}}
  affinity: {rules: {talks: {models: ["^talk$"], keys: [{header: x-talk}]}}}
---
apiVersion: gatewright/v1
kind: Route
metadata: {name: both}
spec:
  channels:
    - {name: first, provider: dead, models: [m], priority: 5}
    - {name: second, provider: well, models: [m, shared, talk]}
    - {name: third-account, provider: other, models: [talk]}
"""
_SHORTEST = 0.85
"""Of a cool-down of a second, less its tenth and what it takes to answer."""
_ALONE = ("limits are counted by this machine alone", "channels are set aside by this machine alone")
_BACK = "Redis is back: what is set aside is told to all machines again"


class Cluster:
    """The machines, their Redis and two accounts; ``arrived`` are the moments of calls to the one that is dead."""

    def __init__(self, folder: Path) -> None:
        self.dead, self.well, self.other, self.server = Upstream(), Upstream(), Upstream(), Server(folder)
        self.arrived: list[float] = []
        self.dead.script = lambda say: (
            self.arrived.append(time.monotonic()),
            say.whole(plain.error("openai.chat", status=503), 503),
        )
        self.well.script = self.other.script = lambda say: say.whole(plain.whole("openai.chat", "ok"))
        accounts = {"dead": self.dead, "well": self.well, "other": self.other}
        documents = [provider(name, upstream.base, "openai.chat") for name, upstream in accounts.items()]
        env = {
            "GATEWRIGHT_EGRESS_ALLOW": ",".join(f"127.0.0.1:{account.port}" for account in accounts.values()),
            "REDIS_CONN_STRING": self.server.url,
            "CRYPTO_SECRET": "what stands in Redis is nobody else's",
        }
        specs = {"zz.yaml": "---".join([*documents, _POLICY])}
        self.machines = [Gateway(folder / name, specs=specs, env=env, workers=2) for name in ("one", "two")]

    def close(self) -> None:
        self.server.stop()
        for machine in self.machines:
            machine.stop()
            assert "Traceback" not in machine.output, machine.output
        for account in (self.dead, self.well, self.other):
            account.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        for machine in made.machines:
            machine.ready()
        yield made
    finally:
        made.close()


def aside(machine: Gateway) -> int:
    """How many channels a machine has set aside."""
    bearer = {"authorization": f"Bearer {machine.key}"}
    reply = requests.get(f"{machine.base}/metrics", headers=bearer, timeout=PATIENCE)
    line = next(line for line in reply.text.splitlines() if line.startswith("gatewright_channels_aside "))
    return int(float(line.rpartition(" ")[2]))


def test_two_machines_share_their_limits(cluster: Cluster) -> None:
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda number: ask(cluster.machines[number % 2], "shared"), range(60)))
    assert sum(reply.status_code == 200 for reply in replies) == len(cluster.well.got) == 20


def test_a_dead_account_sees_three_calls_and_one_probe_in_a_cool_down_of_two_machines(cluster: Cluster) -> None:
    machines, arrived = cluster.machines, cluster.arrived
    statuses = [ask(machines[number % 2], "m").status_code for number in range(3)]
    until(lambda: all(aside(machine) == 1 for machine in machines))
    ends = time.monotonic() + PATIENCE

    def call(number: int) -> list[int]:
        codes = []
        while len(arrived) < 5 and time.monotonic() < ends:
            codes.append(ask(machines[number % 2], "m").status_code)
            time.sleep(0.2)
        return codes

    with ThreadPoolExecutor(4) as pool:
        statuses += [code for codes in pool.map(call, range(4)) for code in codes]
    assert set(statuses) == {200}, "another account answers"
    gaps = [later - earlier for earlier, later in pairwise(arrived[2:])]
    assert len(gaps) >= 2, "one probe after a second, and one each two seconds from then on"
    assert min(gaps) > _SHORTEST, gaps
    assert min(gaps[1:]) > 2 * _SHORTEST, gaps


def _more_than(redis: Redis, size: int) -> bool:
    """Whether Redis has more keys than it had."""
    return bool(redis.run(("DBSIZE",))[0] > size)


def trips(redis: Redis) -> int:
    """How many times Redis has read something that was sent."""
    text = redis.run(("INFO", "stats"))[0].decode()
    return next(int(line.partition(":")[2]) for line in text.split() if line.startswith("total_reads_processed:"))


def test_a_conversation_stays_at_its_account_whichever_machine_it_comes_to(cluster: Cluster) -> None:
    """Twelve conversations of six steps, each step at another machine: one round trip a step, three limits included."""
    redis, steps, talks = Redis(cluster.server.url), 6, 12
    assert ask(cluster.machines[0], "talk").status_code == 200, "from now on only conversations add keys"
    before = len(cluster.well.got), len(cluster.other.got)
    for number in range(talks):
        counts, size = (len(cluster.well.got), len(cluster.other.got)), redis.run(("DBSIZE",))[0]
        for step in range(steps):
            reply = ask(cluster.machines[step % 2], "talk", headers={"x-talk": f"talk {number}"})
            assert reply.status_code == 200
            until(partial(_more_than, redis, size), every=0.005)
        came = len(cluster.well.got) - counts[0], len(cluster.other.got) - counts[1]
        assert sorted(came) == [0, steps], f"talk {number}: {came}"
    assert min(len(cluster.well.got) - before[0], len(cluster.other.got) - before[1]) > 0, "both have some"
    first, calls = trips(redis), 40
    for number in range(calls):
        ask(cluster.machines[number % 2], "talk", headers={"x-talk": f"talk {number % talks}"})
    asked = trips(redis) - first
    assert calls <= asked <= calls + 16, f"{asked} round trips for {calls} calls; listeners ask once in five seconds"
    text = kept(cluster.server)
    assert text.count(b"gatewright:") > talks
    assert not [word for word in (b"talk", b"limit", b"third-account", b"shared") if word in text], text
    redis.close()


def test_while_redis_is_away_each_machine_goes_on_alone_and_nothing_is_started_again(cluster: Cluster) -> None:
    cluster.server.stop()
    first, second = cluster.machines
    assert [ask(machine, "m").status_code for machine in (first, second) for _ in range(3)] == [200] * 6
    replies = [ask(first, "shared") for _ in range(25)]
    assert sum(reply.status_code == 200 for reply in replies) == 20, "its own count begins when Redis is away"
    for machine in (first, second):
        machine.wait_for(_ALONE[1])
        assert machine.output.count(_ALONE[1]) <= 4, "each process once"
    assert 1 <= first.output.count(_ALONE[0]) <= 2, "each worker once"
    cluster.server.start()
    for machine in (first, second):
        machine.wait_for(_BACK)
