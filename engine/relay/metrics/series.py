"""What is counted: each metric with its kind, its words and its labels, which are bounded.

Labels are formats, meanings, buckets, names of channels and limits, and rows of processes; never a model that a caller
made up, a key or a user.
"""

from __future__ import annotations

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
NAMES = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")
HELP = {
    "gatewright_calls_total": ("counter", "Calls that ended, by the caller's format, and by what ended them."),
    "gatewright_attempts_total": ("counter", "Attempts by channel, and by what they failed by."),
    "gatewright_tokens_total": ("counter", "Tokens of calls, by kind."),
    "gatewright_charged_units_total": ("counter", "Units of quota that callers were charged, by what for."),
    "gatewright_limited_total": ("counter", "Calls that a limit refused, by its name."),
    "gatewright_waited_total": ("counter", "Calls that waited for a channel with room."),
    "gatewright_stalls_total": ("counter", "Streams that fell silent, and pieces of work that held up a worker."),
    "gatewright_captures_lost": ("counter", "Exchanges that were to be kept and are not."),
    "gatewright_call_seconds": ("histogram", "From a call's arrival to its end."),
    "gatewright_first_byte_seconds": ("histogram", "From a call's arrival to its provider's first byte."),
    "gatewright_calls_open": ("gauge", "Calls that are under way now, of all workers of the machine."),
    "gatewright_streams_open": ("gauge", "Those of them that are answered as streams."),
    "gatewright_channels_aside": ("gauge", "Channels and keys that are set aside now."),
    "gatewright_calls_waiting": ("gauge", "Calls that wait for a channel with room, by worker."),
    "gatewright_entries_waiting": ("gauge", "Finished calls that no database has yet, by worker."),
}
LABELS = {
    "gatewright_calls_total": ("format", "ended"),
    "gatewright_attempts_total": ("channel", "failed"),
    "gatewright_tokens_total": ("kind",),
    "gatewright_charged_units_total": ("bucket",),
    "gatewright_limited_total": ("limit",),
    "gatewright_stalls_total": ("what",),
    "gatewright_call_seconds": ("le",),
    "gatewright_first_byte_seconds": ("le",),
    "gatewright_calls_waiting": ("worker",),
    "gatewright_entries_waiting": ("worker",),
}
THOUSANDTHS = frozenset({"gatewright_charged_units_total"})
"""Counted in thousandths, as a call's units are shared out among its buckets."""
OPEN, STREAMS, WAITING, ENTRIES = range(4)
"""Places of what each worker says of itself now."""
WIDTH = 4
OF_MACHINE = ((OPEN, "gatewright_calls_open"), (STREAMS, "gatewright_streams_open"))
OF_WORKERS = ((WAITING, "gatewright_calls_waiting"), (ENTRIES, "gatewright_entries_waiting"))


def name(metric: str, *values: str) -> str:
    """How a metric with the values of its labels stands among the counts."""
    if not values:
        return metric
    pairs = zip(LABELS[metric], values, strict=True)
    return metric + "{" + ",".join(f'{label}="{_value(text)}"' for label, text in pairs) + "}"


def _value(text: str) -> str:
    """A name as a label's value."""
    return text[:80].replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
