"""Models: compare what Model documents say with a public list, so that the book can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from engine.cli import _common
from engine.program.models import Models

_CONTEXT = ("max_input_tokens", "context_length", "context_window", "inputTokenLimit")
_OUTPUT = ("max_output_tokens", "max_completion_tokens", "outputTokenLimit")


@click.group()
def command() -> None:
    """Model documents: what they say of models, beside what others say."""


@command.command()
@click.argument("file", type=click.File("rb"))
@_common.as_json
def diff(file: Any, json_: bool) -> None:
    """Compare with FILE, a public list of models as JSON: a map by name, or a list of maps with an `id`.

    Told are models that no document describes, words that differ, and words that the list has and a document leaves
    unsaid: context, most output, whether pictures are taken, whether it thinks.
    """
    program = _common.runnable((), json_=json_).program()
    lines = list(compared(program.models, listed(_common.read_json(file))))
    if json_:
        _common.print_json(
            [{"model": name, "word": word, "said": own, "listed": theirs} for name, word, own, theirs in lines]
        )
    else:
        for name, word, own, theirs in lines:
            click.echo(
                f"{name}: {word} is {'unsaid' if own is None else own} here, {theirs} there"
                if word
                else f"{name}: no document describes it"
            )
        click.echo(f"{len(lines)} differences")
    raise SystemExit(_common.FAULTS if lines else _common.OK)


def listed(told: Any) -> dict[str, Mapping[str, Any]]:
    """The models of a public list, by name."""
    told = told.get("data", told.get("models", told)) if isinstance(told, dict) else told
    if isinstance(told, dict):
        return {str(name): model for name, model in told.items() if isinstance(model, dict)}
    models = told if isinstance(told, list) else ()
    return {
        str(model.get("id") or model.get("name")).removeprefix("models/"): model
        for model in models
        if isinstance(model, dict) and (model.get("id") or model.get("name"))
    }


def compared(models: Models, public: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Any, Any]]:
    """(name, word, what a document says, what the list says); without a word where nothing describes the model."""
    for name, model in sorted(public.items()):
        if models.describing(name) is None:
            yield name, "", None, None
            continue
        traits = models.traits(name)
        own = {
            "context": traits.get("context"),
            "output": traits.get("output"),
            "takes image": "image" in traits["takes"] if "takes" in traits else None,
            "thinks": (traits.get("thinking") or {}).get("mode", "never") != "never" if "thinking" in traits else None,
        }
        for word, theirs in _words(model).items():
            if theirs is not None and theirs != own[word]:
                yield name, word, own[word], theirs


def _words(model: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a list's entry that a Model document has, too."""
    inputs = (model.get("architecture") or {}).get("input_modalities")
    parameters = model.get("supported_parameters")
    return {
        "context": _number(model, _CONTEXT),
        "output": _number({**(model.get("top_provider") or {}), **model}, _OUTPUT),
        "takes image": "image" in inputs if isinstance(inputs, list) else model.get("supports_vision"),
        "thinks": "reasoning" in parameters if isinstance(parameters, list) else model.get("supports_reasoning"),
    }


def _number(model: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((model[name] for name in names if isinstance(model.get(name), int) and model[name] > 0), None)
