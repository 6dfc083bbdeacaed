"""The version of before, checked out beside: what this one is installed over, and runs next to.

``GATEWRIGHT_OLD`` names a commit; else it is the last tag; else the last version whose schema was another, which is
what an upgrade has to carry; else, where there is no history, this one itself.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.storage.migrations import HEAD
from tests.support import ROOT

MIGRATIONS = "engine/storage/migrations"
_REVISION = re.compile(r'(?m)^.*/(\w+)\.py:revision = "(\d+)"')


def git(*words: str) -> str:
    """What git says; nothing where it fails."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def revisions(commit: str) -> dict[str, str]:
    """The revision of each migration of a commit, by the name of its file."""
    return dict(_REVISION.findall(git("grep", '^revision = "', commit, "--", MIGRATIONS)))


def before() -> str:
    """The commit of the version of before."""
    if chosen := os.environ.get("GATEWRIGHT_OLD") or git("describe", "--tags", "--abbrev=0"):
        return chosen
    ours = revisions("HEAD")
    changed = git("log", "--first-parent", "--format=%H", "-G^HEAD = ", "--", f"{MIGRATIONS}/__init__.py")
    for commit in (f"{line}^1" for line in changed.splitlines()):
        theirs = revisions(commit)
        # what a merge numbered anew was never a version of its own
        if theirs and max(theirs.values()) < HEAD and theirs.items() <= ours.items():
            return commit
    return "HEAD^1"


@contextmanager
def older(place: Path, commit: str = "") -> Iterator[Path]:
    """The version of before, or of a commit, in ``place``; this one, where there is no history."""
    if not git("worktree", "add", "--detach", str(place), commit or before()) and not place.is_dir():
        yield ROOT
        return
    try:
        yield place
    finally:
        git("worktree", "remove", "--force", str(place))
