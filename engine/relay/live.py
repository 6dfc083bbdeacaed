"""The calls that a worker has under way, so that a worker which must stop can end them with a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.transport.leg import Handle


class Live:
    """Handles of open upstream calls. ``stopping`` tells a stream why it was ended."""

    def __init__(self) -> None:
        self.stopping = False
        self._handles: set[Handle] = set()

    def enter(self, handle: Handle, unwatch: Callable[[], None]) -> Callable[[], None]:
        """Note a call; gives what ends it here and ends the watch on its caller."""
        self._handles.add(handle)

        def leave() -> None:
            self._handles.discard(handle)
            unwatch()

        return leave

    def stop(self) -> None:
        """End what is still open: each caller gets an error event in its own format."""
        self.stopping = True
        for handle in list(self._handles):
            handle.abort()
