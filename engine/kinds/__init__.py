"""What a call can be: a folder for each kind of call, and this list, the only one that names them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.kinds.conversation.kind import Conversation
from engine.kinds.kept.kind import Kept
from engine.kinds.plain.kind import Plain
from engine.kinds.realtime.kind import Realtime
from engine.kinds.task.kind import Task

if TYPE_CHECKING:
    from engine.relay.kind import Kind

KINDS: tuple[type[Kind[Any, Any]], ...] = (Conversation, Plain, Task, Kept, Realtime)
NAMES = frozenset(kind.name for kind in KINDS)
