"""Configurations of other products become a draft, by recipes: data that says where such a file says what.

A recipe (``templates/moving/NAME.yaml``) names the list of entries and, in each, the paths of model, upstream's model,
key and so on; and which of our providers each of the product's words means. What a file says and no path of its recipe
reads is told with its line. Knows no product.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from engine import paths
from engine.errors import Invalid
from engine.ledger.pricing.book import Book
from engine.moving.draft import Draft
from engine.moving.lines import Node, fits, parse
from engine.program import Program

_PLACE = paths.TEMPLATES / "moving"
_MILLION = Decimal(1_000_000)
_SCALE = 1000
_MOST_WEIGHT = 10**9
Recipe = Mapping[str, Any]


def names() -> list[str]:
    """The recipes that there are."""
    return sorted(path.stem for path in _PLACE.glob("*.yaml"))


def read(name: str, text: str, file: str, program: Program) -> Draft:
    """The draft of a file. ``file`` is what it is called in messages."""
    recipe: Recipe = yaml.safe_load((_PLACE / f"{name}.yaml").read_text("utf-8"))
    root = parse(text, file)
    entries = root.first_list(recipe["entries"], alone=bool(recipe.get("alone")))
    if not entries:
        what = f"{file} has no {' or '.join(recipe['entries'])}: it is no configuration of {recipe['product']}"
        raise Invalid("FILE", what, "or of a version that this program does not know")
    reader = _Reader(recipe, file, program)
    ordered = _ordered(recipe, root)
    for number, entry in enumerate(entries):
        reader.entry(entry, -number if ordered else 0)
    reader.whole(root)
    reader.told(root, entries)
    return reader.finished()


def _ordered(recipe: Recipe, root: Node) -> bool:
    rule = recipe.get("inOrder")
    return rule is not None and root.text(rule["path"]) == rule["is"]


class _Reader:
    """One file on its way into a draft."""

    def __init__(self, recipe: Recipe, file: str, program: Program) -> None:
        self.recipe = recipe
        self.file = file
        self.program = program
        self.draft = Draft()
        self.book = Book(program)
        self.priced: dict[str, str] = {}
        self.accounts: list[tuple[Any, dict[str, Any]]] = []
        self.asked: set[str] = set()

    def place(self, node: Node) -> str:
        """File and line."""
        return f"{self.file}:{node.line}"

    def entry(self, entry: Node, priority: int) -> None:
        """One model of one account: a channel, or one more model of a channel of the same account."""
        recipe, place = self.recipe, self.place(entry)
        upstream = entry.text(recipe["upstream"])
        model = entry.text(recipe["model"]) or upstream
        if not model:
            self.draft.leave(place, f"left out: it says no {recipe['model'][0]}", "name the model that callers ask for")
            return
        rule, upstream = self._rule(entry, upstream)
        if rule is None or rule["provider"] not in self.program.providers:
            entry.mark()
            self.draft.leave(place, f"model {model!r} is left out: no provider is known for {upstream!r}",
                             "write a Provider for it (docs/add-a-provider.md)")  # fmt: skip
            return
        if "*" in model + upstream and model != "*":
            entry.mark()
            self.draft.leave(place, f"model {model!r} is left out: names are listed one by one", "list its models")
            return
        if rule.get("note"):
            self.draft.leave(place, f"model {model!r}: {rule['note']}", "see the Provider's document")
        channel = self._account(entry, rule, priority)
        self._add(channel, model, upstream)
        self._price(entry, model, upstream)

    def _rule(self, entry: Node, upstream: str) -> tuple[dict[str, Any] | None, str]:
        """What the product's word for a provider means, and the upstream's name of the model."""
        providers: dict[str, dict[str, Any]] = self.recipe["providers"]
        word = entry.text(self.recipe.get("prefix", ())) or self.recipe.get("always", "")
        if not word:
            word, slash, rest = upstream.partition("/")
            if slash and word in providers:
                upstream = rest
            else:
                bare = self.recipe.get("bare", ())
                word = next((form["prefix"] for form in bare if re.fullmatch(form["match"], upstream)), "")
        rule = providers.get(word)
        for head in (rule or {}).get("strip", ()):
            upstream = upstream.removeprefix(head)
        return rule, upstream

    def _account(self, entry: Node, rule: Mapping[str, Any], priority: int) -> dict[str, Any]:
        """What a channel says but for its models."""
        recipe = self.recipe
        base = self._said(entry, recipe.get("baseUrl", ()))
        account: dict[str, Any] = {"provider": rule.get("own", rule["provider"]) if base else rule["provider"]}
        if base:
            account["baseUrl"] = base.rstrip("/")
        order = entry.text(recipe.get("order", ()))
        priority -= int(order) if order.lstrip("-").isdigit() else 0
        if priority:
            account["priority"] = priority
        account["weight"] = self._weight(entry)
        parameters = {name: text for name, at in rule.get("parameters", {}).items() if (text := entry.text(at))}
        if parameters:
            account["parameters"] = parameters
        provider = self.program.providers[account["provider"]]
        if provider.auth.get("scheme") != "none":
            account |= self._credential(entry, rule)
        return account

    def _said(self, entry: Node, at: list[str] | tuple[str, ...]) -> str:
        """A text, but not one that stands in a variable: a document can't read that."""
        node = entry.first(at)
        text = "" if node is None else str(node.value).strip()
        if node is not None and self._variable(text):
            self.draft.leave(self.place(node), f"{node.path}: {text}", "state its value in the document")
            return ""
        return text

    def _variable(self, text: str) -> str:
        pattern = self.recipe.get("variable")
        match = re.fullmatch(pattern, text) if pattern else None
        return match[1] if match else ""

    def _credential(self, entry: Node, rule: Mapping[str, Any]) -> dict[str, Any]:
        text = entry.text(self.recipe.get("credential", ()))
        variable = self._variable(text) or ("" if text else rule.get("env", ""))
        if variable:
            self.asked.add(variable)
            return {"credential": {"secretRef": {"env": variable}}}
        return {"key": text}

    def _weight(self, entry: Node) -> float:
        text = entry.text(self.recipe.get("weight", ()))
        try:
            weight = float(text or 1)
        except ValueError:
            return 1
        return min(weight, _MOST_WEIGHT) if math.isfinite(weight) and weight >= 0 else 1

    def _add(self, account: dict[str, Any], model: str, upstream: str) -> None:
        """Put a model into the channel of its account; of two ways to one name each has a channel of its own."""
        for other, channel in self.accounts:
            if other == account and model not in channel["models"]:
                break
        else:
            channel = {"models": [], "modelMapping": {}}
            self.accounts.append((account, channel))
        channel["models"].append(model)
        if upstream != model:
            channel["modelMapping"][model] = upstream

    def _price(self, entry: Node, model: str, upstream: str) -> None:
        """The price that is stated; else that of the upstream's name, where callers ask for another."""
        scale = _MILLION / Decimal(self.recipe.get("perTokens", 1))
        amounts: dict[str, Any] = {}
        for bucket, at in self.recipe.get("prices", {}).items():
            node = entry.first(at)
            amount = None if node is None else _decimal(node.value)
            if amount is not None and amount >= 0 and (amount or bucket in ("input", "output")):
                amounts[bucket] = _number(amount * (1 if bucket == "call" else scale))
        call = amounts.pop("call", None)
        data = {**({"tokens": amounts} if amounts else {}), **({"call": call} if call is not None else {})}
        if not data and upstream != model and self.book.find(model) is None:
            data = self._of(upstream)
        if not data:
            if self.book.find(model) is None:
                self.draft.leave(self.place(entry), f"no price is known for {model!r}: calls of it are refused",
                                 "give it one (docs/prices.md)")  # fmt: skip
        elif self.priced.setdefault(model, repr(data)) != repr(data):
            what = f"another price for {model!r}; the first one stated holds for the model"
            self.draft.leave(self.place(entry), what, "say `channels` factors in the Price")
        elif not any(model in rule["names"] for rule in self.draft.prices):
            self._put(model, data)

    def _of(self, upstream: str) -> dict[str, Any]:
        """What the shipped rule of a model says, for another name."""
        rule = next(
            (priced for priced in self.program.prices.rules if upstream in priced.names and priced.end is None), None
        )
        if rule is None or rule.data.get("adjust") or rule.data.get("units"):
            return {}
        members = ("tokens", "tiers", "call", "second", "characters")
        return {key: _plain(rule.data[key]) for key in members if rule.data.get(key)}

    def _put(self, model: str, data: dict[str, Any]) -> None:
        for rule in self.draft.prices:
            if {key: value for key, value in rule.items() if key != "names"} == data:
                rule["names"].append(model)
                return
        self.draft.prices.append({"names": [model], **data})

    def whole(self, root: Node) -> None:
        """What holds for all models: other names, how often is tried again."""
        aliases = root.first(self.recipe.get("aliases", ()))
        for name, meant in (aliases.value if aliases is not None and isinstance(aliases.value, dict) else {}).items():
            target = meant.text(["model"]) if isinstance(meant.value, dict) else str(meant.value)
            spec = {"match": re.escape(name).replace("\\-", "-"), "model": target}
            self.draft.aliases[self.draft.name(f"imported-{name}", "imported-alias")] = spec
        times = root.text(self.recipe.get("retries", ()))
        if times.isdigit():
            self.draft.policy["retries"] = {"times": min(int(times), 20)}

    def told(self, root: Node, entries: list[Node]) -> None:
        """Tell what nobody read, each with its line."""
        inside = {id(node) for entry in entries for node in entry.unread()}
        harmless, hints = self.recipe.get("harmless", ()), self.recipe.get("hints", {})
        for node in root.unread():
            path = node.path.removeprefix(f"{self.recipe['entries'][0]}.") if id(node) in inside else node.path
            if fits(path, harmless) is None:
                hint = fits(path, list(hints))
                self.draft.leave(self.place(node), f"{path} is not carried", hints[hint] if hint else "")

    def finished(self) -> Draft:
        """Channels with names, whole weights and references to their secrets."""
        scale = 1 if all(float(account["weight"]).is_integer() for account, _ in self.accounts) else _SCALE
        files: dict[str, dict[str, Any]] = {}
        for account, channel in self.accounts:
            name = self.draft.name(f"{account['provider']}-{len(self.draft.channels) + 1}", "channel")
            entry = {"name": name, **account, "weight": round(account["weight"] * scale), **channel}
            if "key" in entry:
                key = entry.pop("key")
                if key not in files:
                    files[key] = (
                        self.draft.secret(name, key) if key else {"secretRef": {"file": f"imported/{name}.key"}}
                    )
                entry["credential"] = files[key]
            self.draft.channels.append({key: value for key, value in entry.items() if value not in ({}, [])})
        if self.asked:
            listed = ",".join(sorted(self.asked))
            self.draft.leave(self.file, "keys stand in environment variables", f"set GATEWRIGHT_SECRET_ENV={listed}")
        return self.draft


def _decimal(value: Any) -> Decimal | None:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _number(amount: Decimal) -> int | float | str:
    if amount == amount.to_integral_value():
        return int(amount)
    return float(amount) if Decimal(repr(float(amount))) == amount else format(amount.normalize(), "f")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    amount = _decimal(value) if isinstance(value, str) else None
    return value if amount is None else _number(amount)


def text_of_file(path: Path) -> str:
    """A file's text; raises ``Invalid`` where it can't be had."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise Invalid("FILE", f"{path}: {error.strerror}", "name a file that can be read") from None
    except UnicodeDecodeError:
        raise Invalid("FILE", f"{path} is not UTF-8", "save it as UTF-8") from None
