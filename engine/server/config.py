"""What gunicorn is told: its own settings, drawn from ours. Takes a ``Settings``, gives a plain map."""

from __future__ import annotations

from engine.server.http import rules
from engine.settings import Settings


def gunicorn_settings(settings: Settings) -> dict[str, object]:
    """gunicorn's settings; ``worker_class`` is the short one."""
    host = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
    return {
        "bind": f"{host}:{settings.port}",
        "workers": settings.worker_count,
        "worker_class": "engine.server.worker.ShortWorker",
        "worker_connections": settings.max_connections,
        "logger_class": f"engine.server.logs.{'JsonLog' if settings.log_json else 'ServerLog'}",
        "loglevel": "debug" if settings.debug else "info",
        "errorlog": "-",
        "accesslog": "-" if settings.access_log or settings.log_json else None,
        "keepalive": settings.keepalive,
        "timeout": settings.worker_timeout,
        "graceful_timeout": settings.shutdown_timeout,
        "max_requests": settings.max_requests,
        "max_requests_jitter": settings.max_requests // 10,
        "preload_app": True,
        "control_socket_disable": True,
        "proc_name": "gatewright",
        # the rules of the short path, said in gunicorn's words
        "limit_request_line": rules.MAX_LINE,
        "limit_request_fields": rules.MAX_FIELDS,
        "limit_request_field_size": rules.MAX_FIELD,
        "header_map": "refuse",
        # X-Forwarded-* is judged by TRUSTED_PROXIES in the relay, not here
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "http_parser": "python",
    }
