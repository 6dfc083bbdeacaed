"""Files of secrets: a change is seen once, whether the file is written, put there, or linked to another."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.routing.secrets import Secrets


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    (tmp_path / "secrets").mkdir()
    return Secrets((), tmp_path / "secrets", tmp_path / "hosts.json", {})


def read(secrets: Secrets, name: str = "a") -> str:
    return secrets({"file": name}, "https://a.example")


def seen_once(secrets: Secrets) -> str:
    """What is read after a change, of which nothing more is heard then."""
    assert secrets.changed()
    value = read(secrets)
    assert not secrets.changed()
    return value


def test_a_file_that_is_written_anew_is_seen(secrets: Secrets, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "a").write_text("one")
    assert read(secrets) == "one"
    assert not secrets.changed()
    (tmp_path / "secrets" / "a").write_text("another")
    assert seen_once(secrets) == "another"


def test_a_file_that_was_missing_is_seen_when_it_is_there(secrets: Secrets, tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        read(secrets)
    assert not secrets.changed()
    (tmp_path / "secrets" / "a").write_text("one")
    assert seen_once(secrets) == "one"


def test_a_link_that_leads_elsewhere_is_seen_once(secrets: Secrets, tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / "secrets" / number).mkdir()
        (tmp_path / "secrets" / number / "key").write_text(f"key {number}")
    (tmp_path / "secrets" / "a").symlink_to("1/key")
    assert read(secrets) == "key 1"
    (tmp_path / "secrets" / "a").unlink()
    (tmp_path / "secrets" / "a").symlink_to("2/key")
    assert seen_once(secrets) == "key 2"
