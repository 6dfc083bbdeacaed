"""Names of variables that other gateways of this family read and this one does not: setting one is worth a warning.

``GONE`` will not come (the words say what to use); ``LATER`` are read by nothing yet.
"""

from __future__ import annotations

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
}

LATER: frozenset[str] = frozenset(
    (
        "REDIS_CONN_STRING",
        "REDIS_POOL_SIZE",
        "REDIS_PASSWORD",
        "REDIS_MASTER_NAME",
        "NODE_TYPE",
        "FRONTEND_BASE_URL",
        "LOG_SQL_CLICKHOUSE_TTL_DAYS",
        "SESSION_COOKIE_SECURE",
        "SESSION_COOKIE_TRUSTED_URL",
        "USER_SESSION_ACTIVE_LIMIT",
        "USER_SESSION_ISSUANCE_LIMIT",
        "TRUSTED_REDIRECT_DOMAINS",
        "PYROSCOPE_URL",
        "CHANNEL_UPDATE_FREQUENCY",
        "CHANNEL_TEST_FREQUENCY",
        "CHANNEL_TEST_ENABLED",
        "UPDATE_TASK",
        "TASK_QUERY_LIMIT",
        "TASK_TIMEOUT_MINUTES",
        "TASK_PRICE_PATCH",
        "GENERATE_DEFAULT_TOKEN",
        "GLOBAL_API_RATE_LIMIT",
        "GLOBAL_WEB_RATE_LIMIT",
        "CRITICAL_RATE_LIMIT",
        "SEARCH_RATE_LIMIT",
        "ANONYMOUS_REQUEST_BODY_LIMIT_KB",
    )
)


def warning(name: str) -> str | None:
    """What to say when this variable is set, or nothing."""
    if name in GONE:
        return f"{name} is set but not read any more: {GONE[name]}"
    if name in LATER:
        return f"{name} is set but this version does not read it"
    return None
