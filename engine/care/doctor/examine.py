"""The checks in their order."""

from __future__ import annotations

from engine import settings
from engine.care.doctor import documents, front, machine, network, storage
from engine.care.doctor.site import Asked, Check, Finding, Site, error
from engine.settings import SettingsError

CHECKS: tuple[Check, ...] = (
    machine.directory,
    machine.disk,
    machine.files,
    machine.port,
    machine.journals,
    storage.database,
    storage.schema,
    storage.log_database,
    storage.counters,
    storage.clock,
    storage.secrets,
    storage.books,
    documents.compiled,
    documents.channels,
    documents.prices,
    documents.books,
    documents.vocabularies,
    network.proxies_of_callers,
    network.upstreams,
    front.running,
    front.public,
    front.proxies,
)


def examine(asked: Asked) -> list[Finding]:
    """All findings, causes before what follows from them; errors before warnings."""
    site = Site(asked)
    try:
        site.settings = settings.load(asked.environ)
    except SettingsError as fault:
        return [error("settings", text, f"correct {text.split(':')[0]}, or unset it") for text in fault.faults]
    findings = [Finding("warning", "settings", text, "see `gatewright settings`") for text in site.settings.warnings]
    try:
        for check in CHECKS:
            findings += check(site)
    finally:
        site.close()
    return sorted(findings, key=lambda finding: finding.severity != "error")
