"""Trials and canaries of releases, on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import click

from engine.cli._common import print_json
from engine.cli.gitops._site import DIFFERS, FAULT, SAME, show_faults, site, site_options, when

_STATES = {"worse": "breaks its bound", "better": "within its bound", "open": "not decided"}
_AS = {"errors": "{:.2%}", "latency": "{:.0f} ms", "losses": "{:.3f}", "cost": "{:.4f}"}


@click.group()
def trial() -> None:
    """Run a draft, or what a release held, for calls that ask for it."""


@trial.command("begin")
@click.argument("what")
@click.option("--hours", type=click.FloatRange(0.01, 720), default=24, show_default=True, help="How long.")
@site_options
def begin_trial(what: str, hours: float, server: str | None, json_: bool) -> None:
    """Begin with WHAT: a draft by its id, or a release by its number. Exit code 1 where it has faults."""
    named = {"number": int(what)} if what.isascii() and what.isdigit() and len(what) < 10 else {"draft": what}
    answer = site(server).ask("begin_trial", hours=hours, **named)
    _checked(
        answer,
        lambda: f"x-gatewright-release: {answer['trial']}   until {when(answer['until'])}, for keys that may",
        json_=json_,
    )


@trial.command("list")
@site_options
def list_trials(server: str | None, json_: bool) -> None:
    """Trials that run."""
    rows = site(server).ask("trials")
    if json_:
        print_json(rows)
        return
    for row in rows:
        titles = ", ".join(row["documents"])
        click.echo(f"{row['id']:<18} {row['username']:<12} until {when(row['until'])}  {row['name']}: {titles}")


@trial.command("end")
@click.argument("name")
@site_options
def end_trial(name: str, server: str | None, json_: bool) -> None:
    """End trial NAME; a canary of it is dropped."""
    site(server).ask("end_trial", id=name)
    if json_:
        print_json({"trial": name})


@click.group()
def canary() -> None:
    """Give a trial a share of calls; it is dropped by itself where it breaks a bound."""


@canary.command("begin")
@click.argument("name")
@click.option("--share", type=float, default=0.05, show_default=True, help="The part of keys, groups or calls.")
@click.option(
    "--by", type=click.Choice(["key", "group", "call"]), default="key", show_default=True, help="What it is a part of."
)
@click.option("--group", "groups", multiple=True, help="A group whose calls may go to it; all without any.")
@click.option("--least", type=int, default=200, show_default=True, help="Calls of either release before a look.")
@click.option("--confidence", type=float, default=0.99, show_default=True, help="How rarely chance drops it.")
@click.option("--errors", type=float, default=0.01, show_default=True, help="Part of calls that may fail more.")
@click.option("--latency", type=float, default=1.25, show_default=True, help="Factor of the time to the first byte.")
@click.option("--losses", type=float, default=0.1, show_default=True, help="Loss lines that a call may have more.")
@click.option("--cost", type=float, default=1.1, show_default=True, help="Factor of the charge for a token.")
@click.option("--hours", type=float, default=24, show_default=True, help="How long at most.")
@click.option("--promote", is_flag=True, help="Publish it by itself once it is surely within its bounds.")
@site_options
def begin_canary(name: str, server: str | None, json_: bool, **rules: Any) -> None:
    """Give trial NAME a share of calls."""
    rules["groups"] = list(rules["groups"])
    answer = site(server).ask("begin_canary", trial=name, **rules)
    if json_:
        print_json(answer)
    else:
        show(answer)


@canary.command("status")
@click.argument("number", type=int, required=False)
@site_options
def status(number: int | None, server: str | None, json_: bool) -> None:
    """The newest canary, or canary NUMBER. Exit code 2 where it was dropped."""
    place = site(server)
    rows = place.ask("canaries") if number is None else [place.ask("canary", number=number)]
    if json_:
        print_json(rows[0] if rows else None)
    elif rows:
        show(rows[0])
    else:
        click.echo("there was no canary yet")
    raise SystemExit(DIFFERS if rows and rows[0]["state"] == "dropped" else SAME)


@canary.command("promote")
@click.option("--message", "-m", default="", help="Why.")
@site_options
def promote(message: str, server: str | None, json_: bool) -> None:
    """Publish what the canary runs, as a release. Exit code 1 where it has faults now."""
    answer = site(server).ask("promote_canary", message=message)
    _checked(answer, lambda: f"release {answer['release']}", json_=json_)


@canary.command("drop")
@click.option("--message", "-m", default="", help="Why.")
@site_options
def drop(message: str, server: str | None, json_: bool) -> None:
    """Have all calls go by the release in force again; the draft stays."""
    answer = site(server).ask("drop_canary", message=message)
    if json_:
        print_json(answer)
    else:
        show(answer)


def show(facts: dict[str, Any]) -> None:
    """A canary with its last look, or with its measures as they stand where there was none."""
    rules, look = facts["rules"], facts["verdict"] or facts["tally"]
    whose = f"{rules['share']:.4g} of {rules['by']}s" + (f" of {', '.join(rules['groups'])}" if rules["groups"] else "")
    click.echo(f"canary {facts['number']} of {facts['trial']} ({facts['name']}), {whose}: {facts['state']}")
    if facts["reason"]:
        click.echo(f"  {facts['reason']}")
    calls = facts["tally"]["calls"]
    click.echo(
        f"  {calls['new']} calls against {calls['old']}; {facts['looks']} looks, the first at {rules['least']} calls"
    )
    if look.get("few"):
        click.echo(f"  so few {rules['by']}s called that no difference is sure: share by call, or give it more of them")
    for one in look["measures"]:
        old, new = (_shown(one, side) for side in ("old", "new"))
        state = _STATES[one["state"]] if facts["verdict"] else "not looked at"
        click.echo(f"  {one['measure']:<8} {new:>12} against {old:>12}, bound {one['bound']:g}: {state}")


def _checked(answer: dict[str, Any], words: Callable[[], str], *, json_: bool) -> NoReturn:
    """Print what came of documents that were checked: the faults, or ``words`` where there are none; then end."""
    if json_:
        print_json(answer)
    elif answer["ok"]:
        click.echo(words())
    else:
        show_faults(answer["faults"])
    raise SystemExit(SAME if answer["ok"] else FAULT)


def _shown(one: dict[str, Any], side: str) -> str:
    return "-" if one[side] is None else _AS[one["measure"]].format(one[side])
