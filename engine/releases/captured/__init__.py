"""Exchanges that were kept: what lists tell of them (``telling``), and what a plan makes of them (``replay``)."""
