"""``/``: browsers are sent to the console, everything else is told what answers here. ``/favicon.ico`` is the icon."""

from __future__ import annotations

import falcon

from admin import static


class Front:
    """See the module."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send a browser on; name the product to a client."""
        if "text/html" in (req.get_header("Accept") or ""):
            resp.status, resp.content_type = 302, "text/plain"
            resp.set_header("location", "/console")
            return
        resp.media = {"name": "gatewright"}

    on_head = on_get


class Icon:
    """The icon of a browser's tab."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Give it."""
        resp.data, resp.content_type = static.ICON, "image/svg+xml"
        resp.set_header("cache-control", "public, max-age=86400")

    on_head = on_get


def routes() -> list[tuple[str, object]]:
    """The fixed routes of the console."""
    return [("/", Front()), ("/favicon.ico", Icon())]
