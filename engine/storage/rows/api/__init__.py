"""Rows that the management API alone asks for: pages of any table, calls sent twice, sums per hour."""
