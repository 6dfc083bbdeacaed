"""Which channel answered the calls that belong together: remembered for all workers of the machine.

What can't be read or written is as good as forgotten: a call that nobody remembers goes wherever it is drawn.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from engine.cluster.store import Space, StoreError

if TYPE_CHECKING:
    from engine.routing.bond import Bond


class Bonds:
    """See the module. Channels are known by their marks."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def channel(self, bond: Bond | None) -> str | None:
        """The channel that answered last."""
        if bond is None:
            return None
        with suppress(StoreError):
            mark = self._space.get(bond.key)
            return None if mark is None else mark.decode()
        return None

    def keep(self, bond: Bond | None, mark: str, before: str | None, *, moves: bool) -> None:
        """Note the channel that answered; one that was noted before gives way where calls move with success."""
        if bond is None or not (moves or before is None or before == mark):
            return
        with suppress(StoreError):
            self._space.put(bond.key, mark.encode(), bond.seconds)
