"""Why a server can't begin; apart, so that who only tells of it loads nothing that serves."""

from __future__ import annotations

from engine.errors import GatewrightError


class StartError(GatewrightError):
    """The server can't start; the words say why."""
