"""Each strategy orders channels as docs/routing.md says: its examples are what is tried here, one by one."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.compiler import compile_set, read_set
from engine.program.parts import RouteRules
from engine.routing.channel import LiveChannel
from engine.routing.order import USUAL, Order, order_of, orders
from engine.routing.pulse import Pulse
from engine.strategies import STRATEGIES
from engine.strategies.tier import Scene, Tier

PAGE = Path(__file__).resolve().parents[2] / "docs" / "routing.md"
PROVIDER: Any = SimpleNamespace(name="p", formats={}, base_url="http://x")
EXAMPLE = re.compile(r"(?:^    .*\n)+", re.MULTILINE)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Order]:
    """The Routes of the page, compiled, each by itself."""
    compiled: dict[str, Order] = {}
    blocks = [block for block in EXAMPLE.findall(PAGE.read_text(encoding="utf-8")) if "strategies: [" in block]
    for number, block in enumerate(blocks):
        folder = tmp_path_factory.mktemp(f"example-{number}")
        (folder / "route.yaml").write_text(re.sub(r"^    ", "", block, flags=re.MULTILINE), encoding="utf-8")
        sources, shared, _ = read_set([folder])
        result = compile_set(sources, shared)
        assert not result.faults, result.faults
        (order,) = orders(result.program().routes)
        compiled[order.name] = order
    return compiled


def channel(name: str, **more: Any) -> LiveChannel:
    return LiveChannel(0, name, PROVIDER, (), frozenset({"m"}), ("default",), **more)


def call(**more: Any) -> Any:
    usual = {
        "asked": "m", "kept": None, "stream": False, "size": 100, "headers": {}, "body": {}, "ip": "192.0.2.1",
        "now": int(time.time()), "account": SimpleNamespace(group="default", token_id=1, user_id=1),
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **more})


def ordered(order: Order, channels: list[LiveChannel], asked: Any = None, **scene: Any) -> list[str]:
    seen = {"chance": random.Random(7), "pulse": Pulse(), "cost": lambda one: 0.0, **scene}
    return [one.name for one in order.channels(Tier(channels), Scene(asked or call(), **seen))]


def test_the_page_has_an_example_of_each_strategy(examples: dict[str, Order]) -> None:
    assert {step.name for order in examples.values() for step in order.steps} == set(STRATEGIES)


def test_priority_and_weight(examples: dict[str, Order]) -> None:
    """Chi-square over 4,000 draws: the odds of the first are the weights of the highest priority."""
    channels = [channel("a", weight=1), channel("b", weight=2), channel("c", weight=5), channel("z", priority=-1)]
    chance = random.Random(11)
    firsts = Counter(ordered(examples["plain"], channels, chance=chance)[0] for _ in range(4000))
    due = {"a": 500, "b": 1000, "c": 2500}
    assert sum((firsts[name] - number) ** 2 / number for name, number in due.items()) < 13.8, firsts
    assert ordered(examples["plain"], channels, call(kept="/z"))[3] == "z"


def test_affinity_is_for_the_calls_that_its_when_names(examples: dict[str, Order]) -> None:
    channels = [channel("a"), channel("b", priority=-5)]
    long = call(kept="/b", size=5000)
    assert ordered(examples["long-ones-stay"], channels, long) == ["b", "a"]
    assert ordered(examples["long-ones-stay"], channels, call(kept="/b")) == ["a", "b"]
    assert ordered(USUAL, channels, call(kept="/b")) == ["b", "a"]


def test_latency_takes_the_faster_of_two_and_remembers_failures_as_slow(examples: dict[str, Order]) -> None:
    now = [100.0]
    pulse = Pulse(lambda: now[0])
    for name, seconds in (("/slow", 2.0), ("/fast", 0.1), ("/broken", 0.01)):
        pulse.enter(name)
        pulse.answered(name, seconds)
        pulse.leave(name)
    pulse.failed("/broken", 0.01)
    two = [channel("slow", weight=100), channel("fast")]
    assert ordered(examples["fast"], two, pulse=pulse) == ["fast", "slow"]
    assert ordered(examples["fast"], [channel("broken"), channel("fast")], pulse=pulse)[0] == "fast"
    for _ in range(30):
        pulse.enter("/fast")
    assert ordered(examples["fast"], two, pulse=pulse)[0] == "slow", "30 calls are under way at the fast one"
    assert ordered(examples["fast"], [two[0], channel("new")], pulse=pulse)[0] == "new", "nobody knows it yet"


def test_calls_under_way_go_where_the_fewest_are_for_the_weight(examples: dict[str, Order]) -> None:
    pulse, channels = Pulse(), [channel("a", weight=1), channel("b", weight=3)]
    counted: Counter[str] = Counter()
    for _ in range(400):
        first = ordered(examples["even"], channels, pulse=pulse, chance=random.Random(counted.total()))[0]
        counted[first] += 1
        pulse.enter(f"/{first}")
    assert counted == {"a": 100, "b": 300}


def test_cheapest_goes_by_cost_and_what_is_nearly_as_cheap_by_latency(examples: dict[str, Order]) -> None:
    costs = {"dear": 3.0, "cheap": 1.0, "near": 1.05, "unknown": float("inf")}
    pulse = Pulse()
    pulse.enter("/cheap")
    pulse.answered("/cheap", 1.0)
    names = ordered(
        examples["thrifty"], [channel(name) for name in costs], cost=lambda one: costs[one.name], pulse=pulse
    )
    assert names == ["near", "cheap", "dear", "unknown"]
    assert ordered(examples["thrifty"], [channel(name) for name in costs], call(kept="/dear"))[0] == "dear"


def test_split_sends_each_caller_always_to_the_same(examples: dict[str, Order]) -> None:
    channels = [channel("new-account"), channel("old", tag="t"), channel("older", priority=5)]
    firsts = {}
    for user in range(2000):
        asked = call(account=SimpleNamespace(group="default", token_id=user % 3, user_id=user))
        names = {tuple(ordered(examples["trial"], channels, asked, chance=random.Random(seed))) for seed in range(2)}
        firsts[user] = {each[0] for each in names}
        assert len(firsts[user]) == 1
    shares = Counter(first for firsts_ in firsts.values() for first in firsts_)
    assert set(shares) == {"new-account", "older"}
    assert 140 < shares["new-account"] < 260


def test_the_first_route_that_is_for_a_call_orders_it(examples: dict[str, Order]) -> None:
    listed = [examples["fast"], examples["trial"]]
    vip = SimpleNamespace(group="vip", token_id=1, user_id=1)
    assert order_of(listed, call(account=vip, stream=True)).name == "fast"
    assert order_of(listed, call(account=vip)) is USUAL
    assert order_of(listed, call(asked="chat-large-2")).name == "trial"
    own = orders([RouteRules("own", ("m",), {}, ({"priority": {}},), {})])
    assert order_of(own, call()).name == "own"
    assert order_of(own, call(asked="other")) is USUAL


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("strategies: [{split: {shares: {a: 0, b: 0}}}]", 4, "the shares sum to nothing"),
        ("strategies: [{priorty: {}}]", 4, "nobody reads 'priorty'"),
        ("strategies: [{priority: {}, latency: {}}]", 4, "more or less than one of"),
        ("when: {hours: '9-17'}\n  strategies: [{priority: {}}]", 4, "hours"),
        ("when: {groups: [vip]}", 3, "channels, strategies"),
    ],
)
def test_a_route_that_can_not_be_used_is_told_with_its_line(tmp_path: Path, text: str, place: int, words: str) -> None:
    document = f"apiVersion: gatewright/v1\nkind: Route\nmetadata: {{name: r}}\nspec:\n  {text}\n"
    (tmp_path / "r.yaml").write_text(document)
    sources, shared, _ = read_set([tmp_path])
    faults = compile_set(sources, shared).faults
    assert any(words in fault.message for fault in faults), [fault.message for fault in faults]
    assert all(fault.place.line > place for fault in faults)


def test_a_route_after_one_that_is_for_all_is_never_used(tmp_path: Path) -> None:
    for name in ("a", "b"):
        document = f"apiVersion: gatewright/v1\nkind: Route\nmetadata: {{name: {name}}}\nspec:\n"
        (tmp_path / f"{name}.yaml").write_text(f"{document}  strategies: [{{priority: {{}}}}]\n")
    sources, shared, _ = read_set([tmp_path])
    (fault,) = compile_set(sources, shared).faults
    assert "no call comes to this Route: 'a' before it is for all" in fault.message


NEW_STRATEGY = '''
"""Channels by their names."""
from engine.strategies.record import StrategyFault, StrategyRecord
from engine.strategies.tier import Dividing, grouped


class ByName(Dividing):
    def __init__(self, last: str = "") -> None:
        self._last = last

    def divide(self, tier, scene):
        return grouped(tier, self, lambda channel: (channel.name == self._last, channel.name))


def _check(parameters):
    return StrategyFault(("last",), "nobody is called so", "another name") if parameters.get("last") == "?" else None


LAST = {"last": {"description": "The last.", "type": "string"}}
STRATEGY = StrategyRecord("byName", ByName, "By name.", LAST, (), _check)
'''
TRY_IT = """
import sys
from pathlib import Path
from engine.compiler import compile_set, read_set
from engine.routing.order import orders
from tests.routing.test_strategies import channel, ordered
for name in sys.argv[1:]:
    sources, shared, _ = read_set([Path(name)])
    result = compile_set(sources, shared)
    print([fault.message for fault in result.faults])
    if not result.faults:
        print(ordered(*orders(result.program().routes), [channel(each) for each in "cab"]))
"""


def test_a_strategy_is_one_file_which_documents_may_name_at_once(tmp_path: Path) -> None:
    """A module put beside the others, and nothing else changed: its schema, its check and its order hold."""
    root = PAGE.parents[1]
    (tmp_path / "engine").mkdir()
    for path in (root / "engine").iterdir():
        if path.name not in ("strategies", "__pycache__"):
            (tmp_path / "engine" / path.name).symlink_to(path)
    shutil.copytree(root / "engine" / "strategies", tmp_path / "engine" / "strategies")
    (tmp_path / "engine" / "strategies" / "by_name.py").write_text(NEW_STRATEGY)
    (tmp_path / "tests").symlink_to(root / "tests")
    route = "apiVersion: gatewright/v1\nkind: Route\nmetadata: {{name: r}}\nspec: {{strategies: [{{byName: {}}}]}}\n"
    names = ("right", "unknown", "checked")
    for name, parameters in zip(names, ("{last: a}", "{first: a}", '{last: "?"}'), strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "route.yaml").write_text(route.format(parameters))
    command = [sys.executable, "-c", TRY_IT, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    right, order, unknown, checked = done.stdout.splitlines()
    assert (right, order) == ("[]", "['b', 'c', 'a']")
    assert "nobody reads 'first'" in unknown
    assert "nobody is called so" in checked
