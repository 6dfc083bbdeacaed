"""Checks across documents: what is named exists, and what a Format says of the hub is what the hub has.

A check takes definitions and gives faults; it changes nothing and compiles nothing.
"""
