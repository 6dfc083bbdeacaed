"""The texts of the console as gettext's catalogues: ``python -m admin.extract`` prints those that a language lacks.

A tool of who changes pages; the gateway never runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from admin.words import LANGUAGES
from engine import paths

WORDS = paths.CATALOGUE / "words"

_KEYWORDS = {"_": None, "gettext": None, "noted": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}


def texts() -> Catalog:
    """Every text that a page says."""
    catalogue = Catalog()
    here = WORDS.parent
    messages = [
        *extract_from_dir(here, [("**.html", "jinja2")], {"**.html": {"silent": "false"}}, _KEYWORDS),
        *extract_from_dir(paths.TEMPLATES.parent / "admin", [("**.py", "python")], {}, _KEYWORDS),
    ]
    for name, line, message, comments, context in messages:
        catalogue.add(message, None, [(name, line)], auto_comments=comments, context=context)
    return catalogue


def lacking(language: str) -> Iterator[object]:
    """The texts that a language has no words for."""
    path = WORDS / f"{language}.po"
    translations = Catalog()
    if path.is_file():
        with path.open("rb") as file:
            translations = read_po(file, locale=language)
    for message in texts():
        own = translations.get(message.id, message.context)
        if message.id and (own is None or not own.string or own.fuzzy):
            yield message.id


if __name__ == "__main__":
    count = 0
    for tongue in [tongue for tongue in LANGUAGES if tongue != "en"]:
        for text in lacking(tongue):
            count += 1
            print(tongue, repr(text))
    sys.exit(bool(count))
