"""deploy/git on real repositories: the workflow's own steps against a gateway, and the hook under ``git commit``.

A runner's part (which steps run, what an expression stands for) is the dozen lines of ``Runner``. The one program that
is not itself is the Git host's own (``gh``): what it is told is kept.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from engine import paths
from tests.releases.test_git import Author
from tests.support import PATIENCE, Gateway, serving

ROOT = paths.SPECS.parent
GIT = ROOT / "deploy" / "git"
PRICE = """apiVersion: gatewright/v1
kind: Price
metadata: {{name: house}}
spec:
  models:
    - names: [house-model]
      tokens: {{input: {price}, output: 25}}
"""
FORMAT = """apiVersion: gatewright/v1
kind: Alias
metadata: {name: short}
spec: {match: short, model: house-model}
"""
GH = """#!/bin/sh
# the Git host's program: keeps what it is told; there is nothing to edit before the first comment
case "$*" in *--edit-last*) test -e "$COMMENTS" || exit 1 ;; esac
echo "$*" >> "$COMMENTS"
for last; do :; done
cat "$last" >> "$COMMENTS"
"""


@dataclass
class Job:
    """What came of a job: how each step ended, by its name or its first line, and all that they said."""

    codes: dict[str, int] = field(default_factory=dict)
    output: str = ""

    @property
    def ok(self) -> bool:
        return not any(self.codes.values())


class Runner:
    """Runs the ``run`` steps of a workflow in a clone, as a runner of its host does: bash -e, one process a step."""

    def __init__(self, place: Path, author: Author, secrets: dict[str, str]) -> None:
        self.place, self.author = place, author
        self.workflow = yaml.load((GIT / "workflow.yaml").read_text(), yaml.BaseLoader)
        self.values = {**{f"secrets.{name}": value for name, value in secrets.items()}, "github.token": "of the host"}
        self.comments = place / "comments"
        self.count = 0

    def run(self, job: str, event: str, **values: str) -> Job:
        steps = self.workflow["jobs"][job]
        self.values |= {name.replace("_", "."): value for name, value in values.items()}
        self.values["github.event_name"] = event
        assert self.holds(steps["if"]), f"{job} does not run on {event}"
        self.count += 1
        clone = self.place / f"clone-{self.count}"
        made = Job()
        for step in steps["steps"]:
            if "uses" in step:
                assert step["uses"].startswith("actions/checkout@")
                self.author.git("clone", "-q", "--depth", "1", f"file://{self.author.bare}", str(clone))
                self.author.git("checkout", "-q", self.values["github.sha"], where=clone)
                continue
            if step["run"].startswith("pip install"):
                continue  # it is on PATH as from the package
            if (condition := step.get("if", "success()")) and not self.wanted(condition, clone, made):
                continue
            env = {**self.workflow["env"], **step.get("env", {})}
            done = subprocess.run(
                ["bash", "-e", "-c", self.filled(step["run"])],
                cwd=clone,
                env={**environment(self.place), "COMMENTS": str(self.comments)}
                | {name: self.filled(value) for name, value in env.items()},
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            made.codes[step.get("name") or step["run"].split("\n")[0]] = done.returncode
            made.output += done.stdout + done.stderr
        return made

    def wanted(self, condition: str, clone: Path, made: Job) -> bool:
        always, _, rest = condition.partition(" && ")
        assert always in ("always()", "success()"), condition
        if always == "success()" and not made.ok:
            return False
        files = re.fullmatch(r"hashFiles\('(?P<name>[^']+)'\) != ''", rest)
        return (clone / files["name"]).exists() if files else not rest

    def holds(self, condition: str) -> bool:
        left, _, right = condition.partition(" == ")
        return self.values[left] == right.strip("'")

    def filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ *([a-zA-Z_.]+) *\}\}", lambda match: self.values[match[1]], text)


def environment(place: Path) -> dict[str, str]:
    """One with ``gatewright`` on PATH, and nothing of ours besides. PERF: commands compile over one another's work."""
    programs, data = place / "programs", place / "data"
    if not programs.exists():
        programs.mkdir()
        (data / "programs" / "cache").mkdir(parents=True)
        command = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m engine.cli "$@"\n'
        for name, text in (("gatewright", command), ("gh", GH)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWRIGHT", "SQL", "GIT"))}
    return {**env, "PATH": f"{programs}:{env['PATH']}", "HOME": str(place), "GATEWRIGHT_DATA": str(data)}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("gateway"))
    with serving(made):
        yield made


def test_a_pull_request_is_checked_planned_and_told_and_a_merge_is_applied(gateway: Gateway, tmp_path: Path) -> None:
    author = Author(tmp_path)
    token = gateway.root()["authorization"].removeprefix("Bearer ")
    runner = Runner(tmp_path, author, {"GATEWRIGHT_SERVER": gateway.base, "GATEWRIGHT_TOKEN": token})

    def releases() -> list[dict[str, Any]]:
        answer = requests.get(
            f"{gateway.base}/api/v2/releases", headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE
        )
        return list(answer.json()["items"])

    def asked(**files: str | None) -> Job:
        """A pull request with these files."""
        sha = author.push({f"specs/{name}.yaml": text for name, text in files.items()}, "House prices of $(id) `id`")
        return runner.run("check", "pull_request", github_sha=sha, github_event_number="7")

    # a pull request: the plan is its comment, and nothing else happens
    made = asked(house=PRICE.format(price=6), short=FORMAT)
    assert made.ok, made.output
    assert "added Price/house (git)" in made.output
    told = runner.comments.read_text()
    assert told.startswith("pr comment 7 --body-file comment.md\n```\nadded Alias/short (git)\n")
    assert "1,000 tokens in, 1,000 out: $- -> $0.031" in told
    assert releases() == []

    # a merge
    merged = runner.run("apply", "push", github_sha=author.git("rev-parse", "HEAD"))
    assert merged.ok, merged.output
    (newest,) = releases()
    facts = (newest["source"], newest["message"], newest["username"])
    assert facts == (author.git("rev-parse", "HEAD"), "House prices of $(id) `id`", "root")

    # a document that fails its own test, and one that does not compile: told with the line, and refused
    wrong = asked(short=FORMAT.replace("model: house-model", "modle: house-model"))
    assert not wrong.ok
    assert "specs/short.yaml:4:22" in wrong.output
    refused = runner.run("apply", "push", github_sha=author.git("rev-parse", "HEAD"))
    assert (refused.ok, "git:short.yaml:4:22" in refused.output, len(releases())) == (False, True, 1), refused.output
    failing = asked(short=FORMAT, mine=FAILING)
    assert not failing.ok
    assert failing.codes == {next(iter(failing.codes)): 1}  # told where it was tested, before any plan
    assert "what it can't be" in failing.output

    # what a commit takes away goes, and the plan takes the comment's place
    made = asked(short=None, mine=None)
    assert (made.ok, "removed Alias/short (git)" in made.output) == (True, True), made.output
    assert "pr comment 7 --edit-last --body-file comment.md\n```\nremoved Alias" in runner.comments.read_text()
    assert token not in made.output + runner.comments.read_text()
    assert runner.run("apply", "push", github_sha=author.git("rev-parse", "HEAD")).ok
    shown = requests.get(f"{gateway.base}/api/v2/documents", headers=gateway.root(), timeout=PATIENCE).json()
    assert [(one["kind"], one["name"]) for one in shown["items"]] == [("Price", "house")]


def test_three_environments_share_a_base_and_differ_by_what_they_say(tmp_path: Path) -> None:
    """The overlays of deploy/git/environments, each on a database of its own, as docs/gitops.md has it."""
    env = environment(tmp_path)
    charged = {}
    for name in ("production", "staging", "development"):
        data = tmp_path / name
        (data / "programs").mkdir(parents=True)
        (data / "programs" / "cache").symlink_to(tmp_path / "data" / "programs" / "cache")

        def run(*words: str, data: Path = data) -> subprocess.CompletedProcess[str]:
            asked = ["gatewright", *words]
            return subprocess.run(
                asked,
                cwd=GIT / "environments",
                env={**env, "GATEWRIGHT_DATA": str(data)},
                capture_output=True,
                text=True,
            )

        assert run("apply", "base/", "--wait", "0").returncode == 0
        plan = run("plan", name, "--json")
        assert plan.returncode == 2, plan.stderr
        (price,) = json.loads(plan.stdout)["prices"]
        charged[name] = price["after"]["1,000 tokens in, 1,000 out"], price["groups"].get("default", [None, "1.0"])[1]
        assert run("apply", name, "--wait", "0").returncode == 0
        # one owner has both directories: what the base holds bears no label
        assert run("drift", name, "-l", f"environment={name}").returncode == 0
        assert run("plan", name).returncode == 0
    assert charged == {"production": ("0.01", "1.0"), "staging": ("0.01", "0.1"), "development": ("0.01", "0.0")}


FAILING = """apiVersion: gatewright/v1
kind: Price
metadata: {name: mine}
spec:
  models:
    - names: [mine]
      tokens: {input: 1, output: 1}
tests:
  - {name: what it can't be, model: mine, usage: {input_fresh: 1000000}, usd: 5}
"""


def test_the_hook_refuses_a_commit_for_what_is_staged(tmp_path: Path) -> None:
    author = Author(tmp_path)
    hook = author.tree / ".git" / "hooks" / "pre-commit"
    hook.write_bytes((GIT / "pre-commit").read_bytes())
    hook.chmod((GIT / "pre-commit").stat().st_mode)
    path = author.tree / "specs" / "house prices.yaml"
    path.parent.mkdir()

    def commit(*words: str) -> subprocess.CompletedProcess[str]:
        who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        return subprocess.run(
            ["git", *who, "commit", "-q", "-m", "a change", *words],
            cwd=author.tree, env=environment(tmp_path), capture_output=True, text=True, check=False,
        )  # fmt: skip

    (author.tree / "README").write_text("no documents yet")
    author.git("add", "-A")
    assert commit().returncode == 0
    path.write_text(PRICE.format(price="dear"))
    author.git("add", "-A")
    path.write_text(PRICE.format(price=6))  # lies about, and is not staged
    refused = commit()
    assert refused.returncode != 0
    assert "specs/house prices.yaml:7:23" in refused.stdout + refused.stderr
    assert author.git("log", "--format=%s") == "a change"
    assert commit("-a").returncode == 0
    path.write_text(PRICE.format(price="dear"))  # what lies about keeps nobody from committing something else
    (author.tree / "README").write_text("documents")
    author.git("add", "README")
    assert commit().returncode == 0
    assert commit("specs").returncode != 0
    assert author.git("diff", "--name-only") == "specs/house prices.yaml"
    assert not [*Path(os.environ.get("TMPDIR", "/tmp")).glob("gatewright-commit.*")]
