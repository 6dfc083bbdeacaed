"""What the checks of the doctor share: what was asked, what was found so far, and what a finding is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.program import Program
from engine.routing.channels import Built
from engine.settings import Settings
from engine.storage.database import Database
from engine.storage.rows.channels import ChannelRow


@dataclass(frozen=True, slots=True)
class Finding:
    """``about`` is the part of the set-up; ``mend`` the command or the change that mends it."""

    severity: str
    about: str
    cause: str
    mend: str


@dataclass(frozen=True, slots=True)
class Asked:
    """``environ`` is what settings are read from, with the ``.env`` of the working directory. ``offline``: nothing is
    asked of hosts; ``url``: where callers reach the gateway; ``proxies``: configurations of what stands in front."""

    environ: Mapping[str, str]
    offline: bool = False
    url: str = ""
    proxies: tuple[Path, ...] = ()


@dataclass(slots=True)
class Site:
    """The set-up as far as it is known; what could not be had is None, and what needs it is not checked."""

    asked: Asked
    settings: Settings = field(default_factory=Settings)
    db: Database | None = None
    log_db: Database | None = None
    program: Program | None = None
    rows: tuple[ChannelRow, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    channels: Built | None = None
    running: bool = False
    """A gateway of ours answers on the port."""

    def close(self) -> None:
        """Give connections back."""
        if self.log_db is not None and self.log_db is not self.db:
            self.log_db.close()
        if self.db is not None:
            self.db.close()


Check = Callable[[Site], Iterator[Finding]]


def error(about: str, cause: str, mend: str) -> Finding:
    """What keeps the gateway from serving, or its books from being right."""
    return Finding("error", about, cause, mend)


def warning(about: str, cause: str, mend: str) -> Finding:
    """What will hurt one day."""
    return Finding("warning", about, cause, mend)
