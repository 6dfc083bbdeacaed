"""Move documents from one owner to another, on purpose."""

from __future__ import annotations

import os
from pathlib import Path

import click

from engine.cli.gitops._site import FAULT, Here, author, show_faults, title
from engine.errors import Conflict, NotFound
from engine.releases import changes, publishing
from engine.storage.releases.documents import Author, StoredDocument


@click.group()
def command() -> None:
    """Move documents from one owner to another, on purpose."""


@command.command()
@click.argument("document", metavar="KIND/NAME")
@click.option(
    "--to", "owner", type=click.Choice((changes.DIRECTORY, *changes.STORED)), required=True, help="Who owns it then."
)
def adopt(document: str, owner: str) -> None:
    """Move a document to another owner: between the directory of this machine, Git, and the console.

    It stays in force all the while: it is there twice for a moment, in which what ran goes on.
    """
    kind, name = title(document)
    here = Here()
    try:
        ground = publishing.ground(here.db, here.directories)
        stored = next(
            (candidate for candidate in ground.documents if (candidate.kind, candidate.name) == (kind, name)), None
        )
        if owner == changes.DIRECTORY:
            _to_directory(here, stored, document)
        elif stored is not None:
            if stored.owner == owner:
                raise Conflict(f"{document} belongs to {owner} already")
            moved = StoredDocument(kind, name, owner, stored.text, "", 1, stored.labels)
            _publish(here, moved, f"{document} moves from {stored.owner} to {owner}")
        else:
            _from_directory(here, document, owner)
        click.echo(f"{document} belongs to {owner} now")
    finally:
        here.close()


def _publish(here: Here, change: StoredDocument, message: str, *, without: Path | None = None) -> None:
    """Publish a move; ``without`` is a file that will be gone, so the check is made as if it were."""
    ground = publishing.ground(here.db, here.directories)
    moved = frozenset({change.title})
    if without is None:
        number, checked = publishing.publish(
            here.db, ground, [change], Author(0, author()), message=message, moved=moved
        )
        if not number:
            show_faults([fault.as_json() for fault in checked.faults])
            raise SystemExit(FAULT)
        return
    publishing.publish_checked(here.db, ground.number, [change], Author(0, author()), message=message)


def _to_directory(here: Here, stored: StoredDocument | None, document: str) -> None:
    if stored is None or stored.text is None:
        raise NotFound(f"the database has no document {document}")
    path = here.settings.spec_directory / stored.kind.lower() / f"{stored.name.replace('/', '__')}.yaml"
    if path.exists():
        raise Conflict(f"{path} is there already; nothing was changed")
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, stored.text)
    gone = StoredDocument(stored.kind, stored.name, stored.owner, None)
    ground = publishing.ground(here.db, here.directories)
    publishing.publish_checked(
        here.db, ground.number, [gone], Author(0, author()), message=f"{document} moves to the directory"
    )


def _from_directory(here: Here, document: str, owner: str) -> None:
    """The document's piece leaves its file once the database has it."""
    directory = here.settings.spec_directory
    files, _ = changes.read_files(directory)
    for name, text in files.items():
        pieces, _ = changes.of_text(text, owner, name)
        for piece in pieces:
            if piece.title != document or piece.text is None:
                continue
            moved = StoredDocument(piece.kind, piece.name, owner, piece.text, "", 1, piece.labels)
            _publish(here, moved, f"{document} moves from the directory to {owner}", without=directory / name)
            rest = text.replace(piece.text, "", 1)
            if changes.split(rest):
                _write(directory / name, rest)
            else:
                (directory / name).unlink()
            return
    raise NotFound(
        f"neither the database nor {directory} has a document {document}; a shipped one is changed by"
        " writing one of the same name"
    )


def _write(path: Path, text: str) -> None:
    """Put a file in place whole."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(text.encode())
    fresh.replace(path)
