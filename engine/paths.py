"""Where the data that travels with the program lies: in a checkout beside ``engine/``, in a wheel inside it."""

from __future__ import annotations

from pathlib import Path

_ENGINE = Path(__file__).resolve().parent


def _data(inside: str, beside: str) -> Path:
    packed = _ENGINE / inside
    return packed if packed.is_dir() else _ENGINE.parent / beside


SPECS = _data("specs", "specs")
TEMPLATES = _data("templates", "templates")
CATALOGUE = TEMPLATES / "console"
DEMO = _data("demo", "deploy/demo")
VOCABULARIES = _ENGINE / "vocabularies"
