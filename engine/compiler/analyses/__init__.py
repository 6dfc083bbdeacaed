"""Analyses: what is known of a mapping without running it.

What it reads of its input, what it only copies, what it may give, and how much it can make of what it is sent.
"""
