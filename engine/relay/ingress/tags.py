"""Tags: words by which a caller tells its calls apart, from where a Policy says; reports and budgets count by them.

``tag_rules(policy)`` compiles a Policy's ``tags`` once; ``of`` reads a call's, in small letters and each once, or
refuses the call: with 400 what is no tag, with 403 what the Policy or the key does not allow. Where no Policy says
where tags stand there are no rules, and nothing is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.bounds import CALL_TAGS, TAG
from engine.errors import CallError
from engine.routing.overrides.paths import MISSING, Path, find, path_of
from engine.storage.rows.api.call_tags import EACH

if TYPE_CHECKING:
    from engine.routing.request import RoutedCall

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._:/@+=-]*")
_LONGEST = (CALL_TAGS.most + 1) * (TAG.most + 2)
"""Characters: a longer text has too much in it, whatever it is."""
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TagSource:
    """A place where tags stand: a header of the caller's, or a member of its body. ``prefix`` goes before each."""

    header: str = ""
    body: Path = ()
    prefix: str = ""

    @property
    def place(self) -> str:
        """As the caller knows it."""
        return f"the header {self.header}" if self.header else ".".join(self.body)

    def read(self, call: RoutedCall) -> Any:
        """What stands there."""
        return call.headers.get(self.header, MISSING) if self.header else find(call.body, self.body)


@dataclass(frozen=True, slots=True)
class TagRules:
    """See the module. ``allow`` of nothing allows every tag; by ``counted`` tags an account's calls are summed."""

    sources: tuple[TagSource, ...]
    allow: tuple[str, ...] = ()
    counted: int = EACH

    def of(self, call: RoutedCall) -> tuple[str, ...]:
        """The tags of a call whose body was read and whose account is known."""
        tags: dict[str, None] = {}
        for source in self.sources:
            value = source.read(call)
            if value is MISSING or value is None or value == "":
                continue
            for text in _texts(value, source.place):
                tags[_checked(f"{source.prefix}{text}".lower(), source.place)] = None
        if not tags:
            return ()
        CALL_TAGS.check(len(tags), "tags")
        own = call.account.call_tags if call.account is not None else ()
        for tag in tags:
            _admit(tag, self.allow, "here")
            _admit(tag, own, "with this API key")
        return tuple(tags)


def _texts(value: Any, place: str) -> Sequence[str]:
    """A text with commas between tags, a number, or a list of such."""
    if isinstance(value, str) and len(value) > _LONGEST:
        raise CallError(
            "bad_request",
            f"{place}: {len(value)} characters, which are more than {CALL_TAGS.most} tags of {TAG.most}; send less",
            param=place,
            code="too_long",
        )
    if isinstance(value, str):
        texts = [text for part in value.split(",") if (text := part.strip())]
    else:
        listed = value if isinstance(value, list) else [value]
        if any(isinstance(one, bool) or not isinstance(one, str | int) for one in listed):
            what = f"{place}: tags are a text with commas between them, or a list of texts"
            raise CallError("bad_request", what, param=place, code="invalid_type")
        texts = [str(one) for one in listed]
    CALL_TAGS.check(len(texts), place)
    return texts


def _checked(tag: str, place: str) -> str:
    TAG.check(len(tag), place)
    if not _PLAIN.fullmatch(tag):
        what = "letters a to z, digits and . _ : / @ + = -, the first a letter or a digit"
        raise CallError("bad_request", f"{place}: {tag!r} is no tag; write {what}", param=place, code="invalid_value")
    return tag


def may(tag: str, allowed: Sequence[str]) -> bool:
    """Whether a list has a tag; one without entries has every tag."""
    return not allowed or any(tag.startswith(one[:-1]) if one.endswith("*") else tag == one for one in allowed)


def _admit(tag: str, allowed: Sequence[str], where: str) -> None:
    """Refuse a tag that a list does not have; an entry with ``*`` at its end means all that begin so."""
    if may(tag, allowed):
        return
    shown = ", ".join(allowed[:_SHOWN]) + (", ..." if len(allowed) > _SHOWN else "")
    raise CallError(
        "forbidden", f"the tag {tag!r} is not allowed {where}; use one of {shown}", param="tags", code="tag_not_allowed"
    )


def tag_rules(policy: Mapping[str, Any]) -> TagRules | None:
    """The rules of a merged policy; nothing where it says no place."""
    declared = policy.get("tags") or {}
    sources = tuple(_sources(declared.get("from") or ()))
    if not sources:
        return None
    allow = tuple(str(one).lower() for one in declared.get("allow") or ())
    return TagRules(sources, allow, int(declared.get("counted", EACH)))


def _sources(declared: Iterable[Mapping[str, str]]) -> Iterable[TagSource]:
    for one in declared:
        prefix = one.get("prefix", "")
        if "header" in one:
            yield TagSource(header=one["header"].lower(), prefix=prefix)
        if "body" in one:
            yield TagSource(body=path_of(one["body"]), prefix=prefix)
