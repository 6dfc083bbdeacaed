"""Gatewright's engine: compiles YAML specs to a program and relays traffic through it."""

__version__ = "0.1.0"
