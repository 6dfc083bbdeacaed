"""A vendor of videos as documents, for gateways that are killed."""

from __future__ import annotations

_DOCUMENTS = """
apiVersion: gatewright/v1
kind: Provider
metadata: {name: videos-here}
extends: openai
spec:
  baseUrl: BASE
  auth: {scheme: none}
  models: [v]
  price: [{names: [v], second: 0.01}]
---
apiVersion: gatewright/v1
kind: Task
metadata: {name: openai.videos}
extends: openai.videos
spec:
  follow: FOLLOW
"""


def documents(base: str, follow: str) -> str:
    """The provider and how its tasks are followed: ``follow`` in YAML."""
    return _DOCUMENTS.replace("BASE", base).replace("FOLLOW", follow)
