"""Reads secrets that documents refer to, within what the operator opened, and binds each to the first host it goes to.

A document can be edited in a browser, so it must not be a way to read the machine's environment or files, nor to send
a known secret to another host. Environment variables need the prefix ``GATEWRIGHT_KEY_`` or a place in
``GATEWRIGHT_SECRET_ENV``; files must lie below one directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "GATEWRIGHT_KEY_"


Stamp = tuple[int, int, int] | None
"""Inode, size and time of a file; None if there is none."""


def _stamp(path: Path) -> Stamp:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def closed_env(name: str, allowed: Collection[str]) -> str | None:
    """Why documents may not read an environment variable, and how to mend it; nothing if they may."""
    if name.startswith(PREFIX) or name in allowed:
        return None
    return (
        f"environment variable {name} is not open to documents; "
        f"rename it to {PREFIX}..., or list it in GATEWRIGHT_SECRET_ENV"
    )


class Secrets:
    """Called with a reference (``{"env"|"file"|"db": NAME}``) and a base URL; gives the secret or raises LookupError.

    ``kept`` are those of the database, as they were read last.
    """

    def __init__(
        self,
        allowed_env: tuple[str, ...],
        directory: Path,
        bindings: Path,
        environ: Mapping[str, str],
        *,
        binds: bool = True,
    ) -> None:
        self._binds = binds
        self._allowed = allowed_env
        self._directory = directory
        self._bindings = bindings
        self._environ = environ
        self._seen: dict[Path, Stamp] = {}
        self.kept: Mapping[str, str] = {}

    def changed(self) -> bool:
        """Whether a file that was read, or was missing, is another one now; then all have to be read again.

        PERF: one ``stat`` for each file.
        """
        if all(_stamp(path) == stamp for path, stamp in list(self._seen.items())):
            return False
        self._seen.clear()
        return True

    def __call__(self, reference: Mapping[str, str], base_url: str) -> str:
        reference = reference.get("secretRef", reference)  # type: ignore[assignment]
        kind, name = next(iter(reference.items()))
        if kind == "env":
            value = self._from_env(name)
        elif kind == "file":
            value = self._from_file(name)
        elif kind == "db":
            value = self._from_database(name)
        else:
            raise LookupError(f"secretRef {kind} is not known; write env, file or db")
        self._bind(f"{kind}:{name}", urlsplit(base_url).netloc.lower())
        return value

    def _from_env(self, name: str) -> str:
        if closed := closed_env(name, self._allowed):
            raise LookupError(closed)
        value = self._environ.get(name, "").strip()
        if not value:
            raise LookupError(f"environment variable {name} is not set")
        return value

    def _from_database(self, name: str) -> str:
        if not (value := self.kept.get(name, "")):
            raise LookupError(f"the database has no secret {name} that can be read; gatewright secret set {name}")
        return value

    def _from_file(self, name: str) -> str:
        path = (self._directory / name).resolve()
        if not path.is_relative_to(self._directory.resolve()):
            raise LookupError(f"secret file {name} lies outside {self._directory}")
        # By the name that may be a link, and before it is read: a change meanwhile is seen later.
        self._seen[self._directory / name] = _stamp(self._directory / name)
        try:
            value = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise LookupError(f"secret file {name} can't be read in {self._directory}") from None
        if not value:
            raise LookupError(f"secret file {name} is empty")
        return value

    def _bind(self, name: str, host: str) -> None:
        """Note the first host that a secret goes to, and refuse any other until the operator removes the line."""
        hosts = self._known()
        bound = hosts.setdefault(name, host)
        if bound != host:
            raise LookupError(
                f"secret {name} is bound to {bound} and would go to {host}; "
                f"give this channel a secret of its own, or, if the old host is gone, "
                f"remove its line from {self._bindings}"
            )
        if self._binds and len(hosts) != len(self._known()):
            self._bindings.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._bindings.with_suffix(f".{os.getpid()}")
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(hosts, indent=1, sort_keys=True), "utf-8")
            temporary.replace(self._bindings)

    def _known(self) -> dict[str, str]:
        try:
            hosts: dict[str, str] = json.loads(self._bindings.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return hosts
