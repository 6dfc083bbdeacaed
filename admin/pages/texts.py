"""Texts of the operator, for everybody: about, home page, user agreement, privacy policy."""

from __future__ import annotations

from typing import Any

from admin import prose
from admin.pages import gate
from admin.view import NOBODY, Page, Result, View
from admin.words import gettext, noted
from engine.catalogue import options
from engine.errors import NotFound

TEXTS = {
    "about": ("About", noted("About")),
    "home": ("HomePageContent", noted("Home page")),
    "agreement": ("legal.user_agreement", noted("User agreement")),
    "privacy": ("legal.privacy_policy", noted("Privacy policy")),
}


def show(view: View) -> Result:
    """One of them, where it is set."""
    option, label = TEXTS.get(view.path["name"], ("", ""))
    text = str(options.value_of(view.worker.options, option) or "") if option else ""
    if not text.strip():
        raise NotFound(view.path["name"])
    values: dict[str, Any] = {"heading": gettext(label), "blocks": prose.blocks(text), "address": prose.address(text)}
    return gate.framed(view, "text.html", **values)


PAGES = (Page("GET", "/console/text/:name", NOBODY, show),)
