"""S3 on loopback, as docs.aws.amazon.com/AmazonS3/latest/API has PutObject, GetObject, DeleteObject.

The signature is computed anew by botocore from what arrived, and the body's hash by hand: a forged or stale request is
refused and noted.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.upstreams.loopback import Loopback

ID, SECRET, REGION = "AKIDEXAMPLE0000", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1"
_SIGNED = re.compile(
    rf"AWS4-HMAC-SHA256 Credential={ID}/\d{{8}}/{REGION}/s3/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)"
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LATE = 900


class Bucket(Loopback):
    """``objects`` by path; ``faults`` are the requests that were refused; ``down`` answers all with 503."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self.down = False
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                bucket.asked.append((self.command, self.path))
                status, told, raw = bucket.answer(self.command, self.path, headers, body)
                self.send_response(status)
                for name, value in told.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        super().__init__(Handler)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        if self.down:
            return _error(503, "SlowDown")
        if why := _forged(self.base + path, method, headers, body):
            self.faults.append(f"{method} {path}: {why}")
            return _error(403, why)
        if method == "PUT":
            self.objects[path] = (body, headers.get("content-type", "binary/octet-stream"))
            return 200, {"etag": _tag(body)}, b""
        if method == "DELETE":
            self.objects.pop(path, None)
            return 204, {}, b""
        if path not in self.objects:
            return _error(404, "NoSuchKey")
        return _part(*self.objects[path], headers)


def _tag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _part(body: bytes, media_type: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    about = {"content-type": media_type, "etag": _tag(body), "accept-ranges": "bytes"}
    if headers.get("if-none-match") == _tag(body):
        return 304, about, b""
    match = _RANGE.fullmatch(headers.get("range", ""))
    if match is None:
        return 200, about, body
    first, last = match[1], match[2]
    start = int(first) if first else max(0, len(body) - int(last))
    end = min(int(last) + 1 if first and last else len(body), len(body))
    if start >= len(body):
        status, told, raw = _error(416, "InvalidRange")
        return status, {**told, "content-range": f"bytes */{len(body)}"}, raw
    return 206, {**about, "content-range": f"bytes {start}-{end - 1}/{len(body)}"}, body[start:end]


def _error(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><AWSAccessKeyId>{ID}</AWSAccessKeyId></Error>"
    return status, {"content-type": "application/xml"}, text.encode()


def _forged(url: str, method: str, headers: dict[str, str], body: bytes) -> str:
    """What is wrong with a request's signature; nothing where it is the one that botocore makes."""
    match = _SIGNED.fullmatch(headers.get("authorization", ""))
    if match is None:
        return "InvalidAccessKeyId"
    if headers.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs((datetime.now(UTC) - moment).total_seconds()) > _LATE:
        return "RequestTimeTooSkewed"
    names = match[1].split(";")
    if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names):
        return "MissingSecurityHeader"
    request = AWSRequest(method, url, {name: headers[name] for name in names}, body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = S3SigV4Auth(Credentials(ID, SECRET), "s3", REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return "" if signer.signature(text, request) == match[2] else "SignatureDoesNotMatch"
