"""Cluster: what workers of one machine, and later machines, share. Knows nothing of requests, tables or documents."""
