"""The bench of choosing and of limits runs: what it calls is what there is. Its times are nobody's matter here."""

from __future__ import annotations

import pytest

from tests.bench import bench_routing


def test_it_runs_and_names_each_of_its_targets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(bench_routing, "ROUNDS", 2)
    bench_routing.main()
    assert capsys.readouterr().out.count("target") == 4
