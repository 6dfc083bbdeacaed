"""Rows of work that goes on after its call: leases of who does it, and the tasks themselves."""
