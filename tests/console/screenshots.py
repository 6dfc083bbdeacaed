"""``make screenshots``: every page of the console as pictures in build/screenshots, with a look for what is too wide.

On a gateway of its own with demo data: a desk in English and light, a phone in Chinese and dark.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support import ROOT, Gateway

PAGES = (
    *(
        "",
        "channels",
        "channels/1",
        "channels/1?tab=edit",
        "channels?tags=1",
        "keys",
        "keys/1",
        "logs?range=30d",
        "models",
    ),
    *(
        "models/one?name=gpt-5.5",
        "models/groups",
        "users",
        "users/2",
        "codes",
        "plans",
        "notices",
        "settings",
        "settings/money",
    ),
    *("settings/audit", "playground", "documents", "documents/Format/openai.chat", "documents/new", "releases"),
    *(
        "plans",
        "wallet",
        "teams",
        "profile",
        "prices",
        "status",
        "tasks",
        "tasks?kind=drawing",
        "tasks?kind=live",
        "kit",
    ),
)
VIEWS = (("desk", 1440, 900, "en.light."), ("phone", 390, 844, "zh.dark."))

_WIDEST = """width => [...document.querySelectorAll('body *')]
    .filter(one => one.getBoundingClientRect().right > width + 1)
    .slice(0, 3).map(one => one.tagName + '.' + one.className).join(', ')"""


def main() -> int:
    """Take them; how many pages are wider than their window."""
    out, wide = ROOT / "build" / "screenshots", 0
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as play:
        env = {"GATEWRIGHT_DATA": data}
        subprocess.run([sys.executable, "-m", "deploy.demo_data"], cwd=ROOT, env={**os.environ, **env}, check=True)
        gateway = Gateway(Path(data), demo=True, may_stall=True)
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            _wait(gateway)
            for name, width, height, view in VIEWS:
                context = browser.new_context(viewport={"width": width, "height": height})
                cookie = {"name": "console_view", "value": view, "domain": "127.0.0.1", "path": "/console"}
                context.add_cookies([cookie])  # type: ignore[list-item]
                page = context.new_page()
                page.goto(f"{gateway.base}/console/login")
                page.fill("[name=username]", "root")
                page.fill("[name=password]", "rootroot1")
                page.click("button[type=submit]")
                for place in PAGES:
                    page.goto(f"{gateway.base}/console/{place}".rstrip("/"), wait_until="networkidle")
                    file = place.replace("/", "-").replace("?", "-").replace("=", "-") or "dashboard"
                    page.screenshot(path=out / name / f"{file}.png")
                    if page.evaluate("document.documentElement.scrollWidth") > width:
                        wide += 1
                        print(f"{name}: /console/{place} is wider than its window: {page.evaluate(_WIDEST, width)}")
                context.close()
        finally:
            browser.close()
            gateway.stop()
    print(f"{len(PAGES) * len(VIEWS)} pictures in {out}")
    return wide


def _wait(gateway: Gateway) -> None:
    (gateway.data / "first.key").write_text("none")
    gateway.ready()


if __name__ == "__main__":
    sys.exit(main())
