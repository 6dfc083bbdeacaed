"""A demo upstream: speaks four vendors' wire formats on loopback, so that specs can be tried without an account.

    python deploy/demo [--port 3999] [--pace 15] [--any-model] [--any-signature] [--log FILE]

Answers are made by rules (``brain.py``), always the same for the same request. It is strict: what a vendor refuses, it
refuses with that vendor's error. Standard library only; ends with SIGTERM or with the process that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import chat
import claude_checks
import gemini_checks
import generate
import messages
import openai_errors
import responses
import videos
import wire

_GEMINI = re.compile(r"^/v1(?:beta|alpha|beta1)?/(?:projects/.+/)?models/(?P<model>.+?):(?P<verb>\w+)$")
_GEMINI_MODEL = re.compile(r"^/v1(?:beta|alpha)/models/(?P<model>[^:]+)$")
_VERBS = ("generateContent", "streamGenerateContent", "countTokens")
_MOST = 64 * 1024 * 1024


def dialect(path: str, headers: dict[str, str]) -> str:
    """Whose errors and lists a call expects."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers:
        return "claude"
    google = _GEMINI.match(path) or path.startswith("/v1beta") or "x-goog-api-key" in headers
    return "gemini" if google else "openai"


def answer(call: wire.Call) -> wire.Reply:
    """The answer to any call."""
    path = call.path
    found = _GEMINI.match(path)
    if call.method == "POST" and found and found["verb"] in _VERBS:
        return generate.handle(call, found["model"], found["verb"])
    posts = {
        "/v1/chat/completions": chat.handle,
        "/v1/responses": responses.handle,
        "/v1/messages": messages.handle,
        "/v1/messages/count_tokens": messages.count,
        "/v1/videos": videos.submit,
    }
    if call.method == "POST" and path in posts:
        return posts[path](call)
    if call.method == "GET":
        video = videos.fetch(call)
        if video is not None:
            return video
        found = _GEMINI_MODEL.match(path)
        if found:
            return generate.get_model(call, found["model"])
        if path in ("/v1/models", "/v1beta/models"):
            kind = dialect(path, call.headers)
            return {"claude": messages.models, "gemini": generate.models, "openai": _models}[kind](call)
        if path in ("/", "/healthz"):
            return wire.Reply({"status": "ok"})
    raise failure(call, 404, f"Invalid URL ({call.method} {path})")


def _models(call: wire.Call) -> wire.Reply:
    owned = [
        {"id": name, "object": "model", "created": wire.CREATED, "owned_by": "demo"} for name in wire.MODELS["openai"]
    ]
    return wire.Reply({"object": "list", "data": owned})


def failure(call: wire.Call, status: int, message: str) -> wire.RefusedError:
    """An error that no wire knows of, in the dialect of the call."""
    kind = dialect(call.path, call.headers)
    if kind == "claude":
        return claude_checks.error(status, "not_found_error" if status == 404 else "invalid_request_error", message)
    if kind == "gemini":
        word = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND"}.get(status, "INTERNAL")
        return wire.RefusedError(status, gemini_checks.body(status, word, message))
    return openai_errors.invalid(message, status=status)


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive and chunked streams."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    options = wire.Options()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        address = urlsplit(self.path)
        call = wire.Call(
            self.command,
            unquote(address.path),
            dict(parse_qsl(address.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            None,
            self.options,
        )
        try:
            try:
                object.__setattr__(call, "body", self._body(call))
                _check_key(call)
                reply = answer(call)
            except wire.RefusedError as refused:
                wire.note(call, refused.status, self._whole(refused.status, refused.body, refused.headers))
                return
            time.sleep(reply.delay)
            if reply.chunks is None:
                wire.note(call, reply.status, self._whole(reply.status, reply.body, reply.headers))
            else:
                self._stream(call, reply)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def _body(self, call: wire.Call) -> Any:
        if call.method != "POST":
            return None
        if "chunked" in call.headers.get("transfer-encoding", ""):
            raw = self._chunked()
        else:
            raw = self.rfile.read(min(int(call.headers.get("content-length") or 0), _MOST))
        try:
            body = json.loads(raw, parse_constant=_no_number)
            wire.compact(body).encode()  # half characters are no JSON
            return body
        except (ValueError, RecursionError):
            raise failure(call, 400, "We could not parse the JSON body of your request.") from None

    def _chunked(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
            if len(found) > _MOST:
                break
        self.rfile.readline()
        return found

    def _whole(self, status: int, body: Any, headers: dict[str, str]) -> bytes:
        raw = wire.compact(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)
        return raw

    def _stream(self, call: wire.Call, reply: wire.Reply) -> None:
        assert reply.chunks is not None
        told = b""
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Cache-Control", "no-cache")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for number, chunk in enumerate(reply.chunks):
            if number == reply.cut_after:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if number and reply.pace:
                time.sleep(reply.pace)
            if call.options.log:
                told += chunk
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        wire.note(call, reply.status, told)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it that
        """Say nothing."""


_DEEP = 20_000
"""Levels of Python calls: what is nested as deep as JSON may be is read without a fault."""


def _no_number(name: str) -> None:
    raise ValueError(name)


def _check_key(call: wire.Call) -> None:
    """Any key will do, and none; ``bad`` in one shows what a refused key looks like."""
    bearer = call.headers.get("authorization", "").removeprefix("Bearer ")
    names = ("x-api-key", "x-goog-api-key")
    keys = [bearer, call.query.get("key", ""), *(call.headers.get(name, "") for name in names)]
    if any(key.endswith("bad") for key in keys):
        kind = dialect(call.path, call.headers)
        asked = {"claude": claude_checks.asked, "gemini": gemini_checks.asked, "openai": openai_errors.asked}[kind]
        raise asked(401)


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to speak of; a fault of ours is."""
        if not isinstance(sys.exception() if sys.version_info >= (3, 11) else None, OSError):
            super().handle_error(request, client_address)


def _end_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="demo", description="A demo upstream on loopback")
    parser.add_argument("--port", type=int, default=3999)
    parser.add_argument("--pace", type=float, default=15.0, help="milliseconds between the chunks of a stream")
    parser.add_argument("--any-model", action="store_true", help="take any model's name")
    parser.add_argument("--any-signature", action="store_true", help="take signatures that others made")
    parser.add_argument("--log", default="", help="file to which each call and its answer are appended, a line of JSON")
    chosen = parser.parse_args()
    sys.setrecursionlimit(_DEEP)
    Handler.options = wire.Options(chosen.pace / 1000, chosen.any_model, chosen.any_signature, chosen.log)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    _end_with_parent()
    with Server(("127.0.0.1", chosen.port), Handler) as server:
        print(f"demo upstream on http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
