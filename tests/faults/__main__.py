"""`make faults`: the whole table, 3,072 cells; ends with how many of the 48 faults are right in every cell.

python -m tests.faults [--fault NAME ...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.faults.cells import Table, cells, summary
from tests.faults.table import FAULTS


def main() -> int:
    """Run the table, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", action="append", choices=list(FAULTS))
    parser.add_argument("--fast", action="store_true", help="one upstream format for each client")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gatewright-faults-") as text, ExitStack() as stack:
        table = Table(Path(text), stack)
        wanted = cells(chosen.fault or FAULTS, every=not chosen.fast)
        wrong = table.run(wanted)
        print("\n".join(summary(wanted, wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
