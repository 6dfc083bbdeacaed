"""Counts tokens here, where the upstream told none or a balance is nearly spent: by a vocabulary, else by weights.

How a model's tokens are counted is data: the rules of a Policy's ``counting`` section. ``Counter`` takes them, the
directories of vocabularies and what fetches pictures; gives Counts that say how they were found. Texts are counted in
slices of 32 K characters (one long run can overflow the splitter's stack), large ones in a pool of one thread so that
no stream waits.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.bounds import COUNTED, FETCHES, Kept
from engine.errors import GatewrightError
from engine.filters.patterns import pattern
from engine.ledger.counting import pictures, vocabularies
from engine.ledger.counting.weights import KINDS, weigh

SLICE = 32_768
_POOLED = 16_384
_PART = 1_000_000
"""Characters that stand for the whole of a longer text, where haste is needed."""
_KNOWN = 1_000
_EVEN: Mapping[str, float] = dict.fromkeys(KINDS, 1.0)
_MEDIA = ("image", "audio", "video", "file")
_OPAQUE_LENGTH = 1_024
_BASE64 = re.compile(r"^(data:[^,]{0,100},)?[A-Za-z0-9+/_=-]{256}")

Fetch = Callable[[list[str]], Mapping[str, tuple[str, bytes] | GatewrightError]]
"""addresses -> (mime, bytes) of each, or why it can't be had."""
Size = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens, and how they were found: ``counted``, or ``estimated``; ``image``: those of pictures among them."""

    tokens: int
    how: str
    image: int = 0


@dataclass(slots=True)
class _Content:
    """What has to be counted of a conversation: its texts, its media, and pieces that cost something as such."""

    texts: list[str] = field(default_factory=list)
    media: list[dict[str, Any]] = field(default_factory=list)
    pieces: dict[str, int] = field(default_factory=dict)

    @property
    def countable(self) -> bool:
        """Whether its texts are short enough to be counted from first to last letter."""
        return sum(map(len, self.texts)) <= COUNTED.most

    def note(self, piece: str) -> None:
        self.pieces[piece] = self.pieces.get(piece, 0) + 1


class _Rule:
    """How one model's tokens are counted: every rule that matches its name, a later over an earlier."""

    def __init__(self, model: str, lines: Iterable[Mapping[str, Any]], directories: tuple[Path, ...]) -> None:
        rule: dict[str, Any] = {}
        for line in lines:
            if "match" not in line or pattern(line["match"]).compiled.fullmatch(model):
                for key, value in line.items():
                    both = isinstance(value, dict) and isinstance(rule.get(key), dict)
                    rule[key] = {**rule[key], **value} if both else value
        name = rule.get("vocabulary")
        self.encoding = vocabularies.load(directories, name) if name else None
        self.factor: float = rule.get("factor", 1)
        self.weights: Mapping[str, float] = {**_EVEN, **rule.get("weights", {})}
        self.pieces: Mapping[str, int] = rule.get("pieces", {})
        self.media: Mapping[str, Any] = {kind: rule.get(kind, 0) for kind in _MEDIA}
        self.answer: Mapping[str, int] = rule.get("answer", {})
        self.how = "counted" if self.encoding is not None and self.factor == 1 else "estimated"

    def tokens(self, text: str) -> float:
        """Tokens of a text, in slices; of one that is too long to be counted every so many slices stand for all."""
        step = SLICE * math.ceil(len(text) / COUNTED.most)
        slices = [text[at : at + SLICE] for at in range(0, len(text), max(step, SLICE))]
        if self.encoding is None:
            count = sum(weigh(piece, self.weights) for piece in slices)
        else:
            encode = self.encoding.encode_ordinary
            count = self.factor * sum(len(encode(piece)) for piece in slices)
        return count if step <= SLICE else count * len(text) / sum(map(len, slices))


class Counter:
    """See the module. ``fetch`` gives pictures that stand at an address; ``count_input`` is for those who ask.

    ``media`` says for which calls pictures are measured: streamed ones (True), whole ones (False).
    """

    def __init__(
        self,
        directories: Sequence[Path],
        rules: Sequence[Mapping[str, Any]],
        *,
        count_input: bool = True,
        media: Container[bool] = (False, True),
        fetch: Fetch | None = None,
    ) -> None:
        self._directories = tuple(directories)
        self._lines = rules
        self._media = media
        self._fetch = fetch
        self._rules: Kept[str, _Rule] = Kept(_KNOWN)
        self.count_input = count_input

    def exact(self, model: str) -> bool:
        """Whether a request to this model is counted and not estimated."""
        return self.count_input and self._rule(model).how == "counted"

    def request(self, model: str, hub: Mapping[str, Any], *, stream: bool = True, hasty: bool = False) -> Count:
        """Tokens of a canonical request; pictures of which nobody knows the size count as unread.

        ``hasty``: none is fetched, and of long texts a part stands for the whole.
        """
        rule, content = self._rule(model), _asked(hub)
        sizes = ({} if hasty else self._fetched(rule, content.media)) if stream in self._media else None
        counted_media = [(medium["type"], *_medium(rule, medium, sizes)) for medium in content.media]
        media = sum(tokens for _, tokens, _ in counted_media)
        sure = all(measured for _, _, measured in counted_media) and content.countable
        text = self._text(rule, content.texts, _PART if hasty else None)
        total = math.ceil(text) + _sum(rule.pieces, content) + media
        return Count(
            total,
            rule.how if sure else "estimated",
            image=sum(tokens for kind, tokens, _ in counted_media if kind == "image"),
        )

    def at_address(self, model: str) -> int:
        """Tokens that a medium at an address may have, of whatever kind it is."""
        media = self._rule(model).media.values()
        return max(pictures.tokens(medium, None) if isinstance(medium, Mapping) else medium for medium in media)

    def answer(self, model: str, parts: Iterable[Mapping[str, Any]]) -> Count:
        """Tokens of the parts of an answer; a picture in it counts as so many."""
        rule, content = self._rule(model), _Content()
        _gather(parts, content)
        drawn = rule.answer.get("image", 0) * sum(medium["type"] == "image" for medium in content.media)
        total = math.ceil(self._text(rule, content.texts)) + _sum(rule.answer, content) + drawn
        return Count(total, "estimated" if content.media or not content.countable else rule.how, image=drawn)

    def texts(self, model: str, texts: Iterable[str], *, hasty: bool = False) -> Count:
        """Tokens of texts that stand by themselves, in no conversation; hasty as above."""
        rule = self._rule(model)
        return Count(math.ceil(self._text(rule, texts, _PART if hasty else None)), rule.how)

    def _rule(self, model: str) -> _Rule:
        rule = self._rules.get(model)
        return rule if rule is not None else self._rules.keep(model, _Rule(model, self._lines, self._directories))

    def _text(self, rule: _Rule, texts: Iterable[str], part: int | None = None) -> float:
        text = "\n".join(piece for piece in texts if piece)
        if part is not None and len(text) > part:
            return self._text(rule, (text[:part],)) * len(text) / part
        pool = _one_thread() if len(text) > _POOLED else None
        return rule.tokens(text) if pool is None else float(pool.apply(rule.tokens, (text,)))

    def _fetched(self, rule: _Rule, media: Iterable[Mapping[str, Any]]) -> dict[str, Size]:
        """The sizes of pictures that stand at an address and have to be looked at: each once, the first of many."""
        wanted = dict.fromkeys(
            medium["source"]["url"] for medium in media if _looked_at(rule, medium) and _address(medium)
        )
        if self._fetch is None or not wanted:
            return {}
        files = self._fetch(list(wanted)[: FETCHES.most])
        return {
            url: None if isinstance(file, GatewrightError) else pictures.size(file[1]) for url, file in files.items()
        }


def _looked_at(rule: _Rule, part: Mapping[str, Any]) -> bool:
    """Whether a medium's tokens depend on its size."""
    medium_rule = rule.media[part["type"]]
    return isinstance(medium_rule, Mapping) and (part.get("detail") != "low" or "patch" in medium_rule)


def _address(part: Mapping[str, Any]) -> bool:
    return not isinstance(part["source"].get("data"), str) and isinstance(part["source"].get("url"), str)


def _medium(rule: _Rule, part: Mapping[str, Any], sizes: Mapping[str, Size] | None) -> tuple[int, bool]:
    """Tokens of a picture, sound, film or file, and whether they are sure: worked out from its size, if that is asked.

    ``sizes`` are those of files at addresses; None: no medium is looked at.
    """
    medium_rule = rule.media[part["type"]]
    if not isinstance(medium_rule, Mapping):
        return medium_rule, False
    if not _looked_at(rule, part):
        return medium_rule["base"], True
    source, size = part["source"], None
    if sizes is not None:
        size = _size(source["data"]) if isinstance(source.get("data"), str) else sizes.get(source.get("url"))
    return pictures.tokens(medium_rule, size), size is not None


def _size(data: str) -> Size:
    """The size of a picture in base64; its head is enough for most."""
    try:
        head = data[: pictures.HEAD * 4]
        return pictures.size(base64.b64decode(head)) or pictures.size(base64.b64decode(data))
    except (binascii.Error, ValueError):
        return None


def _sum(per_piece: Mapping[str, int], content: _Content) -> int:
    return sum(per_piece.get(piece, 0) * number for piece, number in content.pieces.items())


def _asked(hub: Mapping[str, Any]) -> _Content:
    """What a canonical request holds."""
    content = _Content()
    content.note("request")
    for message in hub.get("messages") or ():
        content.note("message")
        content.texts.append(message.get("role") or "")
        if message.get("name"):
            content.note("name")
            content.texts.append(message["name"])
        _gather(message.get("parts") or (), content)
    if hub.get("tools"):
        content.note("tools")
    for tool in hub.get("tools") or ():
        content.note("tool")
        content.texts += [tool.get("name") or "", tool.get("description") or ""]
        _opaque(tool.get("schema") or tool.get("value"), content)
    _opaque((hub.get("output") or {}).get("schema"), content)
    return content


def _gather(parts: Iterable[Mapping[str, Any]], content: _Content) -> None:
    """Take the words and media of parts; a result's own parts are some of them."""
    for part in parts:
        kind = part.get("type")
        source = part.get("source")
        if kind in _MEDIA and isinstance(source, dict) and "text" not in source:
            content.media.append(dict(part))
            continue
        if kind == "tool_call":
            content.note("call")
        if isinstance(source, dict):
            content.texts.append(str(source.get("text") or ""))
        content.texts += [text for name in ("name", "text", "arguments") if isinstance(text := part.get(name), str)]
        _opaque(part.get("value"), content)
        _gather(part.get("parts") or (), content)


def _opaque(value: Any, content: _Content) -> None:
    """A value of which nobody knows what it says: its JSON, and what in it is long base64 is a file."""
    if value is None:
        return
    for text in _strings(value):
        if len(text) > _OPAQUE_LENGTH and _BASE64.match(text):
            content.media.append({"type": "file", "source": {}})
            continue
        content.texts.append(text)


def _strings(value: Any) -> Iterator[str]:
    """Every name and value of a JSON value as text; not recursive, as callers nest as deep as they like."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
        elif item is not None:
            yield json.dumps(item)


@functools.cache
def _one_thread() -> Any:
    """A pool of one native thread under gevent, where a long count would hold up every stream."""
    if "gevent" not in sys.modules:
        return None
    from gevent import monkey, threadpool

    return threadpool.ThreadPool(1) if monkey.is_module_patched("socket") else None
