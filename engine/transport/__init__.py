"""The way to an upstream and back as bytes: the lean HTTP leg, framings, codings, credentials, the egress guard.

Takes a target, headers and a body; gives an answer whose pieces arrive as they come, or a ``TransportError`` that says
what went wrong. Knows nothing of formats, models, channels or accounts.
"""
