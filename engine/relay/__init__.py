"""The way of a request: ingress, identify, resolve, admit, route, translate, send, deliver, settle; a module per stage.

Knows a compiled ``Program`` and nothing of YAML, Jinja or any vendor. ``pipeline`` is the loop that calls the stages,
``app`` the Falcon application in front of it.
"""
