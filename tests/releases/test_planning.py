"""How often plans and releases compile, and that what is known of a set is not that of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.compiler import cache, known
from engine.releases import changes, checking, planning
from engine.releases.checking import Ground
from engine.storage.releases.documents import StoredDocument

PRICE = """apiVersion: gatewright/v1
kind: Price
metadata: {{name: {name}}}
spec:
  models:
    - {{names: [{name}-model], tokens: {{input: {usd}, output: 2}}}}
"""
EXAMPLE = "1,000 tokens in, 1,000 out"


def price(name: str, usd: float) -> StoredDocument:
    return StoredDocument("Price", name, "console", PRICE.format(name=name, usd=usd))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each compile had; the compiler itself is the real one."""
    counts: list[int] = []
    compile_set = known.compile_set

    def counted(sources: Any, shared: Any) -> Any:
        counts.append(len(sources))
        return compile_set(sources, shared)

    monkeypatch.setattr(known, "compile_set", counted)
    known.forget()
    return counts


def test_the_set_in_force_is_compiled_once_and_what_was_planned_is_not_compiled_again(
    tmp_path: Path, compiled: list[int]
) -> None:
    (tmp_path / "shipped.yaml").write_text(PRICE.format(name="shipped", usd=1))
    ground = Ground([tmp_path], 1, [price("one", 3), price("two", 4)])

    def cost(change: StoredDocument) -> str:
        (row,) = planning.plan(ground, [change]).prices
        return f"{row['before'][EXAMPLE]} -> {row['after'][EXAMPLE]}"

    assert cost(price("one", 5)) == "0.005 -> 0.007"
    assert len(compiled) == 2
    assert cost(price("one", 6)) == "0.005 -> 0.008"
    assert cost(price("two", 7)) == "0.006 -> 0.009"
    assert len(compiled) == 4
    assert checking.check(ground, [price("two", 7)]).ok
    assert len(compiled) == 4  # as it was planned
    ground = Ground([tmp_path], 2, checking.check(ground, [price("two", 7)]).documents)
    assert cost(price("two", 8)) == "0.009 -> 0.01"
    assert len(compiled) == 5
    # and what was published there is not compiled once more to be activated
    sources = changes.sources(ground.documents, changes.layer_of([tmp_path]))
    artefact, faults, hash_ = cache.load_or_compile([tmp_path], None, sources)
    assert (artefact is not None, faults, len(compiled)) == (True, [], 5)
    known.forget()
    assert cache.load_or_compile([tmp_path], None, sources)[2] == hash_
    # a document of the directory is another set
    (tmp_path / "shipped.yaml").write_text(PRICE.format(name="shipped", usd="one"))
    assert not checking.check(ground, [price("two", 8)]).ok
    assert len(compiled) == 6
