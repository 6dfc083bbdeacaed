"""Which calls a canary gets: its share, each key always the same, and of its groups alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engine.relay.ingress.beside import NEW, OLD, Share


def share(**rules: Any) -> Share:
    return Share.of({"number": 3, "hash": "f", "rules": {"by": "key", "share": 0.2, "groups": [], **rules}})


def account(token: int, group: str = "default") -> Any:
    return SimpleNamespace(token_id=token, group=group)


def test_a_share_of_keys_stays_on_its_side() -> None:
    keys = share()
    arms = [keys.arm(account(token), "a") for token in range(2000)]
    assert 300 < arms.count(NEW) < 500
    assert arms == [keys.arm(account(token), "b") for token in range(2000)]
    another = Share.of({"number": 4, "hash": "f", "rules": {"by": "key", "share": 0.2, "groups": []}})
    assert arms != [another.arm(account(token), "a") for token in range(2000)]  # not always the same keys


def test_a_share_of_calls_is_drawn_for_each() -> None:
    arms = [share(by="call").arm(account(1), f"request-{number}") for number in range(2000)]
    assert 300 < arms.count(NEW) < 500


def test_only_calls_of_its_groups_are_compared_unless_they_go_whole() -> None:
    part, whole = share(groups=["beta"]), share(groups=["beta"], share=1)
    assert {part.arm(account(token), "") for token in range(200)} == {None}
    assert {part.arm(account(token, "beta"), "") for token in range(200)} == {NEW, OLD}
    assert {whole.arm(account(token, "beta"), "") for token in range(200)} == {NEW}
    assert {whole.arm(account(token), "") for token in range(200)} == {OLD}


def test_a_group_is_drawn_whole_and_stays_on_its_side() -> None:
    by_group = share(by="group", share=0.3)
    arms: dict[str, set[str | None]] = {}
    for group in range(400):
        for key in range(3):
            arms.setdefault(f"g{group}", set()).add(by_group.arm(account(key, f"g{group}"), f"call-{key}"))
    assert all(len(sides) == 1 for sides in arms.values())
    assert 80 < sum(sides == {NEW} for sides in arms.values()) < 160
