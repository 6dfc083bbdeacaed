"""A long piece of work gives the other greenlets of its worker a turn.

``give_way`` is called now and then by whatever may take long. Where a hub runs, others go on before it comes back;
anywhere else it does nothing. Knows no server and imports none.
"""

from __future__ import annotations

import sys
import time

_WHILE = 0.005
"""Seconds for which one piece of work may go on alone."""
_LEAST = 0.0001


def give_way() -> None:
    """Let whoever waits in this thread's hub go on first, if its loop did not turn for a while. PERF: else 0.3 us.

    A sleep of no time would not do: the hub runs up to fifty of its callbacks before it looks at sockets again.
    """
    gevent = sys.modules.get("gevent")
    if gevent is None:
        return
    hub = gevent._hub_local.get_hub_if_exists()
    if hub is None or gevent.getcurrent() is hub or time.time() - hub.loop.now() < _WHILE:
        return
    gevent.sleep(_LEAST)
