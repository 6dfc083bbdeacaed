"""``python -m engine.settings --write`` makes docs/settings.md; ``--check`` fails when it is stale."""

from __future__ import annotations

import sys

from engine.settings import page


def main(arguments: list[str]) -> int:
    """Exit code of the command."""
    if arguments == ["--write"]:
        page.write()
        return 0
    if arguments == ["--check"]:
        if page.is_current():
            return 0
        sys.stderr.write("docs/settings.md is stale: run `python -m engine.settings --write`\n")
        return 1
    sys.stderr.write("usage: python -m engine.settings --write|--check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
