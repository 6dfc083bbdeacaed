"""A long piece of work gives the other greenlets of its worker a turn.

``give_way`` is called now and then by whatever may take long. Where a hub runs, others go on before it comes back;
anywhere else it does nothing. Knows no server and imports none.
"""

from __future__ import annotations

import sys


def give_way() -> None:
    """Let whoever waits in this thread's hub go on first; a microsecond where nobody does."""
    gevent = sys.modules.get("gevent")
    if gevent is None:
        return
    hub = gevent._hub_local.get_hub_if_exists()
    if hub is not None and gevent.getcurrent() is not hub:
        gevent.sleep(0)
