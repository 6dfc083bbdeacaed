"""What a Captcha document says: the widget that a page shows, and the call that tells whether its answer is genuine.

Its functions take a report, then ``options`` (texts by name), ``check`` (answer, address) and ``answer`` (JSON of the
service), in the order that the schema gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.program import layout
from engine.program.layout import Function, data


@dataclass(frozen=True, slots=True)
class CaptchaWidget:
    """What a page shows. ``allow``: what its policy opens, by directive."""

    script: str = data(needed=True)
    style_class: str = data("class", needed=True)
    field: str = data(needed=True)
    site_key: Function = data(read=layout.function, needed=True)
    allow: dict[str, tuple[str, ...]] = data(read=layout.columns)


@dataclass(frozen=True, slots=True)
class CaptchaCall:
    """How the service is asked."""

    url: Function = data(read=layout.function, needed=True)
    method: str = data(read=layout.otherwise("POST"))
    headers: Function | None = data(read=layout.function)
    form: Function | None = data(read=layout.function)
    json: Function | None = data(read=layout.function)


@dataclass(frozen=True, slots=True)
class Captcha:
    """A check that a person sits there."""

    name: str = data(needed=True)
    label: str = data("title", layout.text)
    options: dict[str, str] = data(read=layout.mapping)
    needs: tuple[str, ...] = data(read=layout.items)
    enabled: Function | None = data(read=layout.function)
    widget: CaptchaWidget = data(read=layout.one(CaptchaWidget), needed=True)
    parameter: str = data(needed=True)
    verify: CaptchaCall = data(read=layout.one(CaptchaCall), needed=True)
    passed: Function = data(read=layout.function, needed=True)

    @property
    def title(self) -> str:
        """What people read of it."""
        return self.label or self.name

    def read(self, options: Mapping[str, str]) -> dict[str, str]:
        """The options that its expressions may read, each as it is set or as the document says."""
        return {name: options.get(name, default) for name, default in self.options.items()}
