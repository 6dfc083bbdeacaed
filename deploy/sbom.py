"""What the wheel is run with, as CycloneDX: ``python deploy/sbom.py --write`` makes sbom.cdx.json out of the lock.

Every package of ``requirements.lock`` with its version, package URL and hashes. The file travels in the wheel
(``*.dist-info/sboms/``); ``--check`` says whether it is current.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy" / "sbom.cdx.json"
_PINNED = re.compile(r"^([a-z0-9._-]+)==([^\s;\\]+)([^\\\n]*)((?:\s*\\\n\s+--hash=sha256:[0-9a-f]{64})+)", re.M)


def sbom(lock: str, version: str) -> str:
    """The document's text for a lock file."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{pinned}",
            "name": name,
            "version": pinned,
            "purl": f"pkg:pypi/{name}@{pinned}",
            "hashes": [{"alg": "SHA-256", "content": one} for one in re.findall(r"sha256:([0-9a-f]{64})", hashes)],
        }
        for name, pinned, _, hashes in _PINNED.findall(lock)
    ]
    whole = {"type": "application", "bom-ref": "gatewright", "name": "gatewright", "version": version}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": whole},
        "components": components,
        "dependencies": [{"ref": "gatewright", "dependsOn": [one["bom-ref"] for one in components]}],
    }
    return json.dumps(document, indent=1) + "\n"


def current() -> str:
    """What the file should say."""
    version = re.search(r'__version__ = "(.+?)"', (ROOT / "engine" / "__init__.py").read_text("utf-8"))
    return sbom((ROOT / "requirements.lock").read_text("utf-8"), version[1] if version else "0")


if __name__ == "__main__":
    if "--write" in sys.argv:
        TARGET.write_text(current(), "utf-8")
    elif TARGET.read_text("utf-8") != current():
        raise SystemExit(f"{TARGET} is out of date: python deploy/sbom.py --write")
