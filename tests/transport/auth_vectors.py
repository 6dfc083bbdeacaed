"""Signatures that vendors publish, each with its request: facts to compare with, not code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

VECTORS: dict[str, dict[str, Any]] = {
    # AWS, "Create a signed AWS API request" (IAM ListUsers of the Signature Version 4 examples), read 2026-11-28
    "sigv4": {
        "recipe": {
            "algorithm": "AWS4-HMAC-SHA256",
            "time": {"header": "x-amz-date"},
            "signed": ["content-type", "host", "x-amz-date"],
            "keys": ["AWS4{secret}", "{day}", "us-east-1", "iam", "aws4_request"],
            "scope": "{day}/us-east-1/iam/aws4_request",
        },
        "words": {"id": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
        "headers": [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")],
        "url": "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        "method": "GET",
        "body": b"",
        "now": datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp(),
        "signature": "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    },
    # cloud.tencent.com/document/api/213/30654 (DescribeInstances), read 2026-11-28; the secret is masked there, too
    "tc3": {
        "recipe": {
            "algorithm": "TC3-HMAC-SHA256",
            "time": {"header": "x-tc-timestamp", "as": "unix"},
            "day": "dashed",
            "signed": ["content-type", "host"],
            "keys": ["TC3{secret}", "{day}", "cvm", "tc3_request"],
            "scope": "{day}/cvm/tc3_request",
        },
        "words": {"id": "AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******", "secret": "Gu5t9xGARNpq86cd98joQYCN3*******"},
        "headers": [("Content-Type", "application/json; charset=utf-8")],
        "url": "https://cvm.tencentcloudapi.com/",
        "method": "POST",
        "body": b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}',
        "now": 1551113065,
        "signature": "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c",
    },
    # volcengine.com/docs/6369/67270 (IAM ListUsers), read 2026-11-28
    "volc": {
        "recipe": {
            "algorithm": "HMAC-SHA256",
            "time": {"header": "x-date"},
            "signed": ["host", "x-date"],
            "keys": ["{secret}", "{day}", "cn-beijing", "iam", "request"],
            "scope": "{day}/cn-beijing/iam/request",
        },
        "words": {
            "id": "AKLTYWViMTVmZGYzM2E0NDI5Mzk2MDZjNjFmMjc2MjRjMzg",
            "secret": "WkRZeE1EQmxPVGhsWWpWak5HVmtNbUUxTXpZeU9UVXlOMlE1TmpZeVlqTQ==",
        },
        "headers": [],
        "url": "https://iam.volcengineapi.com/?Action=ListUsers&Version=2018-01-01&Limit=10&Offset=0",
        "method": "GET",
        "body": b"",
        "now": datetime(2024, 6, 19, 7, 13, 6, tzinfo=UTC).timestamp(),
        "signature": "e31c4558bcfe08a286001f59cedbf0791ffd0b2362f10e55ee2627467bcdde93",
    },
}
