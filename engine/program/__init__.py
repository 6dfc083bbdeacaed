"""What a compiled document set is at run time: an immutable Program, and how to load one from its artefact.

Both halves meet here: the compiler writes an artefact, workers load it. Knows nothing of YAML, expressions, HTTP or
databases; needs only the filters that generated functions call.

An artefact is ``marshal`` of ``{"version", "python", "hash", "code", "data"}``. ``code`` is the generated module, code
objects to be run in turn. ``data`` is a tree of plain values: ``formats``, ``providers``, ``aliases`` and ``channels``
(a list of maps each), ``policy``, ``legacy`` ([numbering, number, provider name] each), ``prices`` and
``models`` (a list, the nearest first). A map has the
keys that a document has, and what the compiler found out beside them; a mapping is the name of its function in that
module. Where each field of a part stands in it and how it is read is said by the field itself (``layout.data``), in
``format``, ``parts``, ``asks``, ``patch``, ``prices`` and ``refusals``; so a new field is written there, in the schema
of its kind, and nowhere else.

Arguments after ``_r``: request.decode (body, path, query, header, ctx), encode (request, ctx), foreign.clean and
reshaped.when (body, traits) and instruct (body, instruction, how); response.decode (body, header, request, ctx) and
encode (response, request, ctx); stream.decode (event, data, header, request, ctx), encode (event, part, item, message,
request, ctx), itemId (item, message) and chunkWhen (data); usage.at (body, model, header); error.decode, rule.when and
errorBody (status, header, body); error.encode (error, ctx); models.list (models, ctx) and get (model, ctx);
countTokens.decode (body, ctx) and encode (count, ctx); those of ``stored`` as it says; a provider's patch (model,
body, format, traits, header) and headersWhen (model, format, traits); an alias's model (name), hub (name, request) and
patch (name, body), where ``name`` is the map of the pattern's named groups.
"""

from __future__ import annotations

from engine.program.asks import Asks, Branch, KeptName
from engine.program.build import PYTHON, VERSION, ArtefactError, build, dump, load, run
from engine.program.format import Endpoint, Foreign, Format, Stream, method_of
from engine.program.kept import KeptRules, ManyRequests
from engine.program.layout import Function
from engine.program.models import Model, Models
from engine.program.parts import Alias, Channel, Hop, Parameter, Program, Provider
from engine.program.patch import Json, Patch, Report
from engine.program.prices import Priced, Prices
from engine.program.refusals import ErrorMap, ErrorRule, ErrorRules, Fee
from engine.program.stored import Stored
from engine.program.task import FINAL, RANKS, LiveRules, TaskQuestion, TaskRules, TaskViews
from engine.program.usage_rules import UsageRequest, UsageRules

__all__ = [
    "FINAL",
    "PYTHON",
    "RANKS",
    "VERSION",
    "Alias",
    "ArtefactError",
    "Asks",
    "Branch",
    "Channel",
    "Endpoint",
    "ErrorMap",
    "ErrorRule",
    "ErrorRules",
    "Fee",
    "Foreign",
    "Format",
    "Function",
    "Hop",
    "Json",
    "KeptName",
    "KeptRules",
    "LiveRules",
    "ManyRequests",
    "Model",
    "Models",
    "Parameter",
    "Patch",
    "Priced",
    "Prices",
    "Program",
    "Provider",
    "Report",
    "Stored",
    "Stream",
    "TaskQuestion",
    "TaskRules",
    "TaskViews",
    "UsageRequest",
    "UsageRules",
    "build",
    "dump",
    "load",
    "method_of",
    "run",
]
