"""What pages say: gettext's catalogues (of ``templates/console/words/*.po``), the language of the page that is written.

The English text is the key. A text that a language lacks is shown in English; a test finds it.
"""

from __future__ import annotations

import gettext as stdlib
from contextvars import ContextVar
from functools import lru_cache

from admin import static

PACKED = static.BUILT / "words"
LANGUAGES = {"en": "English", "zh": "简体中文", "fr": "Français", "ja": "日本語"}
TAGS = {"en": "en", "zh": "zh-CN", "fr": "fr", "ja": "ja"}
tongue: ContextVar[str] = ContextVar("tongue", default="en")


@lru_cache(maxsize=8)
def catalogue(language: str) -> stdlib.NullTranslations:
    """The texts of a language, as ``admin.bundle`` packed them."""
    path = PACKED / f"{language}.mo"
    if not path.is_file():
        return stdlib.NullTranslations()
    with path.open("rb") as file:
        return stdlib.GNUTranslations(file)


def gettext(text: str) -> str:
    """A text in the page's language."""
    return catalogue(tongue.get()).gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    """A text with a number in the page's language."""
    return catalogue(tongue.get()).ngettext(one, many, count)


def pgettext(context: str, text: str) -> str:
    """A text that has a meaning of its own in this context."""
    return catalogue(tongue.get()).pgettext(context, text)


def noted(text: str) -> str:
    """Marks a text for the catalogues that is said later."""
    return text
