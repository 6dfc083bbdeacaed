"""A console over keys that are kept as hashes: each is shown once, and what can't be had is not offered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import requests

from tests.console.conftest import PASSWORD, Site
from tests.support import PATIENCE, Gateway


def test_a_key_is_shown_once_and_counts(tmp_path: Path) -> None:
    env = {"CRYPTO_SECRET": "the operator's", "GATEWRIGHT_FIRST_START": "open"}
    (tmp_path / "first.key").write_text("none")
    gateway = Gateway(tmp_path, demo=True, env=env)
    try:
        gateway.ready()
        site = Site(gateway, 0)
        body = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}
        assert requests.post(f"{site.url}/api/setup", json=body, timeout=PATIENCE).json()["success"]
        root = site.signed_in()
        old = root.post(f"{site.url}/console/keys/new", data={"name": "old"})
        assert "/console/keys/" in old.headers["hx-redirect"]
        command = [sys.executable, "-m", "engine.cli", "key", "hash", "--yes"]
        done = subprocess.run(
            command,
            env={**os.environ, **env, "GATEWRIGHT_DATA": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "New API can't go back" in done.stdout, done.stderr
        made = root.post(f"{site.url}/console/keys/new", data={"name": "fresh"})
        assert made.headers["hx-retarget"] == "#drawer"
        key = re.search(r'<code id="once">(sk-\w{48})</code>', made.text)
        assert key, made.text
        drawer = re.search(r"/console/keys/(\d+)/delete", made.text)
        assert drawer
        page = root.get(f"{site.url}/console/keys/{drawer[1]}")
        assert key[1] not in page.text
        assert key[1][-4:] in page.text
        refused = root.post(f"{site.url}/console/keys/{drawer[1]}/secret")
        assert refused.status_code == 409
        renewed = root.post(f"{site.url}/console/keys/{drawer[1]}/renew")
        fresh = re.search(r'<code id="once">(sk-\w{48})</code>', renewed.text)
        assert fresh
        for sent, status in ((key[1], 401), (fresh[1], 200)):
            answer = root.get(f"{site.url}/v1/models", headers={"authorization": f"Bearer {sent}"})
            assert answer.status_code == status, answer.text
    finally:
        gateway.stop()
