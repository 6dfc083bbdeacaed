"""Secrets of the database that documents name by ``secretRef: {db: NAME}``: set, listed and deleted, and never told."""

from __future__ import annotations

from typing import Any

from engine.accounts.factors import proofs
from engine.api.fields import Field, Shape
from engine.api.operation import PREFIX, Operation
from engine.api.resources.v2.common import told
from engine.api.rights import prove
from engine.api.route import ROOT, Answer, Ask
from engine.storage.releases import secrets

SECRET = Shape(
    "Secret",
    {
        **dict(
            (
                told("id", "Its name again, as a key.", "string"),
                told("name", "What documents call it.", "string"),
                told("changed_at", "When it was set, in Unix seconds."),
                told("encrypted", "Whether it lies encrypted: CRYPTO_SECRET is set.", "boolean"),
            )
        ),
        "value": Field(
            kind="string",
            words="The secret in one line.",
            needed=True,
            told=False,
            least=1,
            most=secrets.MOST,
        ),
    },
)


def _told(ask: Ask, name: str, changed: int) -> dict[str, Any]:
    return {"id": name, "name": name, "changed_at": changed, "encrypted": ask.worker.db.vault.sealing}


def listed(ask: Ask) -> Answer:
    """The names of all secrets."""
    return Answer([_told(ask, *pair) for pair in secrets.listed(ask.worker.db)], beside={"next": None})


def put(ask: Ask) -> Answer:
    """Set a secret; every worker has it within a second, and sends it only to the host that it is bound to."""
    prove(ask, proofs.SECURE)
    name, value = ask.path["name"], ask.values["value"]
    ask.body = {"value": "***"}  # what the trail keeps
    secrets.put(ask.worker.db, name, value, ask.user.id)
    return Answer(_told(ask, name, dict(secrets.listed(ask.worker.db))[name]))


def delete(ask: Ask) -> Answer:
    """Delete a secret; channels that need it are left out from then on."""
    prove(ask, proofs.SECURE)
    secrets.drop(ask.worker.db, ask.path["name"])
    return Answer()


_ALL, _ONE = f"{PREFIX}/secrets", f"{PREFIX}/secrets/:name"
ROUTES = (
    Operation("GET", _ALL, ROOT, listed, words="Names of secrets.", gives=SECRET, many=True, paged=False),
    Operation("PUT", _ONE, ROOT, put, words="Set a secret.", takes=SECRET, gives=SECRET, whole=True),
    Operation("DELETE", _ONE, ROOT, delete, words="Delete a secret.", status=204),
)
