"""``python -m engine.cli``: the same as the command ``gatewright``."""

from engine.cli import main

main()
