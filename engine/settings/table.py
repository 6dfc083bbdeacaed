"""The one table of settings: every environment variable that this program reads, with type, default and words.

Each field of ``Settings`` is a row: the attribute is what the code reads, the metadata is what people set. Knows
nothing of where values come from (``reading.py``) nor of pages (``page.py``).
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine import paths
from engine.settings import kinds

T = TypeVar("T")
Network = IPv4Network | IPv6Network
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One environment variable: its name, the attribute that holds it, how its text is read, and what it does."""

    name: str
    group: str
    kind: kinds.Kind
    words: str
    secret: bool
    default: object
    attribute: str = ""
    caution: str = ""
    """What is said at each start while it is switched on."""


def _env(
    name: str, default: T, kind: kinds.Kind, words: str, *, group: str, secret: bool = False, caution: str = ""
) -> T:
    """A dataclass field that carries its row; typed as its value so that ``Settings`` stays strictly typed."""
    row = Row(name, group, kind, words, secret, default, caution=caution)
    return dataclasses.field(default=default, metadata={"row": row})


def _group(group: str) -> Callable[..., Any]:
    def make(name: str, default: T, kind: kinds.Kind, words: str, *, secret: bool = False, caution: str = "") -> T:
        return _env(name, default, kind, words, group=group, secret=secret, caution=caution)

    return make


_HTTP, _FILES, _DATA = _group("Process and HTTP"), _group("Specs and secrets"), _group("Database")
_LEG, _KEYS = _group("Relay"), _group("Secrets in the database")

_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


@dataclass(frozen=True)
class Settings:
    """All settings, read once at start. Sizes in MB and times in seconds, as their names in the environment say."""

    port: int = _HTTP("PORT", 3000, kinds.PORT, "Port to listen on.")
    bind: str = _HTTP("GATEWRIGHT_BIND", "0.0.0.0", kinds.TEXT, "Address to listen on; `make run` uses 127.0.0.1.")  # noqa: S104
    workers: int = _HTTP("GATEWRIGHT_WORKERS", 0, kinds.COUNT, "Worker processes; 0 = one per processor, at most 8.")
    timezone: str = _HTTP("TZ", "", kinds.ZONE, "Time zone of logs and of daily boundaries; empty = the machine's.")
    debug: bool = _HTTP("DEBUG", False, kinds.SWITCH, "Debug lines in the log.")
    access_log: bool = _HTTP(
        "GATEWRIGHT_ACCESS_LOG", False, kinds.SWITCH, "A line on stdout for each answer, keys masked."
    )
    shutdown_timeout: int = _HTTP(
        "SHUTDOWN_TIMEOUT_SECONDS", 120, kinds.COUNT, "How long open requests and streams may go on after TERM."
    )
    trusted_proxies: tuple[Network, ...] = _HTTP(
        "TRUSTED_PROXIES",
        _LOOPBACK,
        kinds.NETWORKS,
        "Addresses or CIDRs whose `X-Forwarded-For` is believed; replaces the default; `none` = nobody.",
    )
    max_request_body_mb: int = _HTTP(
        "MAX_REQUEST_BODY_MB", 32, kinds.POSITIVE, "Largest request body, after decompression; more is a 413."
    )
    head_timeout: int = _HTTP(
        "GATEWRIGHT_HEAD_TIMEOUT", 15, kinds.POSITIVE, "Seconds in which a request's head must be complete."
    )
    body_timeout: int = _HTTP(
        "GATEWRIGHT_BODY_TIMEOUT",
        60,
        kinds.POSITIVE,
        "Seconds in which a request's body must be there, and a second more for each 32 KB of it that came.",
    )
    keepalive: int = _HTTP(
        "GATEWRIGHT_KEEPALIVE", 75, kinds.COUNT, "Seconds a connection may idle between requests; 0 = none."
    )
    max_connections: int = _HTTP("GATEWRIGHT_MAX_CONNECTIONS", 10_000, kinds.POSITIVE, "Open connections per worker.")
    connections_per_address: int = _HTTP(
        "GATEWRIGHT_CONNECTIONS_PER_ADDRESS",
        0,
        kinds.COUNT,
        "Open connections per worker and address, but for `TRUSTED_PROXIES`; 0 = a quarter of all.",
    )
    max_requests: int = _HTTP(
        "GATEWRIGHT_MAX_REQUESTS", 0, kinds.COUNT, "Requests after which a worker is replaced; 0 = never."
    )
    worker_timeout: int = _HTTP(
        "GATEWRIGHT_WORKER_TIMEOUT",
        60,
        kinds.COUNT,
        "Seconds of no sign of life after which a worker is killed; 0 = never.",
    )

    data: Path = _FILES(  # noqa: RUF009 - makes a field
        "GATEWRIGHT_DATA", Path("data"), kinds.PATH, "Directory of the database, own specs and compiled programs."
    )
    specs: Path | None = _FILES(  # noqa: RUF009 - makes a field
        "GATEWRIGHT_SPECS",
        None,
        kinds.PATH,
        "Directory of own documents, over the shipped ones; empty = `specs` in the data directory.",
    )
    egress_allow: tuple[str, ...] = _FILES(
        "GATEWRIGHT_EGRESS_ALLOW",
        (),
        kinds.EGRESS,
        "Private networks that upstream calls may reach: CIDR or address, with `:port` if wanted (`[::1]:8000`).",
    )
    fetch_allow: tuple[str, ...] = _FILES(
        "GATEWRIGHT_FETCH_ALLOW",
        (),
        kinds.EGRESS,
        "Private networks that files may be fetched from which callers name by address, written as above: every holder "
        "of a key can then read what lies there. Empty = public places only, whatever upstream calls may reach.",
    )
    secret_env: tuple[str, ...] = _FILES(
        "GATEWRIGHT_SECRET_ENV",
        (),
        kinds.NAMES,
        "Names of environment variables that documents may read besides those that begin with `GATEWRIGHT_KEY_`.",
    )
    secret_dir: Path | None = _FILES(  # noqa: RUF009 - makes a field
        "GATEWRIGHT_SECRET_DIR",
        None,
        kinds.PATH,
        "Directory below which documents may read secrets from files; empty = `secrets` in the data directory.",
    )

    sql_dsn: str = _DATA("SQL_DSN", "", kinds.TEXT, "Main database; empty or `local` = SQLite.", secret=True)
    log_sql_dsn: str = _DATA(
        "LOG_SQL_DSN", "", kinds.TEXT, "Database of the log rows; empty = the main one.", secret=True
    )
    sqlite_path: str = _DATA(
        "SQLITE_PATH",
        "",
        kinds.TEXT,
        "SQLite file, `?` parameters allowed; empty = `gatewright.db` in the data directory.",
    )
    sql_max_idle_conns: int = _DATA(
        "SQL_MAX_IDLE_CONNS", 10, kinds.POSITIVE, "Idle connections kept per worker and database; SQLite has none."
    )
    sql_max_open_conns: int = _DATA(
        "SQL_MAX_OPEN_CONNS", 50, kinds.POSITIVE, "Open connections per worker and database, all together."
    )
    sql_max_lifetime: int = _DATA(
        "SQL_MAX_LIFETIME", 60, kinds.POSITIVE, "Seconds after which a connection is replaced."
    )
    sql_connect_timeout: int = _DATA(
        "SQL_CONNECT_TIMEOUT",
        5,
        kinds.POSITIVE,
        "Seconds until a serving worker gives up a new connection; what the DSN says goes before it.",
    )
    sql_read_timeout: int = _DATA(
        "SQL_READ_TIMEOUT",
        5,
        kinds.POSITIVE,
        "Seconds until a call's read is given up; then none waits until the database answers again.",
    )
    sql_write_timeout: int = _DATA(
        "SQL_WRITE_TIMEOUT",
        30,
        kinds.POSITIVE,
        "Seconds until a commit of finished calls, or a wait for SQLite's lock, is given up and tried again.",
    )
    sql_slow_threshold_ms: int = _DATA(
        "SQL_SLOW_THRESHOLD_MS", 200, kinds.COUNT, "Queries slower than this are logged; 0 = none."
    )
    sync_frequency: int = _DATA(
        "SYNC_FREQUENCY", 60, kinds.POSITIVE, "Seconds between reloads of channels and options."
    )
    journal_sync: bool = _DATA(
        "GATEWRIGHT_JOURNAL_SYNC",
        False,
        kinds.SWITCH,
        "Each finished call waits until the disk has its journal line; else a power cut may lose up to 1 s of them.",
    )
    error_log_enabled: bool = _DATA(
        "ERROR_LOG_ENABLED", False, kinds.SWITCH, "Refused and failed calls become log rows too."
    )

    count_token: bool = _DATA(
        "CountToken",
        True,
        kinds.SWITCH,
        "Requests are counted here where the upstream tells no usage; else they are free.",
    )
    get_media_token: bool = _DATA(
        "GET_MEDIA_TOKEN",
        True,
        kinds.SWITCH,
        "Pictures are measured when a streamed request is counted, fetched if need be.",
    )
    get_media_token_not_stream: bool = _DATA(
        "GET_MEDIA_TOKEN_NOT_STREAM", False, kinds.SWITCH, "The same for requests whose answer comes whole."
    )

    relay_timeout: int = _LEG(
        "RELAY_TIMEOUT", 0, kinds.COUNT, "Longest whole upstream request in seconds; 0 = no limit."
    )
    connect_timeout: int = _LEG(
        "GATEWRIGHT_CONNECT_TIMEOUT", 10, kinds.POSITIVE, "Seconds to connect to an upstream, TLS included."
    )
    first_byte_timeout: int = _LEG(
        "GATEWRIGHT_FIRST_BYTE_TIMEOUT", 300, kinds.POSITIVE, "Seconds until an upstream's answer begins."
    )
    streaming_timeout: int = _LEG(
        "STREAMING_TIMEOUT", 300, kinds.POSITIVE, "Longest silence between two chunks of a stream."
    )
    relay_idle_conn_timeout: int = _LEG(
        "RELAY_IDLE_CONN_TIMEOUT", 20, kinds.COUNT, "Seconds an idle upstream connection is kept; 0 = no limit."
    )
    relay_max_idle_conns: int = _LEG(
        "RELAY_MAX_IDLE_CONNS", 500, kinds.POSITIVE, "Idle upstream connections per worker."
    )
    relay_max_idle_conns_per_host: int = _LEG(
        "RELAY_MAX_IDLE_CONNS_PER_HOST", 100, kinds.POSITIVE, "Idle upstream connections per worker and host."
    )
    stream_scanner_max_buffer_mb: int = _LEG(
        "STREAM_SCANNER_MAX_BUFFER_MB",
        64,
        kinds.POSITIVE,
        "Longest event of a stream, and what one may hold in memory.",
    )
    max_file_download_mb: int = _LEG("MAX_FILE_DOWNLOAD_MB", 20, kinds.POSITIVE, "Largest file fetched for a request.")
    force_stream_option: bool = _LEG(
        "FORCE_STREAM_OPTION", True, kinds.SWITCH, "Upstreams are asked for usage in streams, whatever the client said."
    )
    tls_insecure_skip_verify: bool = _LEG(
        "TLS_INSECURE_SKIP_VERIFY",
        False,
        kinds.SWITCH,
        "Upstream certificates are not checked (dangerous).",
        caution="upstreams' certificates are NOT checked: whoever stands on the way can read every key and every call",
    )

    crypto_secret: str = _KEYS(
        "CRYPTO_SECRET",
        "",
        kinds.SECRET,
        "Secrets in the database are encrypted with it; empty = plain. See `gatewright secrets`.",
        secret=True,
    )

    sources: tuple[tuple[str, str], ...] = ()
    """Where each value that isn't a default came from: pairs of variable and source."""
    warnings: tuple[str, ...] = ()
    """What the log should say about variables that were set in vain."""

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
    def database_path(self) -> str:
        """The SQLite file, as given or in the data directory."""
        return self.sqlite_path or str(self.data / "gatewright.db")

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


def rows() -> tuple[Row, ...]:
    """Every row of the table, in its order."""
    found = []
    for field in dataclasses.fields(Settings):
        row = field.metadata.get("row")
        if isinstance(row, Row):
            found.append(dataclasses.replace(row, attribute=field.name))
    return tuple(found)
