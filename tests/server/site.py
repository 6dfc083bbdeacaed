"""A small site under gunicorn for the tests of the worker: ``python site.py PORT short|whole|stock``.

Run as a program, never imported by a test.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gevent import monkey

monkey.patch_all()

from gunicorn.app.base import BaseApplication  # noqa: E402
from gunicorn.workers.ggevent import GeventWorker  # noqa: E402

from engine.server.config import gunicorn_settings  # noqa: E402
from engine.server.worker import STALLS, ShortWorker  # noqa: E402
from engine.settings import Settings  # noqa: E402
from engine.turns import give_way  # noqa: E402


class WholeWorker(ShortWorker):
    """Everything by gunicorn's own path, under our rules."""

    whole = True


WORKERS = {"short": ShortWorker, "whole": WholeWorker, "stock": GeventWorker}


class Items:
    """A body whose closing can be seen."""

    closed = 0

    def __init__(self, items: Any) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return iter(self.items)

    def close(self) -> None:
        Items.closed += 1


def echo(env: dict[str, Any], start: Any) -> Any:
    body = env["wsgi.input"].read()
    seen = {key: value for key, value in env.items() if isinstance(value, str | int | bool)}
    seen["socket"] = env["gunicorn.socket"].fileno() > 0
    text = json.dumps({"env": seen, "body": body.decode("latin-1")}, sort_keys=True).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


def ticks(count: int, pause: float) -> Any:
    for number in range(count):
        yield b"tick %d\n" % number
        time.sleep(pause)


def busy(milliseconds: int, turns: int) -> bytes:
    """Use the processor for so long, so many times, giving way between."""
    for _ in range(turns):
        begun = time.thread_time()
        while time.thread_time() - begun < milliseconds / 1000:
            pass
        give_way()
    return b"done"


def broken() -> Any:
    yield b"half"
    raise RuntimeError("in the middle")


def app(env: dict[str, Any], start: Any) -> Any:
    path = env["PATH_INFO"]
    plain = [("Content-Type", "text/plain")]
    if path == "/stream":
        start("200 OK", plain)
        return Items(ticks(5, 0.05))
    if path == "/closed":
        start("200 OK", plain)
        return [b"%d" % Items.closed]
    if path == "/endless":
        start("200 OK", plain)
        return Items(ticks(100_000, 0.01))
    if path == "/slow":
        start("200 OK", plain)
        return Items(ticks(30, 0.1))
    if path == "/busy":
        start("200 OK", plain)
        milliseconds, turns = map(int, env["QUERY_STRING"].split(","))
        return [busy(milliseconds, turns)]
    if path == "/stalls":
        start("200 OK", plain)
        return [b"%d %d" % (env[STALLS].count, env[STALLS].longest_ms)]
    if path == "/nothing":
        start("204 No Content", [("Content-Length", "0")])
        return []
    if path == "/unchanged":
        start("304 Not Modified", [("Content-Length", "5")])
        return [b"never"]
    if path == "/unread":
        start("413 Content Too Large", [*plain, ("Content-Length", "4")])
        return [b"much"]
    if path == "/part":
        start("200 OK", plain)
        return [env["wsgi.input"].read(3)]
    if path == "/lines":
        start("200 OK", plain)
        return [b"|".join(env["wsgi.input"])]
    if path == "/raise":
        raise RuntimeError("before the head")
    if path == "/broken":
        start("200 OK", plain)
        return broken()
    if path == "/short":
        start("200 OK", [("Content-Length", "10")])
        return [b"abc"]
    if path == "/long":
        start("200 OK", [("Content-Length", "3")])
        return [b"abcdef", b"ghi"]
    if path == "/split":
        start("200 OK", [("X-Bad", "a\r\nInjected: 1")])
        return [b"x"]
    if path == "/goodbye":
        start("200 OK", [("Connection", "close"), ("Content-Length", "3")])
        return [b"bye"]
    if path == "/write":
        write = start("200 OK", plain)
        write(b"by ")
        return [b"write"]
    if path == "/vanish":
        raise StopIteration
    return echo(env, start)


class Site(BaseApplication):
    """The app under gunicorn."""

    def __init__(self, port: int, kind: str) -> None:
        self.kind = kind
        self.settings = Settings(port=port, bind="127.0.0.1", workers=1, head_timeout=1, body_timeout=1, keepalive=2)
        super().__init__()

    def load_config(self) -> None:
        for key, value in gunicorn_settings(self.settings).items():
            self.cfg.set(key, value)
        self.cfg.set("worker_class", WORKERS[self.kind])
        self.cfg.set("graceful_timeout", 3)

    def load(self) -> Any:
        return app


if __name__ == "__main__":
    Site(int(sys.argv[1]), sys.argv[2]).run()
