"""A channel as calls use it: a document's or a row's, with its secrets. Plain data, and what follows from it alone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from engine.hub.usage import Plan
from engine.routing.overrides.compiled import Overrides

if TYPE_CHECKING:
    from engine.program import Format, Provider
    from engine.routing.profile import UpstreamProfile
    from engine.routing.spoken.declared import DeclaredRoute
    from engine.routing.spoken.speech import SpeechRule
    from engine.routing.when import Hours
    from engine.storage.rows.work.paid import PaidIn

_KEPT_IN_PATHS = "/?=&:@,-._~"


@dataclass(slots=True)
class LiveChannel:
    """A channel as the relay uses it. ``keys`` are its secrets; ``id`` is 0 for one that a document declares."""

    id: int
    name: str
    provider: Provider
    keys: tuple[str, ...]
    models: frozenset[str]
    groups: tuple[str, ...]
    priority: int = 0
    weight: int = 1
    base_url: str = ""
    format: str | None = None
    routes: tuple[DeclaredRoute, ...] | None = None
    """Which calls it takes and in what, where it says so itself; the first that holds."""
    carried: tuple[SpeechRule, ...] = ()
    """Calls that go in another format than they would."""
    thinking: str | None = None
    """What becomes of thinking in its answers: ``content``, ``fromContent``, or nothing."""
    model_mapping: Mapping[str, str] = field(default_factory=dict)
    status_mapping: Mapping[int, int] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=Overrides)
    """What is done last to the upstream body and its headers."""
    headers: Mapping[str, str] = field(default_factory=dict)
    passed: tuple[Callable[[str], bool], ...] = ()
    """Tests of the names of the caller's headers that go up."""
    unsent: frozenset[str] = frozenset()
    """Names of the caller's headers that never do: its credentials, and what describes its own connection."""
    without: tuple[tuple[str, ...], ...] = ()
    """Paths in the upstream body of what may not go up."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What stands for the words in braces in the provider's paths and headers."""
    by_model: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Those parameters that differ by model: what stands for each model, and for ``default``."""
    model_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Headers of calls for some models, by model: they follow what goes up under their names anyway."""
    proxy: str = ""
    secret_name: str = ""
    """The secret of the database that its credential is, where a document says so."""
    instruction: str = ""
    """A text of the operator's own for the model; how it meets a request's own says ``instructs``."""
    instructs: str = "missing"
    """``missing``: only where the request has none; ``before``: before its own; ``instead``: in place of it."""
    retold: bool = False
    """Its answers are written anew, also where the caller's format is its own."""
    unasked: frozenset[str] = frozenset()
    """Members of the body that are left out where no stream is wanted."""
    asks_usage: bool = True
    """Its streams are asked for their usage, whatever the caller said."""
    tag: str = ""
    cost_factor: float = 1.0
    """What a call costs the operator here, as a part of its list price."""
    auto_ban: bool = False
    """Whether the console's options may switch it off."""
    paid: PaidIn | None = None
    """What was paid in at its account, where an operator says so."""
    hours: Hours | None = None
    """When it may be asked, where not at any time."""
    aside_until: float = 0.0
    """Until when an operator has set it aside, in unix seconds."""
    asked_again: int = 0
    """When an operator said that whatever it failed by before is to be forgotten, in unix seconds."""
    polling: bool = False
    turn: int = 0
    plans: dict[str, Plan] = field(default_factory=dict)
    """How usage is counted, by format; made at the first use."""
    profiles: dict[tuple[str, str, bool, str], UpstreamProfile] = field(default_factory=dict)
    """What ``upstream_profile`` keeps."""
    spoken: dict[tuple[str, str], Format | None] = field(default_factory=dict)
    """The format to speak to it, by the caller's and the model's vendor: what ``candidates.format_for`` keeps."""

    vendors: frozenset[str] | None = None
    """The vendors that the provider's formats name; found at the first use."""

    mark: str = field(init=False)
    """What it is known by to other workers: its row's id, or the name of its document."""

    def __post_init__(self) -> None:
        self.mark = str(self.id) if self.id else f"/{self.name}"

    def key(self, free: tuple[str, ...] | None = None) -> str | None:
        """Return the next secret, of ``free`` ones where that is said: of several by turns or by chance."""
        keys = self.keys if free is None else free
        if len(keys) < 2:
            return keys[0] if keys else None
        if self.polling:
            self.turn += 1
            return keys[(self.turn - 1) % len(keys)]
        return random.choice(keys)  # noqa: S311 - spreads load, guards nothing

    def in_turn(self, free: tuple[str, ...]) -> tuple[str | None, ...]:
        """All of those secrets, the next one first; nothing alone where it has none."""
        first = self.key(free)
        at = free.index(first) if first is not None else 0
        return (*free[at:], *free[:at]) or (None,)

    def key_mark(self, key: str | None) -> str:
        """What one of its secrets is known by to other workers: no secret stands in it."""
        return f"{self.mark} {_digest(key)}" if key is not None else self.mark

    def noted_key(self, mark: object) -> str | None:
        """The secret that ``secret_mark`` made a mark of; nothing where it is not there any more."""
        return next((key for key in self.keys if secret_mark(key) == mark), None) if mark else None

    def closed(self, now: float) -> float:
        """When it may be asked again where its hours or an operator say that it may not now; else 0."""
        hours = self.hours
        opens = hours.begin(now) if hours is not None and not hours.hold(now) else 0.0
        return max(opens, self.aside_until if self.aside_until > now else 0.0)

    def filled(self, text: str) -> str:
        """Put the parameters into a text of the provider's."""
        for name, value in self.parameters.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def path(self, text: str) -> str:
        """Put the parameters into a path of the provider's."""
        for name, value in self.parameters.items():
            text = text.replace(f"{{{name}}}", quote(value, safe=_KEPT_IN_PATHS))
        return text

    def plan(self, spoken: Format) -> Plan:
        """Return how usage is counted in answers of a format."""
        plan = self.plans.get(spoken.name)
        if plan is None:
            plan = self.plans[spoken.name] = Plan(spoken.usage, self.provider.counts(spoken.name))
        return plan

    def mapped(self, model: str) -> str:
        """Follow the channel's model mapping from ``model``, through chains, once round a circle at most."""
        seen = {model}
        while (following := self.model_mapping.get(model)) and following not in seen:
            model = following
            seen.add(model)
        return self.provider.model_names.get(model, model)


@dataclass(slots=True)
class OneKeyChannel(LiveChannel):
    """A channel of several keys that is asked with one of them alone, which is told from the others all the same."""

    only: str = ""

    def key(self, free: tuple[str, ...] | None = None) -> str | None:
        """That key, whatever its turn and its state."""
        return self.only

    def in_turn(self, free: tuple[str, ...]) -> tuple[str | None, ...]:
        """That key."""
        return (self.only,)


def secret_mark(secret: str | None) -> str:
    """By what a secret is known again in rows, without being it; empty for none."""
    return _digest(secret) if secret else ""


@lru_cache(4096)
def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:16]


def circle(mapping: Mapping[str, str]) -> str | None:
    """A name from which a mapping of names leads back to a name that it passed; one that stands for itself ends it."""
    for start in mapping:
        seen, model = {start}, start
        while (following := mapping.get(model)) and following != model:
            if following in seen:
                return start
            seen.add(following)
            model = following
    return None
