"""Expressions to Python: from the text of a leaf, over Jinja's syntax tree, to the code of one generated function.

A function in the making (``frame``), its names (``scope``), where values go (``sinks``) and the printed module
(``emit``) stand here too. Nothing here knows directives or kinds of documents.
"""
