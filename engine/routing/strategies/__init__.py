"""How channels are ordered for a call: a small class for each strategy, composed as a Route declares.

Each module here holds one strategy, ``STRATEGY``: the name that documents call it by is the module's, its parameters
are its ``__init__``'s. ``order.Order`` composes them.
"""
