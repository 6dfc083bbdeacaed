"""The way of a request: identify, read, resolve, price, admit, route, encode, send, deliver, settle; a module a stage.

Knows a compiled ``Program`` and nothing of YAML, Jinja or any vendor, and no kind of call by its name: ``kind`` is the
seam. ``pipeline`` is the loop that calls the stages, ``app`` the Falcon application in front of it.
"""
