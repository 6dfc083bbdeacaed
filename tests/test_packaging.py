"""The wheel: what it carries and nothing else, and that it serves from any directory."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from engine import __version__
from tests.support import PATIENCE, Running, free_port, missing

ROOT = Path(__file__).resolve().parent.parent
PACKED = ("NOTICE", "cl100k_base.tiktoken.xz", "o200k_base.tiktoken.xz")
pytestmark = pytest.mark.xdist_group("packaging")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = directory.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel's contents in a directory that goes before the checkout."""
    directory = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def tracked(*directories: str) -> set[str]:
    """Files that git would carry, as a fresh clone has them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *directories]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.splitlines() if (ROOT / name).is_file()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the checkout's list of files")
def test_wheel_holds_packages_specs_templates_and_demo_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.startswith(f"gatewright-{__version__}.dist-info/")}
    places = {"specs/": "engine/specs/", "templates/": "engine/templates/", "deploy/demo/": "engine/demo/"}
    wanted = tracked("engine", "admin")
    for beside, within in places.items():
        wanted |= {within + name.removeprefix(beside) for name in tracked(beside)}
    built = ("engine/vocabularies/", "admin/built/")
    assert {name for name in inside if not name.startswith(built)} == wanted
    if (ROOT / "admin" / "built").is_dir():
        assert "admin/built/manifest.json" in inside


def test_wheel_carries_the_vocabularies_with_their_licence(wheel):
    if not (ROOT / "engine" / "vocabularies" / "NOTICE").exists():
        missing("no vocabularies here: make vocabularies")
    with zipfile.ZipFile(wheel) as archive:
        inside = {item.filename: item for item in archive.infolist() if "/vocabularies/" in item.filename}
        assert set(inside) == {f"engine/vocabularies/{name}" for name in PACKED}
        assert b"MIT License" in archive.read("engine/vocabularies/NOTICE")
    assert sum(item.compress_size for item in inside.values()) < 1_800_000


def test_wheel_brings_the_command_the_licence_and_the_extras(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = f"gatewright-{__version__}.dist-info"
        assert "gatewright = engine.cli:main" in archive.read(f"{info}/entry_points.txt").decode()
        assert archive.read(f"{info}/licenses/LICENSE").decode().lstrip().startswith("Apache License")
        metadata = archive.read(f"{info}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Provides-Extra: postgresql" in metadata
    assert "# Gatewright" in metadata


def test_wheel_says_what_it_is_run_with(wheel):
    with zipfile.ZipFile(wheel) as archive:
        told = json.loads(archive.read(f"gatewright-{__version__}.dist-info/sboms/sbom.cdx.json"))
    assert (told["bomFormat"], told["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    locked = re.findall(r"(?m)^([a-z0-9._-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text())
    assert [(one["name"], one["version"]) for one in told["components"]] == locked
    assert all(one["hashes"] for one in told["components"])
    current = runpy.run_path(str(ROOT / "deploy" / "sbom.py"))["current"]()
    assert (ROOT / "deploy" / "sbom.cdx.json").read_text() == current, "python deploy/sbom.py --write"


def test_from_a_wheel_the_gateway_runs_in_any_directory_and_its_lines_work_as_pasted(installed, tmp_path):
    port = free_port()
    env = {"PYTHONPATH": str(installed), "GATEWRIGHT_DATA": "", "PORT": ""}
    said = subprocess.run(
        [sys.executable, "-c", "import engine; print(engine.__file__)"],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith(str(installed))
    command = [sys.executable, "-m", "engine.cli", "serve", "--demo", "--port", str(port), "--workers", "1"]
    running = Running(command, env, cwd=tmp_path)
    try:
        running.wait_for(r"^curl .*generateContent", PATIENCE)
        calls = [line for line in running.lines if line.startswith("curl ") and "/v1/videos" not in line]
        assert len(calls) == 3
        if shutil.which("curl") is None:
            missing("the lines to try need curl")
        for line in calls:
            pasted = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=True)
            assert re.search(r"This is demo-\w+. You said: ..Hello from an? \w+ client", pasted.stdout), pasted.stdout
    finally:
        assert running.stop() == 0
    assert "Traceback" not in running.output
