"""Channels are found by group and model, and drawn by priority and weight, never one twice."""

import random
from collections import Counter
from types import SimpleNamespace

from engine.routing.channel import LiveChannel
from engine.routing.order import USUAL
from engine.routing.pulse import Pulse
from engine.routing.table import Table
from engine.strategies.tier import Scene, Tier

PROVIDER = SimpleNamespace(name="p", formats={}, base_url="http://x", model_names={})


def channel(name, models=("m",), groups=("default",), priority=0, weight=1, **more):
    return LiveChannel(0, name, PROVIDER, (), frozenset(models), groups, priority, weight, **more)


def draw(channels, chance):
    """As channels are ordered where no Route says how."""
    call = SimpleNamespace(kept=None, asked="m", account=None)
    return list(USUAL.channels(Tier(channels), Scene(call, chance, Pulse(), lambda one: 0.0)))


def test_higher_priority_comes_first_whatever_the_weight():
    a, b, c = channel("a", weight=100), channel("b", priority=5), channel("c", priority=5, weight=3)
    for seed in range(20):
        order = draw([a, b, c], random.Random(seed))
        assert order[2] is a
        assert {one.name for one in order[:2]} == {"b", "c"}


def test_the_odds_of_being_first_follow_the_weights():
    channels = [channel("a", weight=1), channel("b", weight=3)]
    chance = random.Random(1)
    first = Counter(draw(channels, chance)[0].name for _ in range(4000))
    assert 0.22 < first["a"] / 4000 < 0.28


def test_weight_zero_is_only_a_last_resort_beside_others_and_even_among_its_like():
    chance = random.Random(2)
    assert all(draw([channel("z", weight=0), channel("a")], chance)[0].name == "a" for _ in range(50))
    first = Counter(draw([channel("x", weight=0), channel("y", weight=0)], chance)[0].name for _ in range(1000))
    assert 400 < first["x"] < 600


def test_each_channel_is_drawn_once():
    channels = [channel(str(i), weight=i) for i in range(6)]
    assert sorted(one.name for one in draw(channels, random.Random(3))) == ["0", "1", "2", "3", "4", "5"]


def test_a_group_sees_only_its_models_and_a_star_serves_the_rest():
    table = Table([channel("a", ("m1", "m2")), channel("b", ("m3",), ("vip",)), channel("c", ("*",), ("vip",))])
    assert table.models(["default"]) == ["m1", "m2"]
    assert table.models(["vip"]) == ["m3"]
    assert [one.name for one in table.candidates("vip", "m3")] == ["b"]
    assert [one.name for one in table.candidates("vip", "anything")] == ["c"]
    assert not table.candidates("default", "m3")
    assert table.nearest(["default"], "m11") == "m1"


def test_model_mapping_follows_chains_and_ends_in_a_circle():
    one = channel("a", model_mapping={"x": "y", "y": "z"})
    assert one.mapped("x") == "z"
    assert one.mapped("other") == "other"
    assert channel("b", model_mapping={"x": "y", "y": "x"}).mapped("x") == "y"
    assert channel("c", model_mapping={"x": "x"}).mapped("x") == "x"


def test_several_keys_take_turns_when_polling():
    one = LiveChannel(0, "a", PROVIDER, ("k1", "k2", "k3"), frozenset(), (), polling=True)
    assert sorted(one.key() for _ in range(6)) == ["k1", "k1", "k2", "k2", "k3", "k3"]
