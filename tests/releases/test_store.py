"""Compiled programs on disk: what is published is current, the running one stays, and only we may read them."""

from __future__ import annotations

import pytest

from engine.releases.store import KEPT, Releases


@pytest.fixture
def releases(tmp_path):
    made = Releases(tmp_path / "programs")
    made.prepare()
    return made


def test_published_release_is_current_and_moves_the_mark(releases):
    assert releases.current() is None
    marks = [releases.mark()]
    for name in ("one", "two"):
        releases.publish(name, name.encode())
        marks.append(releases.mark())
        assert releases.current() == name
        assert releases.artefact(name) == name.encode()
    assert len(set(marks)) == 3


def test_same_release_again_moves_nothing(releases):
    releases.publish("one", b"1")
    mark = releases.mark()
    releases.publish("one", b"1")
    assert releases.mark() == mark


def test_old_artefacts_go_but_never_the_running_one(releases):
    for number in range(KEPT + 4):
        releases.publish(f"r{number}", b"x")
    assert len(list(releases.directory.glob("*.gwp"))) == KEPT
    assert (releases.directory / f"r{KEPT + 3}.gwp").exists()
    assert not [path for path in releases.directory.iterdir() if path.name.startswith(".new-")]


def test_status_is_read_again_when_it_changed(releases):
    assert releases.status() == {}
    releases.write_status({"ok": True})
    assert releases.status() == {"ok": True}
    releases.write_status({"ok": False})
    assert releases.status() == {"ok": False}
    (releases.directory / "status.json").write_text("{")
    assert releases.status() == {"ok": False}


def test_programs_are_for_our_own_eyes(releases):
    assert releases.directory.stat().st_mode & 0o077 == 0
