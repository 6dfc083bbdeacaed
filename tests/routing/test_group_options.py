"""What the console's options decide of groups and retries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.routing.group_options import GroupOptions
from engine.storage.rows.accounts import Account

USABLE = json.dumps({"default": "默认", "vip": "vip", "gold": "金"})
SPECIAL = json.dumps({"vip": {"+:inner": "", "-:gold": "x", "plain": ""}, "odd": ["not", "a", "map"]})


def account(user_group: str = "default", token_group: str = "", auto: tuple[str, ...] = ()) -> Account:
    fields: dict[str, Any] = dict.fromkeys(Account.__dataclass_fields__)
    fields |= {"user_group": user_group, "token_group": token_group, "group": token_group or user_group}
    return Account(**{**fields, "auto_groups": auto})


def choices(**options: str) -> GroupOptions:
    special = {"group_ratio_setting.group_special_usable_group": SPECIAL}
    return GroupOptions({"UserUsableGroups": USABLE, **special, **options})


def test_a_group_of_users_may_have_groups_added_and_taken_away() -> None:
    found = choices()
    assert found.open_to("default") == {"default", "vip", "gold"}
    assert found.open_to("vip") == {"default", "vip", "inner", "plain"}
    assert found.open_to("odd") == {"default", "vip", "gold", "odd"}


@pytest.mark.parametrize(
    ("user", "token", "refused"),
    [
        ("default", "", False),
        ("default", "gold", False),
        ("vip", "gold", True),
        ("vip", "inner", False),
        ("default", "inner", True),
        ("secret", "secret", False),
        ("vip", "auto", False),
    ],
)
def test_a_key_uses_only_groups_that_are_open_to_its_user(user: str, token: str, refused: bool) -> None:
    assert (choices().refusal(account(user, token)) is not None) == refused


def test_a_group_without_a_ratio_is_closed_where_ratios_are_set() -> None:
    priced = choices(GroupRatio='{"default": 1, "vip": 2}')
    assert priced.refusal(account("default", "vip")) is None
    assert priced.refusal(account("default", "gold")) == "this API key's group 'gold' is no longer offered"


def test_auto_stands_for_the_open_groups_in_their_order() -> None:
    auto = choices(AutoGroups='["gold", "inner", "vip"]')
    assert auto.groups(account("default", "auto")) == ("gold", "vip")
    assert auto.groups(account("vip", "auto")) == ("inner", "vip")
    assert auto.groups(account("default", "auto", ("vip", "inner", "gold"))) == ("vip", "gold")
    assert auto.groups(account("default", "auto", ("nowhere",))) == ("gold", "vip")
    assert choices(AutoGroups='["inner"]').groups(account("default", "auto")) == ("default",)
    assert auto.groups(account("default", "gold")) == ("gold",)


def test_what_can_not_be_read_counts_as_not_set() -> None:
    found = GroupOptions({"UserUsableGroups": "{broken", "AutoGroups": "7", "RetryTimes": "many", "GroupRatio": ""})
    assert found.open_to("default") == {"default", "vip"}
    assert found.groups(account("default", "auto")) == ("default",)
    assert found.retries is None


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("3", 3), ("", None), ("-1", None), ("900", 20)])
def test_retries_are_bounded(text: str, expected: int | None) -> None:
    assert GroupOptions({"RetryTimes": text}).retries == expected


@pytest.mark.parametrize(
    ("text", "again", "not_again"),
    [
        ("100-199,300-399,401-407,409-499,500-503,505-523,525-599", (401, 429, 500, 503), (200, 400, 408, 504, 524)),
        (" 429 ， 500 - 502", (429, 500, 502), (428, 499, 503)),
        ("500-599", (500, 599), (504, 524)),
    ],
)
def test_statuses_that_are_tried_again(text: str, again: tuple[int, ...], not_again: tuple[int, ...]) -> None:
    found = GroupOptions({"AutomaticRetryStatusCodes": text})
    assert all(found.retries_on(status) is True for status in again)
    assert all(found.retries_on(status) is False for status in not_again)
    assert found.retries_on(None) is None, "a connection that failed has no status"


@pytest.mark.parametrize("text", ["", "many", "x-4", "400-x", "400,,401"])
def test_a_list_of_statuses_that_can_not_be_read_decides_nothing(text: str) -> None:
    assert GroupOptions({"AutomaticRetryStatusCodes": text}).retries_on(400) is None


def test_the_least_input_that_is_reserved() -> None:
    assert GroupOptions({"PreConsumedQuota": "700"}).least_input == 700
    assert GroupOptions({"PreConsumedQuota": "x"}).least_input == 0
