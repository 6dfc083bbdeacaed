"""How long a whole set takes to compile: the shipped documents, filled up to 60 providers and 1,000 priced models.

``python tests/bench/bench_compile.py`` prints the stages; the target is 2 s in all, and milliseconds from the cache.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from engine import paths, program
from engine.compiler import Source, cache, check_set, compile_set, read_set
from engine.compiler.documents import load

PROVIDERS = 60
MODELS = 1000

_PROVIDER = """
apiVersion: gatewright/v1
kind: Provider
metadata: {{name: made-{number}}}
spec:
  baseUrl: https://made-{number}.example/v1
  formats: {{{format}: {{path: /chat/completions}}}}
  auth: {{scheme: bearer}}
  requestPatches:
    - when: "{{{{ model | matches('^made-r') }}}}"
      drop: [temperature, top_p]
      rename: {{max_tokens: max_completion_tokens}}
      default: {{safe: "{{{{ body.user is present }}}}"}}
  errors:
    - {{status: 429, when: "body.error.code == 'quota'", meaning: upstream_quota}}
    - {{status: 5xx, meaning: overloaded}}
"""
_PRICE = (
    "    - {{names: [model-{number}], tokens: {{input: '{number}.25', output: '{number}.5', cache_read: '0.125'}}}}\n"
)
_PRICES = "apiVersion: gatewright/v1\nkind: Price\nmetadata: {name: made}\nspec:\n  currency: USD\n  models:\n"


def sources() -> tuple[list[Source], list[Source]]:
    """The shipped set with as many documents beside it as the target speaks of."""
    shipped, shared, _ = read_set([paths.SPECS])
    held = [document.data for source in shipped for document in load.parse(source)[0]]
    spoken = next(data["metadata"]["name"] for data in held if data["kind"] == "Format")
    missing = PROVIDERS - sum(data["kind"] == "Provider" for data in held)
    made = [_PROVIDER.format(number=number, format=spoken) for number in range(max(0, missing))]
    prices = _PRICES + "".join(_PRICE.format(number=number) for number in range(MODELS))
    return [*shipped, Source("made.yaml", "\n---\n".join(made)), Source("prices.yaml", prices)], shared


def main() -> None:
    """Print what each stage takes."""
    documents, shared = sources()
    began = time.perf_counter()
    check_set(documents, shared)
    checked = time.perf_counter()
    busy = time.process_time()
    result = compile_set(documents, shared)
    compiled, busy = time.perf_counter(), time.process_time() - busy
    if result.artefact is None:
        raise SystemExit("\n".join(fault.as_text() for fault in result.faults))
    program.load(result.artefact)
    loaded = time.perf_counter()
    print(f"documents               {len(list(result.documents)):>8}   files {len(documents)}")
    print(f"load, merge, check      {(checked - began) * 1000:>8.0f} ms")
    print(
        f"compile in all          {(compiled - checked) * 1000:>8.0f} ms   target 2000 ms ({busy * 1000:.0f} ms of CPU)"
    )
    print(f"load the artefact       {(loaded - compiled) * 1000:>8.0f} ms   {len(result.artefact) / 1024:.0f} kB")
    with tempfile.TemporaryDirectory() as directory:
        cache.load_or_compile([paths.SPECS], Path(directory))
        warm = time.perf_counter()
        cache.load_or_compile([paths.SPECS], Path(directory))
        print(f"a start from the cache  {(time.perf_counter() - warm) * 1000:>8.0f} ms   shipped set only")


if __name__ == "__main__":
    main()
