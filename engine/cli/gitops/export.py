"""Write the documents of the database into a directory."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import click

from engine.cli._common import print_json
from engine.cli.gitops._site import site, site_options
from engine.errors import Conflict
from engine.releases import changes


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--owner", type=click.Choice(changes.STORED), default=None, help="Only what this owner has.")
@click.option("--overwrite", is_flag=True, help="Documents that DIRECTORY has become what runs, in their places there.")
@site_options
def command(directory: Path, owner: str | None, overwrite: bool, server: str | None, json_: bool) -> None:
    """Write the documents of the newest release below DIRECTORY, byte for byte, each in the file that it came from.

    No secret is among them: documents only name secrets. Without --overwrite, a file that is there and says something
    else is left alone, and ends the command.
    """
    answer = site(server).ask("listed", text=True)
    documents = [document for document in answer["documents"] if owner in (None, document["owner"])]
    there = _overwritten(directory, documents) if overwrite else {}
    titles = {title for _, titles in there.values() for title in titles}
    files = arranged([one for one in documents if f"{one['kind']}/{one['name']}" not in titles])
    files |= {name: text for name, (text, _) in there.items()}
    for name, text in files.items():
        path = directory / name
        if not overwrite and path.exists() and path.read_bytes() != text.encode():
            raise Conflict(f"{path} is there and says something else; nothing was written")
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    if json_:
        print_json({"release": answer["release"], "files": sorted(files)})
    else:
        click.echo(f"release {answer['release']}: {len(documents)} documents in {len(files)} files")


def _overwritten(directory: Path, documents: list[dict[str, Any]]) -> dict[str, tuple[str, list[str]]]:
    """The files of a directory that have some of the documents: as they are to be, and whose they are by title."""
    texts = {f"{one['kind']}/{one['name']}": one["text"] for one in documents}
    files: dict[str, tuple[str, list[str]]] = {}
    for name, text in changes.read_files(directory)[0].items() if directory.is_dir() else ():
        pieces = [piece for piece in changes.of_text(text, changes.GIT, name)[0] if piece.title in texts]
        for piece in pieces:
            assert piece.text is not None
            mark = "---\n" if piece.text.startswith("---") and not texts[piece.title].startswith("---") else ""
            text = text.replace(piece.text, mark + texts[piece.title], 1)
        if pieces:
            files[name] = text, [piece.title for piece in pieces]
    return files


def arranged(documents: list[dict[str, Any]]) -> dict[str, str]:
    """Texts by file: documents that came from one file go into one again, in their order."""
    files: dict[str, str] = {}
    for document in sorted(
        documents, key=lambda row: (row["owner"], row["place"], row["line"], row["kind"], row["name"])
    ):
        name = _place(document)
        before = files.get(name, "")
        if before and not document["text"].removeprefix("\ufeff").startswith("---"):
            before += ("" if before.endswith("\n") else "\n") + "---\n"
        files[name] = before + document["text"]
    return files


def _place(document: dict[str, Any]) -> str:
    """A path below the directory; what would lead out of it is named after the document."""
    path = PurePosixPath(document["place"])
    clean = document["place"] and not path.is_absolute() and not any(part.startswith(".") for part in path.parts)
    if clean and path.suffix in (".yaml", ".yml"):
        return str(path)
    return f"{document['kind'].lower()}/{document['name'].replace('/', '__')}.yaml"
