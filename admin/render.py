"""Templates to HTML: one environment, all texts escaped, words in the language of the page.

A template that extends ``base.html`` is a page; asked for a part of it, the part alone is written.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import jinja2
from jinja2.bccache import Bucket
from markupsafe import Markup

from admin import figures, shell, static, words
from admin.view import Shown, View
from engine import __version__, paths
from engine.turns import give_way


class Compiled(jinja2.FileSystemBytecodeCache):
    """Compiled templates beside the assets: written by ``admin.bundle``, read by workers, missed without harm."""

    def __init__(self) -> None:
        place = static.BUILT / "pages"
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
        super().__init__(str(place))

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """By the name alone: in a wheel templates lie elsewhere."""
        return super().get_cache_key(name)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template, where that may be written."""
        with suppress(OSError):
            super().dump_bytecode(bucket)


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The templates."""
    loader = jinja2.FileSystemLoader(paths.CATALOGUE)
    templates = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=Compiled(),
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    templates.policies["json.dumps_kwargs"] = {"sort_keys": False}
    templates.install_gettext_callables(  # type: ignore[attr-defined]
        words.gettext, words.ngettext, newstyle=True, pgettext=words.pgettext
    )
    templates.globals.update(asset=static.address, ui_range=_range, figures=figures, version=__version__, now=time.time)
    templates.filters.update(
        num=figures.number,
        short=figures.short,
        usd=figures.dollars,
        price=figures.price,
        took=figures.took,
        ago=figures.ago,
        when=_when,
        day=_day,
        zip_self=lambda names: [(name, name) for name in names],
    )
    return templates


def _range(rows: list[dict[str, Any]], name: str) -> str:
    """What differs among rows as a range."""
    values = [row[name] or 0 for row in rows]
    low, high = min(values), max(values)
    return figures.number(low) if low == high else f"{figures.number(low)}–{figures.number(high)}"


def _when(moment: float) -> Markup:
    """A moment that the browser tells in its own time zone."""
    return _time(moment, figures.clock(moment), "clock") if moment else Markup("—")


def _day(moment: float) -> Markup:
    """A moment with its day."""
    return _time(moment, figures.day(moment), "day") if moment and moment > 0 else Markup("—")


def _time(moment: float, text: str, kind: str) -> Markup:
    stamp = figures.stamp(moment)
    return Markup('<time datetime="{0}" title="{0}" data-t="{1}">{2}</time>').format(stamp, kind, text)


class Blank(dict[str, Any]):
    """Members that are not there are empty: what a form or an address may or may not hold."""

    def __missing__(self, name: str) -> str:
        return ""


def render(view: View, result: Shown) -> str:
    """The text of a page or of a part."""
    template = environment().get_template(result.template)

    def money(quota: float, digits: int = 2) -> str:
        return figures.dollars((quota or 0) / view.unit, digits)

    def here(**changes: object) -> str:
        """This page's address with other filters."""
        query = {**view.query, **{name: "" if value is None else str(value) for name, value in changes.items()}}
        text = urlencode({name: value for name, value in query.items() if value != ""})
        return view.address + (f"?{text}" if text else "")

    values: dict[str, Any] = {
        "view": view,
        "lang": words.TAGS[view.language],
        "money": money,
        "here": here,
        "q": Blank(view.query),
        "typed": Blank(view.form),
        "twin": "",
        **result.values,
    }
    for name in ("faults", "form"):
        values[name] = Blank(values.get(name) or {})
    values["shell"] = shell.of(view)
    pieces: list[str] = []
    for piece in template.generate(values):
        pieces.append(piece)
        give_way()
    return "".join(pieces)
