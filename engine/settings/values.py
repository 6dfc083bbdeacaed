"""The settings as the program takes them: the table, and what follows from it."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine import paths
from engine.settings.table import Table

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Settings(Table):
    """All settings, read once at start, with what follows from them."""

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone by its name; None where only the process itself knows it (``put_in_force``)."""
        try:
            return ZoneInfo(self.timezone) if self.timezone else None
        except (ValueError, ZoneInfoNotFoundError, OSError):
            return None

    def put_in_force(self) -> None:
        """Have this process, and those that it begins, tell the time in the zone that was set, wherever it was set."""
        if self.timezone:
            os.environ["TZ"] = self.timezone
            time.tzset()

    @property
    def spec_directory(self) -> Path:
        """Where own documents lie."""
        return self.specs or self.data / "specs"

    @property
    def spec_layers(self) -> tuple[tuple[str, Path], ...]:
        """Directories of documents in the order in which later ones replace earlier ones."""
        return (("shipped", paths.SPECS), ("own", self.spec_directory))

    @property
    def program_directory(self) -> Path:
        """Where compiled programs lie."""
        return self.data / "programs"

    @property
    def vocabulary_directories(self) -> tuple[Path, ...]:
        """Where vocabularies for counting tokens are looked for."""
        return (self.data / "vocabularies", paths.VOCABULARIES)

    @property
    def secret_directory(self) -> Path:
        """The only directory from which documents may read secret files."""
        return self.secret_dir or self.data / "secrets"

    @property
    def result_directory(self) -> Path:
        """Below which a Policy may have results of tasks kept."""
        return self.result_dir or self.data / "results"

    @property
    def database_path(self) -> str:
        """The SQLite file, as given or in the data directory."""
        return self.sqlite_path or str(self.data / "gatewright.db")

    @property
    def is_slave(self) -> bool:
        """Whether another server does what one of the cluster has to."""
        return self.node_type.strip() == "slave"

    @property
    def node(self) -> str:
        """What this server is called."""
        return self.node_name.strip() or socket.gethostname()

    @property
    def worker_count(self) -> int:
        """Worker processes to start."""
        return self.workers or min(os.cpu_count() or 1, 8)

    @property
    def max_request_body(self) -> int:
        """Largest request body in bytes."""
        return self.max_request_body_mb * MEGABYTE

    @property
    def max_stream_event(self) -> int:
        """Longest stream event in bytes."""
        return self.stream_scanner_max_buffer_mb * MEGABYTE
