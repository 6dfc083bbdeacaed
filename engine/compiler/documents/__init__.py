"""Documents as they are written: files to places, sets by kind and name, and whether each keeps to its kind's schema.

Knows nothing of what a mapping means; whoever needs only texts, names and places imports from here alone.
"""
