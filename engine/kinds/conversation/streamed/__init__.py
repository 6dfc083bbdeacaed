"""Streams to callers: what all of them have, the caller's side of them, and how one goes on where it broke off."""
