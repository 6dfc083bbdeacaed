"""What one process compiled is taken up by the next: less is compiled, and it comes to the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

SCRIPT = """
import json, sys
from pathlib import Path
from engine import paths
from engine.compiler import compile_set, read_set, spectests, standing
from engine.compiler.documents import load
from engine.compiler.mappings import document, reuse

compiled, real = [], document.compile_definition
def counted(definition, *rest):
    compiled.append(definition.title)
    return real(definition, *rest)
reuse.compile_definition = counted
parsed, parse = [], load.parse
def read(source):
    parsed.append(source.name)
    return parse(source)
load.parse = read

PARTS = ("", ".audio", ".chat", ".completions", ".embeddings", ".images", ".moderations")
SHIPPED = [f"openai{part}.yaml" for part in PARTS]
work, own = map(Path, sys.argv[1:])
taken = standing.take_up(work)
sources, shared, _ = read_set([paths.SPECS / "formats", own])
sources = [source for source in sources if source.layer or Path(source.name).name in SHIPPED]
result = compile_set(sources, shared)
standing.put_away(work)
outcomes = spectests.run(result)
came = [result.hash, result.linked.data, sorted(f"{item.name} {item.places}" for item in result.linked.functions)]
report = {"taken": taken, "compiled": compiled, "parsed": parsed, "faults": len(result.faults)}
print(json.dumps({**report, "tests": [item.ok for item in outcomes], "came": json.dumps(came, default=repr)}))
"""
OWN = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: own}
spec:
  baseUrl: https://own.example
  auth: {scheme: none}
  models: [m]
  formats: {openai.chat: {path: /chat/completions}}
  requestPatches: [{when: 'model == "m"', set: {user: "{{ model }}"}}]
"""
CHILD = """
apiVersion: gatewright/v1
kind: Format
metadata: {name: own.chat}
extends: openai.chat
spec: {endpoints: [{operation: generate, path: /own/chat}]}
"""


def compiled(work: Path, own: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", SCRIPT, *map(str, (work, own))]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["faults"] == 0
    return report


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first compile of the shipped documents put away."""
    directory = tmp_path_factory.mktemp("standing")
    (directory / "own").mkdir()
    report = compiled(directory / "a.work", directory / "own")
    assert not report["taken"]
    assert len(report["compiled"]) > 4
    return directory / "a.work"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.mark.parametrize(
    ("text", "title"), [(OWN, "Provider/own"), (CHILD, "Format/own.chat")], ids=["provider", "format"]
)
def test_the_next_process_compiles_what_is_new_and_nothing_else(
    work: Path, own: Path, tmp_path: Path, text: str, title: str
) -> None:
    (own / "own.yaml").write_text(text)
    before = work.read_bytes()
    report = compiled(work, own)
    assert report["taken"]
    assert report["compiled"] == [title]
    assert [Path(name).name for name in report["parsed"]] == ["own.yaml"]
    assert work.read_bytes() == before  # nearly all of it is there
    cold = compiled(tmp_path / "none.work", own)
    assert not cold["taken"]
    assert report["came"] == cold["came"]
    assert report["tests"] == cold["tests"]
    assert any(report["tests"])  # some translate to formats that are not here


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "gone"])
def test_what_is_not_whole_is_not_taken_up(work: Path, own: Path, tmp_path: Path, harm: str) -> None:
    spoilt = tmp_path / "spoilt.work"
    content = work.read_bytes()
    if harm != "gone":
        middle = len(content) // 2
        spoilt.write_bytes({"cut": content[:middle], "empty": b"", "changed": content[:middle] + b"?" * 9}[harm])
    report = compiled(spoilt, own)
    assert not report["taken"]
    assert compiled(spoilt, own)["taken"]  # it was put away anew


def test_a_document_too_deep_to_put_away_is_compiled_all_the_same(own: Path, tmp_path: Path) -> None:
    deep = "{a: " * 180 + "1" + "}" * 180
    tests = f"tests: [{{name: deep, mapping: request.decode, input: {{body: {deep}}}, expectPart: {{}}}}]"
    (own / "deep.yaml").write_text(CHILD + tests + "\n")
    assert "Format/own.chat" in compiled(tmp_path / "server-1.work", own)["compiled"]
    assert not (tmp_path / "server-1.work").exists()


def test_what_another_program_put_away_does_not_stay(work: Path, own: Path, tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("server-0.work", "server-0.work.17", "commands-0.work")]
    for other in others:
        other.write_bytes(b"x")
    assert not compiled(tmp_path / "server-1.work", own)["taken"]
    assert [other.exists() for other in others] == [False, False, True]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_wrote_is_not_taken_up(work: Path, own: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.work"
    theirs.write_bytes(work.read_bytes())
    os.chown(theirs, 65534, 65534)
    assert not compiled(theirs, own)["taken"]
