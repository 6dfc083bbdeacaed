"""Channels: the rows, their keys, what upstreams say, and what channels of one type alone can do."""

from __future__ import annotations

from engine.api.resources.newapi.routing import channel_keys, channels, typed, upstreams
from engine.api.route import Route

__all__ = ["ROUTES"]

ROUTES: tuple[Route, ...] = (*channels.ROUTES, *channel_keys.ROUTES, *upstreams.ROUTES, *typed.ROUTES)
