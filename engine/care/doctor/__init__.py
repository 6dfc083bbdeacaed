"""What is wrong with a set-up: causes first, each with the command that mends it. ``examine(asked)`` changes nothing.

Checks stand in the order in which one thing rests on another (settings, machine, database, documents, network, what is
in front), and one whose ground is broken is not made: the first finding is the cause of what follows.
"""

from __future__ import annotations

from engine.care.doctor.examine import examine
from engine.care.doctor.site import Asked, Finding

__all__ = ["Asked", "Finding", "examine"]
