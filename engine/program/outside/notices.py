"""What a Notice document says: a way on which people are told something, or what they are told of an event.

Functions of ways take a report, then ``setting`` (the person's, those members that the document names), ``options``
(texts by name), ``person`` (id, username, email, language), ``notice`` (id, event, title, text, values, language, site,
at) and ``now`` in seconds; ``words`` takes ``language``, ``values`` and ``site``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.program import layout
from engine.program.layout import Function, data


@dataclass(frozen=True, slots=True)
class NoticeCall:
    """A call that carries a notice. ``headers`` take the body's text too."""

    url: Function = data(read=layout.function, needed=True)
    method: Function | None = data(read=layout.function)
    form: Function | None = data(read=layout.function)
    json: Function | None = data(read=layout.function)
    headers: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class NoticeMail:
    """A mail. ``to`` takes setting, options and person alone."""

    to: Function = data(read=layout.function, needed=True)
    subject: Function = data(read=layout.function, needed=True)
    text: Function = data(read=layout.function, needed=True)
    html: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class Notice:
    """A way, or an event with its ``words``."""

    name: str = data(needed=True)
    label: str = data("title", layout.text)
    setting: dict[str, str] = data(read=layout.mapping)
    options: dict[str, str] = data(read=layout.mapping)
    needs: tuple[str, ...] = data(read=layout.items)
    send: NoticeCall | None = data(read=layout.maybe(NoticeCall))
    works: Function | None = data(read=layout.function)
    mail: NoticeMail | None = data(read=layout.maybe(NoticeMail))
    tells: str = data(read=layout.otherwise("person"))
    usual: bool = data(read=layout.otherwise(True))
    words: Function | None = data(read=layout.function)

    @property
    def title(self) -> str:
        """What people read of a way."""
        return self.label or self.name

    def own(self, setting: Mapping[str, Any]) -> dict[str, Any]:
        """Those members of a person's setting that a way may read."""
        return {name: setting[name] for name in self.setting if setting.get(name) not in (None, "")}

    def read(self, options: Mapping[str, str]) -> dict[str, str]:
        """The options that a way may read, each as it is set or as the document says."""
        return {name: options.get(name, default) for name, default in self.options.items()}

    def lacks(self, setting: Mapping[str, Any], options: Mapping[str, str]) -> list[str]:
        """What a way needs and has not."""
        values = {**self.read(options), **self.own(setting)}
        return [name for name in self.needs if not str(values.get(name, "")).strip()]
