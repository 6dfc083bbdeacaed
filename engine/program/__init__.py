"""What a compiled document set is at run time: an immutable Program, and how to load one from its artefact.

Both halves meet here: the compiler writes an artefact, workers load it. Knows nothing of YAML, expressions, HTTP or
databases; needs only the filters that generated functions call.

An artefact is ``marshal`` of ``{"version", "python", "hash", "code", "data"}``. ``code`` is the generated module, code
objects to be run in turn; ``data`` is a tree of plain values in which a function is written as its name in that module
("fn" below; ``None`` where the document says nothing). Functions take the loss report ``_r`` first and are called by
position:

    data       {formats: [format], providers: [provider], aliases: [alias], channels: [channel], policy: {},
                legacy: [[numbering, number, provider name]], prices: {rules, common, ratios} as in ``prices``}
    format     {name, dialect, passthroughAs, keys, credentials, headers, shape, modelAt: [dotted],
                endpoints: [{operation, method, path, aliases, when: {header: name} or a list of such, model: dotted,
                             stream: dotted | bool, framing: {}, framingBy: {query, values, default}}],
                request: {schema, decode: fn, encode: fn, droppable: [], reads: [], hubReads: [],
                          places: [[dotted, word, ...]], foreign: {marks: [], clean: fn},
                          instruct: fn},
                response: {decode: fn, encode: fn, reads: [[dotted, word, ...]], says: [word], silent: {dotted: why}},
                stream: {framing, marks, parts, ends, oneOpen, accepts, items, itemId: fn, ping, decode: fn,
                         encode: {event: fn}, usageRequest: {path: [], chunkWhen: fn}, starts, needsSum, reads,
                         texts: [dotted], says, silent as above},
                usage: {at: fn, counts, running}, error: {decode: fn, encode: fn, status, rules: [rule]},
                asks: {most: [dotted], choices: [dotted], kept: [dotted | {path, match}]}, models: {list: fn, get: fn},
                countTokens: {decode: fn, encode: fn},
                stored: {field, background, keep, input, output, id, prefix, paging, replay, items: fn, carry: fn,
                         reference: fn, final: fn, pending: fn, cancellable: fn, listed: fn, page: fn, deleted: fn}}
    rule       {status: [429, "5xx"] | None, when: fn, meaning, fee}
    provider   {name, baseUrl, formats: {format: {path, stream, countTokensPath, headers}}, auth, headers, usage, calls,
                models, requestPatches: [patch], errors: [rule], errorBody: fn, credential, groups, timeouts, discover,
                proxy, parameters: {name: {default, words, rows: {numbering: [column]}}},
                unsupported: {numbering: [column]}}
    patch      {when: fn, format, drop: [path], rename: {path: path}, default: {path: fn}, set: {path: fn}}
    alias      {name, match, except: [pattern], model: fn, hub: fn, wire: {format: [patch]}, priority}
    channel    {name, provider, models, groups, priority, weight, credential, modelMapping, baseUrl, format, thinking,
                enabled, parameters: {name: text}}

Arguments after ``_r``: request.decode (body, path, query, header, ctx), encode (request, ctx), foreign.clean (body) and
instruct (body, instruction, how); response.decode (body, header, request, ctx) and encode (response, request, ctx);
stream.decode (event, data, header, request, ctx), encode (event, part, item, message, request, ctx), itemId (item,
message) and chunkWhen (data); usage.at (body, model); error.decode, rule.when and errorBody (status, header, body);
error.encode (error, ctx); models.list (models, ctx) and get (model, ctx); countTokens.decode (body, ctx) and encode
(count, ctx); those of ``stored`` as in ``parts``; a provider's patch (model, body, format); an alias's model (name),
hub (name, request) and patch (name, body), where ``name`` is the map of the pattern's named groups. Only name, and what
a thing can't be without, must be present in ``data``.
"""

from __future__ import annotations

from engine.program.build import PYTHON, VERSION, ArtefactError, build, dump, load, run
from engine.program.parts import (
    Alias,
    Asks,
    Branch,
    Channel,
    Endpoint,
    Foreign,
    Format,
    Hop,
    Kept,
    Parameter,
    Program,
    Provider,
    Stored,
    Stream,
    UsageRequest,
    UsageRules,
    method_of,
)
from engine.program.patch import Function, Json, Patch, Report
from engine.program.prices import Priced, Prices
from engine.program.refusals import ErrorMap, ErrorRule, ErrorRules, Fee

__all__ = [
    "PYTHON",
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
    "Kept",
    "Parameter",
    "Patch",
    "Priced",
    "Prices",
    "Program",
    "Provider",
    "Report",
    "Stored",
    "Stream",
    "UsageRequest",
    "UsageRules",
    "build",
    "dump",
    "load",
    "method_of",
    "run",
]
