"""The one table of settings: every environment variable that this program reads, with type, default and words.

Each field of ``Table`` is a row: the attribute is what the code reads, the metadata is what people set. Knows
nothing of where values come from (``reading.py``), what follows from them (``values.py``), nor pages (``page.py``).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TypeVar

from engine.settings import kinds
from engine.settings.row import Row, group

T = TypeVar("T")
Network = IPv4Network | IPv6Network

_HTTP, _FILES, _DATA = group("Process and HTTP"), group("Specs and secrets"), group("Database")
_GIT = group("Documents from Git")
_LEG, _KEYS, _LOGIN = group("Relay"), group("Secrets in the database"), group("Logins")
_TELL = group("Notices")
_VOUCHED = "who passes a proxy of TRUSTED_PROXIES with the secret is signed in by this header alone"
_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


@dataclass(frozen=True)
class Table:
    """All settings, read once at start. Sizes in MB and times in seconds, as their names in the environment say."""

    port: int = _HTTP("PORT", 3000, kinds.PORT, "Port to listen on.")
    bind: str = _HTTP("GATEWRIGHT_BIND", "0.0.0.0", kinds.TEXT, "Address to listen on; `make run` uses 127.0.0.1.")  # noqa: S104
    workers: int = _HTTP("GATEWRIGHT_WORKERS", 0, kinds.COUNT, "Worker processes; 0 = one per processor, at most 8.")
    timezone: str = _HTTP("TZ", "", kinds.ZONE, "Time zone of logs and of daily boundaries; empty = the machine's.")
    debug: bool = _HTTP("DEBUG", False, kinds.SWITCH, "Debug lines in the log.")
    access_log: bool = _HTTP(
        "GATEWRIGHT_ACCESS_LOG", False, kinds.SWITCH, "A line on stdout for each answer, keys masked."
    )
    log_json: bool = _HTTP("GATEWRIGHT_LOG_JSON", False, kinds.SWITCH, "The log as lines of JSON, one for each answer.")
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
    stop_idle: int = _HTTP(
        "GATEWRIGHT_STOP_IDLE",
        5,
        kinds.COUNT,
        "Seconds that a stopping worker leaves idle connections open, on which a balancer may be sending.",
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
    server: str = _FILES(
        "GATEWRIGHT_SERVER",
        "",
        kinds.TEXT,
        "Address of the server on which commands over releases work; empty = the database of these settings.",
    )
    token: str = _FILES(
        "GATEWRIGHT_TOKEN", "", kinds.TEXT, "Access token that these commands send to that server.", secret=True
    )
    git_url: str = _GIT(
        "GATEWRIGHT_GIT", "", kinds.TEXT, "Git remote whose documents are followed, https or ssh; empty = none."
    )
    git_branch: str = _GIT("GATEWRIGHT_GIT_BRANCH", "main", kinds.TEXT, "Its branch or tag.")
    git_path: str = _GIT("GATEWRIGHT_GIT_PATH", "", kinds.TEXT, "Directory in it; empty = all of it.")
    git_every: int = _GIT("GATEWRIGHT_GIT_EVERY", 30, kinds.POSITIVE, "Seconds between looks at it.")
    git_hook_secret: str = _GIT(
        "GATEWRIGHT_GIT_HOOK_SECRET",
        "",
        kinds.TEXT,
        "What a Git host signs its webhook with, which has the remote looked at at once; empty = no webhook.",
        secret=True,
    )
    git_token: str = _GIT(
        "GATEWRIGHT_GIT_TOKEN", "", kinds.TEXT, "What is sent with https: a token, or `user:token`.", secret=True
    )
    git_key: Path | None = _GIT(  # noqa: RUF009 - makes a field
        "GATEWRIGHT_GIT_KEY", None, kinds.PATH, "File of the deploy key, for ssh."
    )
    git_hosts: Path | None = _GIT(  # noqa: RUF009 - makes a field
        "GATEWRIGHT_GIT_HOSTS", None, kinds.PATH, "File of the host's own keys, as `known_hosts` has them, for ssh."
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
        "SQL_MAX_OPEN_CONNS",
        50,
        kinds.POSITIVE,
        "Open connections per database and worker, all together; the processes beside them, too.",
    )
    sql_max_lifetime: int = _DATA(
        "SQL_MAX_LIFETIME",
        60,
        kinds.POSITIVE,
        "Seconds after which a connection is replaced, and one that lay idle so long is closed.",
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
    redis: str = _DATA(
        "REDIS_CONN_STRING",
        "",
        kinds.REDIS,
        "Where machines count limits together and tell one another what is set aside:"
        " redis://[user:password@]host[:port][/database], rediss:// for TLS; empty = each by itself.",
        secret=True,
    )
    journal_sync: bool = _DATA(
        "GATEWRIGHT_JOURNAL_SYNC",
        False,
        kinds.SWITCH,
        "Each finished call waits until the disk has its journal line; else a power cut may lose up to 1 s of them.",
    )
    log_days: int = _DATA(
        "GATEWRIGHT_LOG_DAYS",
        0,
        kinds.COUNT,
        "Days after which log rows are deleted, each hour; balances and the ledger stay. 0 = never.",
    )
    error_log_enabled: bool = _DATA(
        "ERROR_LOG_ENABLED", False, kinds.SWITCH, "Refused and failed calls become log rows too."
    )

    node_type: str = _DATA(
        "NODE_TYPE",
        "",
        kinds.TEXT,
        "`slave`: this server leaves the schema of the database, first accounts and all work of the cluster to others.",
    )
    node_name: str = _DATA(
        "NODE_NAME", "", kinds.TEXT, "What this server is called where machines and work are listed; the host's name."
    )
    update_task: bool = _DATA(
        "UPDATE_TASK", True, kinds.SWITCH, "This server follows unfinished tasks; off where another one does."
    )
    task_query_limit: int = _DATA(
        "TASK_QUERY_LIMIT", 1000, kinds.POSITIVE, "Tasks of a channel that are asked for in one go, at most."
    )
    task_timeout_minutes: int = _DATA(
        "TASK_TIMEOUT_MINUTES",
        1440,
        kinds.COUNT,
        "Minutes after which an unfinished task is a failure, and its charge is given back; 0 = never.",
    )
    task_price_patch: tuple[str, ...] = _DATA(
        "TASK_PRICE_PATCH",
        (),
        kinds.NAMES,
        "Models whose tasks keep the charge of their submission when they are done.",
    )
    result_dir: Path | None = _DATA(  # noqa: RUF009 - makes a field
        "GATEWRIGHT_RESULT_DIR",
        None,
        kinds.PATH,
        "Directory below which a Policy may have results of tasks kept; empty = `results` in the data directory. All "
        "machines must see the same one.",
    )

    channel_test_frequency: int = _DATA(
        "CHANNEL_TEST_FREQUENCY",
        0,
        kinds.COUNT,
        "Minutes between two tests of all channels, whatever `monitor_setting` says; 0 = as that says.",
    )
    channel_test_enabled: str = _DATA(
        "CHANNEL_TEST_ENABLED",
        "",
        kinds.FORCED,
        "Whether channels are tested again and again, whatever `monitor_setting` says; empty = as that says.",
    )
    channel_update_frequency: int = _DATA(
        "CHANNEL_UPDATE_FREQUENCY", 0, kinds.COUNT, "Minutes between two looks at all channels' balances; 0 = none."
    )
    model_update: bool = _DATA(
        "CHANNEL_UPSTREAM_MODEL_UPDATE_TASK_ENABLED",
        True,
        kinds.SWITCH,
        "Channels that ask for it are looked at for models that came or went at their upstreams.",
    )
    model_update_minutes: int = _DATA(
        "CHANNEL_UPSTREAM_MODEL_UPDATE_TASK_INTERVAL_MINUTES", 30, kinds.POSITIVE, "Minutes between two such looks."
    )
    model_update_least: int = _DATA(
        "CHANNEL_UPSTREAM_MODEL_UPDATE_MIN_CHECK_INTERVAL_SECONDS",
        300,
        kinds.COUNT,
        "Seconds for which a channel that was looked at by hand is not looked at again.",
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
        "Secrets in the database, and names in Redis, are encrypted with it; empty = plain. See `gatewright secrets`.",
        secret=True,
    )

    session_secret: str = _LOGIN(
        "SESSION_SECRET",
        "",
        kinds.SECRET,
        "Sessions are signed with it; empty = a random one, kept in the data directory. The same on all machines.",
        secret=True,
    )
    session_cookie_secure: bool = _LOGIN(
        "SESSION_COOKIE_SECURE", False, kinds.SWITCH, "Session cookies go over TLS alone, whatever the proxy says."
    )
    first_start: str = _LOGIN(
        "GATEWRIGHT_FIRST_START",
        "login",
        kinds.FIRST_START,
        "How root of a fresh database is made: `login` = at the first start, with a random password; `open` = by the "
        "first caller of `POST /api/setup`, whoever it is.",
    )
    login_limit: bool = _LOGIN(
        "CRITICAL_RATE_LIMIT_ENABLE", True, kinds.SWITCH, "Failed logins make the next ones of a name or address wait."
    )
    login_header: str = _LOGIN(
        "GATEWRIGHT_LOGIN_HEADER", "", kinds.HEADER, "Header in which a proxy names who signed in.", caution=_VOUCHED
    )
    login_secret: str = _LOGIN(
        "GATEWRIGHT_LOGIN_SECRET", "", kinds.SHARED, "What that proxy sends besides (docs/logins.md).", secret=True
    )
    notices: int = _TELL("NOTIFY_LIMIT_COUNT", 2, kinds.COUNT, "Notices of one kind for a user in a window; 0 = all.")
    notices_minutes: int = _TELL("NOTIFICATION_LIMIT_DURATION_MINUTE", 10, kinds.POSITIVE, "That window, in minutes.")

    sources: tuple[tuple[str, str], ...] = ()
    """Where each value that isn't a default came from: pairs of variable and source."""
    warnings: tuple[str, ...] = ()
    """What the log should say about variables that were set in vain."""


def rows() -> tuple[Row, ...]:
    """Every row of the table, in its order."""
    places = []
    for field in dataclasses.fields(Table):
        row = field.metadata.get("row")
        if isinstance(row, Row):
            places.append(dataclasses.replace(row, attribute=field.name))
    return tuple(places)
