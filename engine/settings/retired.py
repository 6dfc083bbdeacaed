"""Names of variables that other gateways of this family read and this one does not: setting one is worth a warning.

``GONE`` will not come (the words say what to use); ``LATER`` are read by nothing yet.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

_OURS = "GATEWRIGHT_"
GONE: dict[str, str] = {
    "SQLITE_BUSY_TIMEOUT": "the busy timeout is fixed; put parameters into SQLITE_PATH",
    "DEBUG_SQL": "use DEBUG",
    "ONLY_ONE_LOG_FILE": "the log goes to stderr",
    "THEME": "there is one console",
    "INITIAL_ROOT_TOKEN": "the first start makes a random key; use `gatewright key create`",
    "INITIAL_ROOT_ACCESS_TOKEN": "the first start makes a random password",
    "RELAY_PROXY": "give the channel a proxy",
    "USER_CONTENT_REQUEST_PROXY": "files are fetched directly",
    "USER_CONTENT_REQUEST_TIMEOUT": "see GATEWRIGHT_CONNECT_TIMEOUT and GATEWRIGHT_FIRST_BYTE_TIMEOUT",
    "ENFORCE_INCLUDE_USAGE": "use FORCE_STREAM_OPTION",
    "TEST_PROMPT": "has no effect",
    "ENABLE_METRIC": "has no effect",
    "MEMORY_CACHE_ENABLED": "channels are always held in memory",
    "GIN_MODE": "use DEBUG",
    "ENABLE_PPROF": "has no effect",
    "BATCH_UPDATE_ENABLED": "writes are always gathered, and durable",
    "BATCH_UPDATE_INTERVAL": "writes are always gathered, and durable",
    "POLLING_INTERVAL": "has no effect",
    **dict.fromkeys(
        ("LINUX_DO_TOKEN_ENDPOINT", "LINUX_DO_USER_ENDPOINT"),
        "another address of a login is said by a Login document of your own, of the same name",
    ),
    "REDIS_CONN_POOL_SIZE": "has no effect",
}

LATER: frozenset[str] = frozenset(
    (
        "REDIS_POOL_SIZE",
        "REDIS_PASSWORD",
        "REDIS_MASTER_NAME",
        "FRONTEND_BASE_URL",
        "LOG_SQL_CLICKHOUSE_TTL_DAYS",
        "SESSION_COOKIE_TRUSTED_URL",
        "USER_SESSION_ACTIVE_LIMIT",
        "USER_SESSION_ISSUANCE_LIMIT",
        "TRUSTED_REDIRECT_DOMAINS",
        "PYROSCOPE_URL",
        "GENERATE_DEFAULT_TOKEN",
        "GLOBAL_API_RATE_LIMIT",
        "GLOBAL_WEB_RATE_LIMIT",
        "CRITICAL_RATE_LIMIT",
        "SEARCH_RATE_LIMIT",
        "ANONYMOUS_REQUEST_BODY_LIMIT_KB",
        "CRITICAL_RATE_LIMIT_DURATION",
        "GLOBAL_API_RATE_LIMIT_DURATION",
        "GLOBAL_API_RATE_LIMIT_ENABLE",
        "GLOBAL_WEB_RATE_LIMIT_DURATION",
        "GLOBAL_WEB_RATE_LIMIT_ENABLE",
        "SEARCH_RATE_LIMIT_DURATION",
        "SEARCH_RATE_LIMIT_ENABLE",
        "PYROSCOPE_APP_NAME",
        "PYROSCOPE_BASIC_AUTH_PASSWORD",
        "PYROSCOPE_BASIC_AUTH_USER",
        "PYROSCOPE_BLOCK_RATE",
        "PYROSCOPE_MUTEX_RATE",
        "SMTP_INSECURE_SKIP_VERIFY",
        "SMTP_STARTTLS_ENABLE",
        "SMTP_STARTTLS_ENABLED",
        "SMTP_TLS_INSECURE_SKIP_VERIFY",
        "SUBSCRIPTION_PLAN_CACHE_CAP",
        "SUBSCRIPTION_PLAN_CACHE_TTL",
        "SUBSCRIPTION_PLAN_INFO_CACHE_CAP",
        "SUBSCRIPTION_PLAN_INFO_CACHE_TTL",
        "SYNC_HTTP_MAX_MB",
        "SYNC_HTTP_RETRY",
        "SYNC_HTTP_TIMEOUT_SECONDS",
        "SYNC_UPSTREAM_BASE",
        "UMAMI_SCRIPT_URL",
        "UMAMI_WEBSITE_ID",
        "USER_SESSION_HOURLY_ALERT_THRESHOLD",
        "USER_SESSION_ISSUANCE_WINDOW_SECONDS",
        "USER_SESSION_REVOKED_RETENTION_DAYS",
    )
)


def warning(name: str, known: Collection[str]) -> str | None:
    """What to say when this variable is set, or nothing. ``known`` are the names that are read."""
    if name in GONE:
        return f"{name} is set but not read any more: {GONE[name]}"
    if name in LATER:
        return f"{name} is set but this version does not read it"
    if name.startswith(_OURS) and name not in known:
        # Kubernetes sets variables with this prefix for a service of that name, so only slips are told
        names = [variable.removeprefix(_OURS) for variable in known if variable.startswith(_OURS)]
        near = difflib.get_close_matches(name.removeprefix(_OURS), names, n=1, cutoff=0.8)
        return f"{name} is set but nobody reads it; did you mean {_OURS}{near[0]}?" if near else None
    return None
