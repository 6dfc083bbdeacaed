"""The cache of artefacts: what it spares, and what it must never serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import program
from engine.compiler import cache

POLICY = "apiVersion: gatewright/v1\nkind: Policy\nmetadata: {name: a}\nspec: {retries: {times: 1}}\n"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    directory = tmp_path / "specs"
    directory.mkdir()
    (directory / "a.yaml").write_text(POLICY)
    return directory


def refuse(*_: object) -> None:
    raise AssertionError("compiled though it is in the cache")


def test_a_second_start_compiles_nothing(specs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cache.load_or_compile([specs], tmp_path / "cache")
    monkeypatch.setattr(cache, "compile_set", refuse)
    assert cache.load_or_compile([specs], tmp_path / "cache") == first
    assert first[0] is not None
    assert program.load(first[0]).policy == {"retries": {"times": 1}}


def test_a_changed_file_is_compiled_anew(specs: Path, tmp_path: Path) -> None:
    first = cache.load_or_compile([specs], tmp_path / "cache")
    (specs / "a.yaml").write_text(POLICY.replace("times: 1", "times: 2"))
    second = cache.load_or_compile([specs], tmp_path / "cache")
    assert first[2] != second[2]
    assert second[0] is not None
    assert program.load(second[0]).policy == {"retries": {"times": 2}}


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"\x00" * 64])
def test_a_damaged_artefact_is_never_loaded(specs: Path, tmp_path: Path, damage: bytes) -> None:
    first = cache.load_or_compile([specs], tmp_path / "cache")
    (artefact,) = (tmp_path / "cache").glob("*.gwp")
    artefact.write_bytes(damage)
    assert cache.load_or_compile([specs], tmp_path / "cache") == first


def test_a_faulty_set_is_told_each_time_and_not_kept(specs: Path, tmp_path: Path) -> None:
    (specs / "b.yaml").write_text(POLICY.replace("name: a", "name: b").replace("retries", "retires"))
    for _ in range(2):
        artefact, faults, _ = cache.load_or_compile([specs], tmp_path / "cache")
        assert artefact is None
        assert [fault.nearest for fault in faults] == ["retries"]
    assert not (tmp_path / "cache").exists()


def test_a_set_whose_own_tests_fail_gives_no_artefact(specs: Path, tmp_path: Path) -> None:
    alias = "apiVersion: gatewright/v1\nkind: Alias\nmetadata: {name: a}\nspec: {match: 'x-.*', model: \"'x'\"}\n"
    (specs / "b.yaml").write_text(alias + "tests: [{name: t, alias: x-1, expect: {model: y}}]\n")
    artefact, faults, _ = cache.load_or_compile([specs], tmp_path / "cache")
    assert artefact is None
    assert [(fault.code, fault.place.line) for fault in faults] == [("test-failed", 5)]
    (specs / "b.yaml").write_text(alias + "tests: [{name: t, alias: x-1, expect: {model: x}}]\n")
    assert cache.load_or_compile([specs], tmp_path / "cache")[0] is not None


def test_a_file_that_is_not_text_is_a_fault_of_the_set(specs: Path, tmp_path: Path) -> None:
    (specs / "b.yaml").write_bytes(b"\xff")
    artefact, faults, _ = cache.load_or_compile([specs], tmp_path / "cache")
    assert artefact is None
    assert [fault.code for fault in faults] == ["not-utf8"]


def test_old_artefacts_are_forgotten(specs: Path, tmp_path: Path) -> None:
    for times in range(12):
        (specs / "a.yaml").write_text(POLICY.replace("times: 1", f"times: {times}"))
        cache.load_or_compile([specs], tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.gwp"))) == 8


def test_a_cache_that_cannot_be_written_costs_only_time(specs: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    assert cache.load_or_compile([specs], tmp_path / "cache")[0] is not None
