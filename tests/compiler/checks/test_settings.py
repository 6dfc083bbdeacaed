"""Settings pin options that are known, no secrets, of their type, and each in one place."""

from __future__ import annotations

import pytest

from engine.compiler import Source, compile_set

HEAD = "apiVersion: gatewright/v1\nkind: Settings\nmetadata: {name: %s}\nspec:\n  options:\n"


def settings(*lines: str, name: str = "ours") -> str:
    return HEAD % name + "".join(f"    {line}\n" for line in lines)


def test_values_become_the_texts_that_tables_hold() -> None:
    text = settings(
        "SystemName: Our gateway",
        "RetryTimes: 3",
        "DisplayInCurrencyEnabled: false",
        "GroupRatio: {default: 1, vip: 0.5}",
    )
    result = compile_set([Source("own.yaml", text)], [])
    assert not result.faults
    assert result.program().pinned == {
        "SystemName": ("Our gateway", "own.yaml:6:5"),
        "RetryTimes": ("3", "own.yaml:7:5"),
        "DisplayInCurrencyEnabled": ("false", "own.yaml:8:5"),
        "GroupRatio": ('{"default": 1, "vip": 0.5}', "own.yaml:9:5"),
    }


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("SystmName: x", "unknown-reference", "there is no option 'SystmName'"),
        ("SMTPToken: abc", "bad-secret", "SMTPToken is a secret, which never stands in a document"),
        ("RetryTimes: many", "wrong-type", "RetryTimes must be a whole number, 0 or more"),
        ("RetryTimes: -1", "wrong-type", "RetryTimes must be a whole number, 0 or more"),
        ("RetryTimes: true", "wrong-type", "RetryTimes must be a whole number, 0 or more"),
        ("GroupRatio: '{}'", "wrong-type", "GroupRatio must be a map of numbers"),
        ("SystemName: true", "wrong-type", "SystemName must be a text"),
    ],
)
def test_what_can_not_be_pinned_is_told_with_its_line(line: str, code: str, words: str) -> None:
    (fault,) = compile_set([Source("own.yaml", settings(line))], []).faults
    assert (fault.code, fault.message, fault.place.line) == (code, words, 6)
    assert "abc" not in fault.as_log()


def test_two_documents_that_pin_one_option_are_both_named() -> None:
    sources = [Source(f"{name}.yaml", settings("SystemName: x", name=name)) for name in ("a", "b")]
    (fault,) = compile_set(sources, []).faults
    assert fault.message == "SystemName is already pinned by Settings/a"
