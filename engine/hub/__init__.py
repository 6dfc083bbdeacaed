"""The canonical conversation: its shapes, the stream assembler, replay, usage, shaping.

Every wire format maps to and from what this room defines. Imports nothing of ours but the error table; it does no I/O
and holds no format's name: what differs between formats arrives as declared rules.
"""
