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
@site_options
def command(directory: Path, owner: str | None, server: str | None, json_: bool) -> None:
    """Write the documents of the newest release below DIRECTORY, byte for byte, each in the file that it came from.

    No secret is among them: documents only name secrets. A file that is there and says something else is left alone,
    and ends the command.
    """
    answer = site(server).ask("listed", text=True)
    files = arranged([document for document in answer["documents"] if owner in (None, document["owner"])])
    for name, text in files.items():
        path = directory / name
        if path.exists() and path.read_bytes() != text.encode():
            raise Conflict(f"{path} is there and says something else; nothing was written")
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    if json_:
        print_json({"release": answer["release"], "files": sorted(files)})
    else:
        click.echo(f"release {answer['release']}: {len(answer['documents'])} documents in {len(files)} files")


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
