"""Affinity: calls that belong together, and what tells so. Remembers nothing."""
