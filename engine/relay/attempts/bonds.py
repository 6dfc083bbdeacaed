"""Which channel answered the calls that belong together: remembered for all workers, with Redis of all machines.

What can't be read or written is as good as forgotten: a call that nobody remembers goes wherever it is drawn.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from engine.cluster.shared_space import SharedSpace
from engine.cluster.store import Space, StoreError

if TYPE_CHECKING:
    from engine.cluster.rates import Verdict
    from engine.cluster.redis import Command
    from engine.routing.affinity.bond import Bond


class Bonds:
    """See the module. Channels are known by their marks."""

    def __init__(self, space: Space | SharedSpace) -> None:
        self._space = space

    def question(self, bond: Bond | None) -> Command | None:
        """What can be asked beside something else, whose verdict then goes to ``channel``."""
        return self._space.question(bond.key) if bond is not None and isinstance(self._space, SharedSpace) else None

    def channel(self, bond: Bond, verdict: Verdict | None = None) -> str | None:
        """The channel that answered last."""
        with suppress(StoreError):
            if isinstance(self._space, SharedSpace) and verdict is not None and verdict.beside:
                mark = self._space.get(bond.key, verdict.beside[0])
            else:
                mark = self._space.get(bond.key)
            return None if mark is None else mark.decode()
        return None

    def keep(self, bond: Bond, mark: str, before: str | None, *, moves: bool) -> None:
        """Note the channel that answered; one that was noted before gives way where calls move with success."""
        if moves or before is None or before == mark:
            with suppress(StoreError):
                self._space.put(bond.key, mark.encode(), bond.seconds)

    def close(self) -> None:
        """Write what waits."""
        if isinstance(self._space, SharedSpace):
            self._space.close()
