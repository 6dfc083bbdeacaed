"""What a canary is decided by: no difference drops one in a hundred at most, a real one is found."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.errors import Invalid
from engine.releases.canary import BETTER, OPEN, WORSE, Rules, Verdict, look, tally

STRICT: dict[str, Any] = {"errors": 0.0, "latency": 1.0, "losses": 0.0, "cost": 1.0}
"""Bounds that forgive nothing: what is dropped then of releases that are the same is chance alone."""
Make = Callable[[random.Random, float], tuple[bool, float, int, int, float]]
"""A call of a key with some bent (0 to 1): failed, ms, lines of losses, tokens, charge."""


def sums() -> dict[str, float]:
    names = "calls errors timed log_ms log_ms2 losses losses2 tokens quota tokens2 quota_tokens quota2"
    return dict.fromkeys(names.split(), 0.0)


def add(key: dict[str, float], call: tuple[bool, float, int, int, float]) -> None:
    failed, ms, losses, tokens, quota = call
    key["calls"] += 1
    key["errors"] += failed
    key["losses"] += losses
    key["losses2"] += losses**2
    if not failed:
        key["timed"] += 1
        key["log_ms"] += math.log(ms)
        key["log_ms2"] += math.log(ms) ** 2
        key["tokens"] += tokens
        key["tokens2"] += tokens**2
        key["quota"] += quota
        key["quota_tokens"] += quota * tokens
        key["quota2"] += quota**2


def usual(chance: random.Random, bent: float) -> tuple[bool, float, int, int, float]:
    tokens = int(chance.lognormvariate(6, 1))
    charge = tokens * (1 + 2 * bent) + chance.random() * 10
    return chance.random() < 0.03, chance.lognormvariate(6 + bent, 0.7), int(chance.random() < 0.2), tokens, charge


def unequal(chance: random.Random, bent: float) -> tuple[bool, float, int, int, float]:
    """Keys differ much more than the calls of one: a third of them fail often."""
    return chance.random() < (0.3 if bent > 0.66 else 0.01), *usual(chance, bent)[1:]


def broken(chance: random.Random, bent: float) -> tuple[bool, float, int, int, float]:
    """A fifth of the keys always fail, as those of a caller who asks for what there is not; the others never."""
    return bent > 0.8, *usual(chance, bent)[1:]


def rare(chance: random.Random, bent: float) -> tuple[bool, float, int, int, float]:
    """Few keys fail now and then, most of them hardly ever."""
    return chance.random() < bent**12, *usual(chance, bent)[1:]


def followed(
    chance: random.Random,
    rules: Rules,
    old: Make,
    new: Make,
    keys: int | tuple[int, int],
    until: int,
    *,
    even: bool = True,
) -> Verdict | None:
    """A canary from its first call to ``until``: the look that decides, else the last. ``keys`` of the release in force
    and of the canary; but for ``even`` traffic, a few of them call nearly all the time.
    """
    sides = dict(zip(("old", "new"), keys if isinstance(keys, tuple) else (keys, keys), strict=True))
    bents = {arm: [chance.random() for _ in range(count)] for arm, count in sides.items()}
    weights = {arm: [1 if even else chance.paretovariate(1.1) for _ in range(n)] for arm, n in sides.items()}
    counts: Mapping[str, list[dict[str, float]]] = {arm: [sums() for _ in range(n)] for arm, n in sides.items()}
    verdict, looks = None, 0
    callers = {arm: chance.choices(range(n), weights[arm], k=until) for arm, n in sides.items()}
    for call in range(until):
        for arm, make in (("old", old), ("new", new)):
            which = callers[arm][call]
            add(counts[arm][which], make(chance, bents[arm][which]))
        if (fresh := look(rules, looks, counts)) is not None:
            verdict, looks = fresh, fresh.looks
            if verdict.state == WORSE:
                return verdict
    return verdict


@pytest.mark.parametrize("make", [usual, unequal])
def test_of_200_canaries_without_a_difference_four_at_most_are_dropped(make: Make) -> None:
    rules = Rules.of({**STRICT, "least": 50})
    chance = random.Random(17)
    verdicts = [followed(chance, rules, make, make, 12, 420) for _ in range(200)]
    assert all(verdict is not None and verdict.looks == 4 for verdict in verdicts if verdict and verdict.state != WORSE)
    assert sum(verdict is not None and verdict.state == WORSE for verdict in verdicts) <= 4


@pytest.mark.parametrize("make", [unequal, broken, rare])
@pytest.mark.parametrize("keys", [(20, 1), (20, 2), (19, 3), (10, 5), (3, 3), (100, 30)])
@pytest.mark.parametrize("even", [True, False])
def test_however_unlike_keys_are_and_however_few(make: Make, keys: tuple[int, int], even: bool) -> None:
    """Keys are drawn, not calls: that a key which always fails is among the canary's is chance."""
    rules = Rules.of({**STRICT, "least": 50})
    chance = random.Random(29)
    verdicts = [followed(chance, rules, make, make, keys, 110, even=even) for _ in range(200)]
    assert sum(verdict is not None and verdict.state == WORSE for verdict in verdicts) <= 4


def test_with_too_few_keys_nothing_is_decided_and_that_is_told() -> None:
    def all_fail(chance: random.Random, bent: float) -> tuple[bool, float, int, int, float]:
        return True, *usual(chance, bent)[1:]

    chance = random.Random(2)
    few = followed(chance, Rules.of({"least": 50}), usual, all_fail, (20, 1), 60)
    assert few is not None
    assert (few.state, few.few, few.as_json()["few"]) == (OPEN, True, True)
    for rules, keys in (({"least": 50}, (20, 3)), ({"least": 50, "by": "call"}, (1, 1))):
        verdict = followed(chance, Rules.of(rules), usual, all_fail, keys, 60)
        assert verdict is not None
        assert (verdict.state, verdict.few) == (WORSE, False), rules


def spoilt(name: str) -> Make:
    def make(chance: random.Random, bent: float) -> tuple[bool, float, int, int, float]:
        failed, ms, losses, tokens, quota = usual(chance, bent)
        if name == "errors":
            return chance.random() < 0.3, ms, losses, tokens, quota
        return (
            failed,
            ms * (4 if name == "latency" else 1),
            losses + (name == "losses"),
            tokens,
            quota * (3 if name == "cost" else 1),
        )

    return make


@pytest.mark.parametrize("name", ["errors", "latency", "losses", "cost"])
def test_a_real_difference_is_found_and_named(name: str) -> None:
    chance = random.Random(3)
    for _ in range(5):
        verdict = followed(chance, Rules(), usual, spoilt(name), 20, 900)
        assert verdict is not None
        assert (verdict.state, verdict.words.split()[0]) == (WORSE, name)


def test_what_is_surely_within_its_bounds_is_better_and_doubt_is_neither() -> None:
    chance = random.Random(5)
    wide = Rules.of({"errors": 0.1, "latency": 2.0, "losses": None, "cost": None})
    verdict = followed(chance, wide, usual, usual, 20, 1700)
    assert verdict is not None
    assert verdict.state == BETTER
    assert all(one.worst is not None and one.worst < one.bound for one in verdict.measures)
    narrow = followed(chance, Rules.of(STRICT), usual, usual, 20, 1700)
    assert narrow is not None
    assert narrow.state == OPEN


def test_each_look_is_made_once_and_has_its_least_number_of_calls() -> None:
    rules = Rules.of({"least": 50, "by": "call"})
    counts = {"old": [sums()], "new": [sums()]}
    for _ in range(49):
        add(counts["old"][0], (False, 100.0, 0, 10, 1.0))
        add(counts["new"][0], (True, 100.0, 0, 0, 0.0))
    assert look(rules, 0, counts) is None
    add(counts["new"][0], (True, 100.0, 0, 0, 0.0))
    assert look(rules, 0, counts) is None  # the release in force has too few
    add(counts["old"][0], (False, 100.0, 0, 10, 1.0))
    verdict = look(rules, 0, counts)
    assert verdict is not None
    assert (verdict.looks, verdict.state, verdict.calls) == (1, WORSE, {"old": 50, "new": 50})
    assert verdict.words == "errors 1 against 0, bound 0.01"
    assert look(rules, 1, counts) is None
    now = tally(rules, counts)
    assert next((one["measure"], one["old"], one["new"]) for one in now["measures"]) == ("errors", 0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"shares": 1}, "shares"),
        ({"by": "user"}, "by"),
        ({"share": 1}, "share"),
        ({"share": True}, "share"),
        ({"least": 10}, "least"),
        ({"confidence": 1}, "confidence"),
        ({"latency": 0.5}, "latency"),
        ({"groups": [""]}, "groups"),
        ({"hours": 0}, "hours"),
        (dict.fromkeys(("errors", "latency", "losses", "cost")), "errors"),
    ],
)
def test_rules_without_sense_are_refused_by_name(values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        Rules.of(values)
    assert caught.value.field == field
