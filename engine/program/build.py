"""Artefact to Program: run the generated module, put its functions where the plain data names them.

Takes the bytes that the compiler wrote (layout: the package's docstring); gives a Program or an ArtefactError.
"""

from __future__ import annotations

import importlib.util
import marshal
import weakref
from types import CodeType
from typing import Any

from engine import filters
from engine.errors import GatewrightError
from engine.program.format import Format
from engine.program.layout import Function, make
from engine.program.models import models
from engine.program.outside.captchas import Captcha
from engine.program.outside.logins import Login
from engine.program.outside.notices import Notice
from engine.program.outside.payments import Payment
from engine.program.outside.teams import TeamTerms
from engine.program.parts import Alias, Channel, Program, Provider, RouteRules
from engine.program.prices import Prices
from engine.program.task import TaskRules

VERSION = 12
PYTHON = importlib.util.MAGIC_NUMBER


class ArtefactError(GatewrightError, ValueError):
    """Bytes that are no artefact of this version of the program."""


def dump(digest: str, code: tuple[CodeType, ...], data: dict[str, Any]) -> bytes:
    """The artefact of a generated module and its data."""
    return marshal.dumps({"version": VERSION, "python": PYTHON, "hash": digest, "code": code, "data": data})


def load(artefact: bytes) -> Program:
    """Run the generated module of an artefact and build its Program. Only for artefacts that we wrote ourselves."""
    try:
        content = marshal.loads(artefact)  # noqa: S302 - written by our own compiler below the data directory
        fits = content["version"] == VERSION and content["python"] == PYTHON
    except (ValueError, EOFError, TypeError, KeyError) as ex:
        raise ArtefactError(f"not a compiled program: {ex}; compile the documents again") from ex
    if not fits:
        raise ArtefactError("compiled by another version of the program or of Python; compile the documents again")
    return build(content["hash"], run(content["code"]), content["data"])


def run(code: tuple[CodeType, ...]) -> dict[str, Function]:
    """The functions of a generated module, by name."""
    namespace = filters.namespace()
    for piece in code:
        exec(piece, namespace)  # noqa: S102 - emitted by engine.compiler from a checked syntax tree, with no builtins
    functions = {name: namespace.pop(name) for name in [name for name in namespace if name.startswith("m_")]}
    _clear_with(functions, namespace)
    return functions


def _clear_with(functions: dict[str, Function], namespace: dict[str, Any]) -> None:
    """Empty a module's namespace when the last of its functions has gone.

    PERF: the namespace and what functions call of it hold each other. Without this only a full pass of the collector
    frees a program, and that looks at all other programs too (75 ms with five).
    """

    def gone(reference: weakref.ref[Function]) -> None:
        living.discard(reference)
        if not living:
            namespace.clear()

    living = namespace["living"] = {weakref.ref(function, gone) for function in functions.values()}


def build(digest: str, functions: dict[str, Function], data: dict[str, Any]) -> Program:
    """A Program from a module's functions and the plain data tree; each part says itself where its fields stand."""
    formats = {item["name"]: make(Format, item, functions) for item in data.get("formats", ())}
    aliases = [make(Alias, item, functions) for item in data.get("aliases", ())]
    return Program(
        hash=digest,
        formats=formats,
        providers={item["name"]: make(Provider, item, functions) for item in data.get("providers", ())},
        aliases=tuple(sorted(aliases, key=lambda alias: -alias.priority)),
        channels=tuple(make(Channel, item, functions) for item in data.get("channels", ())),
        routes=tuple(make(RouteRules, item, functions) for item in data.get("routes", ())),
        policy=data.get("policy") or {},
        endpoints=tuple(endpoint for item in formats.values() for endpoint in item.endpoints),
        legacy={(numbering, number): tuple(names) for numbering, number, names in data.get("legacy", ())},
        functions=functions,
        prices=make(Prices, data.get("prices") or {}, functions),
        models=models(data.get("models"), functions),
        pinned={name: (text, place) for name, (text, place) in data.get("pinned", {}).items()},
        notices=tuple(make(Notice, item, functions) for item in data.get("notices", ())),
        payments=tuple(make(Payment, item, functions) for item in data.get("payments", ())),
        logins=tuple(make(Login, item, functions) for item in data.get("logins", ())),
        captchas=tuple(make(Captcha, item, functions) for item in data.get("captchas", ())),
        teams=tuple(make(TeamTerms, item, functions) for item in data.get("teams", ())),
        options={name: (kind, default) for name, (kind, default) in data.get("options", {}).items()},
        tasks={item["format"]: make(TaskRules, item, functions) for item in data.get("tasks", ())},
    )
