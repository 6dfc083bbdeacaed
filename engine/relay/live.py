"""The calls that a worker has under way, so that a worker which must stop can end them with a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.transport.leg import Handle

Watch = Callable[[Callable[[], None]], Callable[[], None]]
"""As a call has it: takes what to do when the caller has gone, gives what ends the watch."""


class Live:
    """Handles of open upstream calls. ``stopping`` tells a stream why it was ended."""

    def __init__(self) -> None:
        self.stopping = False
        self._handles: set[Handle] = set()

    def enter(self, handle: Handle, watch: Watch | None) -> Callable[[], None]:
        """Note a call, and watch its caller, if that can be; gives what ends both."""
        self._handles.add(handle)
        unwatch = watch(handle.abort) if watch is not None else None

        def leave() -> None:
            self._handles.discard(handle)
            if unwatch is not None:
                unwatch()

        return leave

    def stop(self) -> None:
        """End what is still open: each caller gets an error event in its own format."""
        self.stopping = True
        for handle in list(self._handles):
            handle.abort()
