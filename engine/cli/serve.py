"""Serve traffic: compile the documents, bring up the database, start workers."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (PORT, 3000).")
@click.option("--bind", help="Address to listen on (GATEWRIGHT_BIND, all; 127.0.0.1 with --demo).")
@click.option("--data", type=click.Path(path_type=Path), help="Data directory (GATEWRIGHT_DATA, ./data).")
@click.option(
    "--workers", type=click.IntRange(1, 512), help="Worker processes (GATEWRIGHT_WORKERS, one per processor)."
)
@click.option("--demo", is_flag=True, help="Start the demo upstream too, and print calls to try.")
def command(port: int | None, bind: str | None, data: Path | None, workers: int | None, demo: bool) -> None:
    """Serve traffic: compile the documents, bring up the database, start workers."""
    import gc

    gc.disable()  # PERF: what is imported stays; looking for garbage in it takes a tenth of the time
    from gevent import monkey

    monkey.patch_all()  # before anything that serves is imported: what came unpatched would block every request

    from engine import settings
    from engine.server import starting

    gc.enable()
    chosen = settings.load(port=port, bind=bind, data=data, workers=workers)
    if demo and "GATEWRIGHT_BIND" not in dict(chosen.sources):
        chosen = settings.load(port=port, bind="127.0.0.1", data=data, workers=workers)
    starting.serve(chosen, with_demo=demo)
