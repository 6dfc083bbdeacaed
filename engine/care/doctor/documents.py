"""Documents, channels and prices: what compiles, what can be called, what may be billed."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from engine import program
from engine.care.doctor.site import Finding, Site, error, warning
from engine.compiler.cache import load_or_compile
from engine.compiler.diagnostics import has_errors
from engine.ledger.counting.vocabularies import SUFFIX
from engine.ledger.pricing.book import Book
from engine.routing import channels as routing_channels
from engine.routing.aliases import AliasResolver
from engine.routing.secrets import Secrets
from engine.storage.values import ENABLED

_OLD = 120
_LISTED = 5


def compiled(site: Site) -> Iterator[Finding]:
    """The set compiles and its tests pass."""
    layers = [path for _, path in site.settings.spec_layers if path.is_dir()]
    artefact, faults, _ = load_or_compile(layers, site.settings.program_directory / "cache", keep=False)
    wrong = [fault for fault in faults if fault.severity == "error"]
    if has_errors(faults):
        first = wrong[0]
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        near = f"; did you mean {first.nearest}?" if first.nearest else ""
        what = f"{first.place}: {first.message}{near}{more}: the last good release goes on"
        yield error("documents", what, f"gatewright lint; then correct {first.place.file}")
    if artefact is not None:
        site.program = program.load(artefact)


def channels(site: Site) -> Iterator[Finding]:
    """Each channel that is switched on can be called, and there is one."""
    if site.program is None:
        return
    chosen = site.settings
    bindings = chosen.data / "secret-hosts.json"
    secrets = Secrets(chosen.secret_env, chosen.secret_directory, bindings, site.asked.environ, binds=False)
    site.channels = routing_channels.build(site.program, site.rows, secrets, options=site.options)
    for line in site.channels.left_out:
        yield error("channels", line, _mend(line, site))
    if not site.channels.table.channels and not site.channels.left_out:
        off = sum(row.status != ENABLED for row in site.rows)
        what = f"all {off} channels are switched off" if off else "there is no channel: no model can be called"
        yield error("channels", what, "write a Route (docs/add-a-provider.md), or add a channel in the console")


def _mend(line: str, site: Site) -> str:
    if "secret file" in line:
        return f"put the secret into a file below {site.settings.secret_directory} (chmod 600)"
    if "environment variable" in line:
        return "export the variable where the gateway is started, and restart it"
    if "CRYPTO_SECRET" in line:
        return "set CRYPTO_SECRET to the one of then"
    return "correct the channel, or switch it off"


def prices(site: Site) -> Iterator[Finding]:
    """Each model that is served has a price."""
    if site.program is None or site.channels is None:
        return
    book, aliases = Book(site.program, site.options), AliasResolver(site.program, site.options)
    for fault in book.faults:
        yield error("prices", fault, "correct the option in the console")
    if site.program.policy.get("unpriced") != "allow":
        served = sorted({model for channel in site.channels.table.channels for model in channel.models})
        bare = [model for model in served if book.find(model, aliases.read(model).name) is None]
        if bare:
            more = f" and {len(bare) - _LISTED} more" if len(bare) > _LISTED else ""
            what = f"no price for {', '.join(bare[:_LISTED])}{more}: calls are refused with 403"
            yield error("prices", what, "give a price (docs/prices.md), or `unpriced: allow` in a Policy")


def books(site: Site) -> Iterator[Finding]:
    """What prices and models were read from is not old."""
    if site.program is not None:
        yield from aged(site.program, datetime.date.today())


def aged(compiled: program.Program, today: datetime.date) -> Iterator[Finding]:
    """The books of which the newest page was read long before ``today``."""
    dates = {
        "price": [str(rule.data["date"])[:10] for rule in compiled.prices.rules if rule.data.get("date")],
        "model": [model.read for model in compiled.models if model.read],
    }
    how = {"price": "state prices of your own (docs/prices.md)", "model": "gatewright models diff FILE"}
    for book, days in dates.items():
        if days and (age := (today - datetime.date.fromisoformat(max(days))).days) > _OLD:
            what = f"the newest {book} book was read {age} days ago"
            yield warning(f"{book}s", what, f"pip install --upgrade gatewright, or {how[book]}")


def vocabularies(site: Site) -> Iterator[Finding]:
    """What counts tokens exactly is there."""
    if not any(path.is_dir() and any(path.glob(f"*{SUFFIX}")) for path in site.settings.vocabulary_directories):
        what = "the vocabularies are missing: where an upstream tells no usage, tokens are estimated"
        yield warning("counting", what, "make vocabularies, or install the wheel")
