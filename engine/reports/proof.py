"""The proof of the books, for whoever asks over the API."""

from __future__ import annotations

from pathlib import Path

from engine.ledger import proof
from engine.storage.database import Database


def verify(db: Database, log_db: Database, data: Path) -> proof.Proof:
    """Compare every holder and log row with the ledger; ``data`` is the data directory."""
    return proof.verify(db, log_db, data / "journal")
