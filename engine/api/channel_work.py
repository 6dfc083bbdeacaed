"""What is done for channels from time to time, by one process of the cluster: tests, balances, new models.

New API's options say how often and what follows: a channel, or of several keys the one that was tested, is switched off
that fails or answers too slowly, and switched on again when it answers. Nothing happens in silence: the log has a line
for each, and what a round came to is the last result of its job.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from engine.accounts import console_account
from engine.api.route import ROOT, Worker
from engine.catalogue import channel_tests, options, updates, upstreams
from engine.catalogue.channel_tests import Outcome
from engine.errors import GatewrightError
from engine.jobs import Job, Lease
from engine.reports.spending import Spent, spent
from engine.storage.rows import channel_edits, people
from engine.storage.rows import channels as channel_rows
from engine.storage.rows.channels import ChannelRow
from engine.storage.rows.crud import Row
from engine.storage.rows.work import spent as levels
from engine.storage.rows.work.paid import PaidIn
from engine.storage.rows.work.spent import ASIDE, EMPTY, LOW, WELL
from engine.storage.values import AUTO_DISABLED, ENABLED, NANO

log = logging.getLogger(__name__)
S = TypeVar("S")
T = TypeVar("T")
_MONITOR = "monitor_setting."
_MINUTE = 60.0
_SHORTEST = 10.0
"""Seconds between two rounds at least, however often an option asks for them."""
_AT_ONCE, _LOOK = 8, 2.0
_KEYS = 20
"""How many of a channel's keys that are switched off are tested in one round."""
_TOLD, _SHOWN = 3, 8
"""How many faults a result quotes, and how many models a line of the log."""


def run_test(
    worker: Worker,
    user: Row,
    row: ChannelRow,
    model: str,
    key: str | None,
    *,
    stream: bool = False,
    rule: str = "",
    ip: str = "",
) -> Outcome:
    """Send a short call through a channel, for a user. Raises nothing of the channel's.

    How long it took is noted, and what was wrong.

    What it says of a channel that is on (a failure that switches it off, an end of what set it aside) holds as after
    any other call; of one that is off nothing follows.
    """
    account = console_account.of(user, f"test-{row.id}", row.groups[0])
    quiet, began = not channel_tests.is_on(row, key), time.monotonic()
    try:
        path, body = channel_tests.request(worker.snapshot.program, row, model, stream=stream, rule=rule)
        answer = worker.test_channel(account, path, body, row, key, quiet=quiet, ip=ip)
        answered, message, code = channel_tests.read(answer.status, answer.pieces)
    except (LookupError, GatewrightError) as error:
        answered, message, code = False, str(error.args[0] if error.args else error), ""
    seconds = time.monotonic() - began
    channel_edits.tested(worker.db, row.id, seconds, "" if answered else f"{model}: {message}")
    return Outcome(answered, seconds, message, code)


class ChannelTests:
    """Which channels are tested in a round, with which keys, and what follows. ``passive``: only those that are off."""

    def __init__(self, worker: Worker, user: Row, *, passive: bool) -> None:
        value = partial(options.value_of, worker.options)
        self._worker, self._user, self._passive = worker, user, passive
        self._spent = {mark for mark, level in levels.levels(worker.db).items() if level == ASIDE}
        self._longest = float(value("ChannelDisableThreshold") or 0)
        self._disables = bool(value("AutomaticDisableChannelEnabled"))
        self._enables = bool(value("AutomaticEnableChannelEnabled"))

    def of(self, row: ChannelRow) -> list[tuple[ChannelRow, str | None]]:
        """The channel with each of its keys that is tested now; None is the only one of a channel."""
        keys: list[str | None] = []
        if row.status == ENABLED and not self._passive:
            keys.append(channel_tests.switched_on(row))
        if self._enables and row.status in (ENABLED, AUTO_DISABLED) and str(row.id) not in self._spent:
            keys += channel_tests.switched_off(row, _KEYS)
        return [(row, key) for key in keys] if channel_tests.model_of(row) else []

    def run(self, test: tuple[ChannelRow, str | None]) -> tuple[str, str]:
        """Test a channel with a key, and switch it where that follows; what became of it, and what was wrong."""
        row, key = test
        outcome = run_test(self._worker, self._user, row, channel_tests.model_of(row), key)
        name = f"channel {row.name} (#{row.id}){' key' if key is not None else ''}"
        if not outcome.answered:
            return "failed", f"{name}: {outcome.message[:200]}"
        on = channel_tests.is_on(row, key)
        if self._disables and 0 < self._longest < outcome.seconds:
            reason = f"a test took {outcome.seconds:.1f} s, longer than ChannelDisableThreshold ({self._longest:g} s)"
            if not on or self._passive or not row.auto_ban:
                return "slow", f"{name}: {reason}"
            channel_rows.disable(self._worker.db, row.id, key, reason)
            log.warning("%s is disabled: %s", name, reason)
            return "disabled", f"{name}: {reason}"
        if not on and channel_rows.enable(self._worker.db, row.id, key):
            log.warning("%s answers again and is enabled", name)
            return "enabled", ""
        return "answered", ""


class DeclaredBalances:
    """What was paid in, as operators declare it, counted down by the ledger's cost of calls; and what follows.

    The sum is read from the ledger each time, so that nothing is lost or counted twice whatever is started again.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker, self._db = worker, worker.db

    def count(self, lease: Lease) -> str:
        """Look at all of them. Raises nothing of a channel's."""
        before, now = levels.levels(self._db), int(time.time())
        declared = {channel.mark: channel for channel in self._worker.snapshot.table.channels if channel.paid}
        paid = {mark: channel.paid for mark, channel in declared.items() if channel.paid is not None}
        names = {mark: channel.name for mark, channel in declared.items()}
        for mark in before.keys() - paid.keys():
            row = next(iter(channel_rows.load(self._db, int(mark))), None) if mark.isdigit() else None
            said = row.settings.get("balance") if row is not None else None
            try:
                rest = PaidIn.of(said) if said else None
            except ValueError:  # the log says so
                rest = None
            if row is not None:
                names[mark] = row.name
            if rest is not None:
                paid[mark] = rest
        costs = self._costs(paid, now)
        faults = [self._look(mark, names[mark], paid[mark], costs[mark], before.get(mark, WELL), now) for mark in costs]
        for mark in before.keys() - paid.keys():
            self._back(mark, names.get(mark, mark), before[mark], WELL)
        if len(costs) < len(paid):
            faults.append("much of the log is not summed yet, so some wait for the next time")
        return _words(f"{len(costs)} of {len(paid)} declared balances counted down", faults)

    def _costs(self, paid: dict[str, PaidIn], now: int) -> dict[str, Spent]:
        costs: dict[str, Spent] = {}
        for since in sorted({rule.since for rule in paid.values()}):
            marks = {mark.removeprefix("/"): mark for mark, rule in paid.items() if rule.since == since}
            sums = spent(self._db, self._worker.log_db, marks, since, now)
            costs |= {marks[value]: cost for value, cost in (sums or {}).items()}
        return costs

    def _look(self, mark: str, name: str, rule: PaidIn, cost: Spent, before: int, now: int) -> str:
        """Note what one has left, tell it and set the channel aside; what an operator should know of it."""
        left = rule.paid - cost.cost
        if mark.isdigit():
            values = {"balance": left / NANO, "balance_updated_time": now}
            channel_edits.change(self._db, {int(mark): values}, quiet=True)
        level = (ASIDE if rule.set_aside else EMPTY) if left <= 0 else LOW if left < rule.low else WELL
        if level != before:
            self._changed(mark, name, rule, left, before, level)
        dollars = f"${left / NANO:.2f} of ${rule.paid / NANO:.2f}"
        words = [f"channel {name} has {dollars} left"] if level != WELL else []
        if cost.unknown:
            words.append(f"channel {name}: {cost.unknown} calls are not counted, as no Price document says their cost")
        return "; ".join(words)

    def _changed(self, mark: str, name: str, rule: PaidIn, left: int, before: int, level: int) -> None:
        values: dict[str, Any] = {"channel": int(mark) if mark.isdigit() else 0, "name": name}
        if before == ASIDE:
            self._back(mark, name, before, level)
        elif level == ASIDE:
            reason = f"what was paid in is used up (${rule.paid / NANO:.2f}, ${left / NANO:.2f} left)"
            if mark.isdigit():
                channel_rows.disable(self._db, int(mark), None, reason)
                levels.put(self._db, mark, level)
            else:
                levels.put(self._db, mark, level, "channel.aside", {**values, "reason": reason})
            log.warning("channel %s is set aside: %s", name, reason)
        else:
            told = {**values, "left": round(left / NANO, 2), "paid": round(rule.paid / NANO, 2)}
            levels.put(self._db, mark, level, "channel.low" if level > before else "", told)

    def _back(self, mark: str, name: str, before: int, level: int) -> None:
        """It is asked again, if it was not for want of money."""
        if before != ASIDE or mark.isdigit():
            if before == ASIDE and channel_rows.enable(self._db, int(mark), None):
                log.warning("channel %s has money again and is enabled", name)
            levels.put(self._db, mark, level)
            return
        log.warning("channel %s has money again and is asked", name)
        levels.put(self._db, mark, level, "channel.back", {"channel": 0, "name": name.removeprefix("/")})


class ChannelWork:
    """See the module."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def jobs(self) -> list[Job]:
        """What is due, as the settings and options of now say."""
        settings, jobs = self._worker.settings, []
        minutes = self._test_minutes()
        if minutes:
            jobs.append(Job("channels.test", max(minutes * _MINUTE, _SHORTEST), self.test))
        if settings.channel_update_frequency:
            jobs.append(Job("channels.balance", settings.channel_update_frequency * _MINUTE, self.balances))
        jobs.append(Job("channels.paid", _MINUTE, self.paid))
        if settings.model_update:
            jobs.append(Job("channels.models", settings.model_update_minutes * _MINUTE, self.models))
        return jobs

    def _test_minutes(self) -> float:
        """Minutes between two rounds of tests; 0 where there are none."""
        settings, value = self._worker.settings, partial(options.value_of, self._worker.options)
        forced, minutes = settings.channel_test_enabled, settings.channel_test_frequency
        on = forced == "true" if forced else bool(minutes or value(f"{_MONITOR}auto_test_channel_enabled"))
        return float(minutes or value(f"{_MONITOR}auto_test_channel_minutes") or 0) if on else 0.0

    def test(self, lease: Lease) -> str:
        """Test channels that are on, and those that were switched off by themselves."""
        worker = self._worker
        root = next((row for row in people.with_role(worker.db, ROOT) if row.get("status") == ENABLED), None)
        if root is None:
            return "nobody who is root is enabled, so nobody pays for tests"
        passive = options.value_of(worker.options, f"{_MONITOR}channel_test_mode") == "passive_recovery"
        tests = ChannelTests(worker, root, passive=passive)
        due = list(chain.from_iterable(tests.of(row) for row in channel_rows.load(worker.db)))
        results = _each(lease, due, tests.run)
        kinds = Counter(kind for kind, _ in results)
        counts = ", ".join(f"{kinds[kind]} {kind}" for kind in ("answered", "failed", "slow", "enabled", "disabled"))
        return _words(f"{len(results)} of {len(due)} tried: {counts}", [fault for _, fault in results])

    def balances(self, lease: Lease) -> str:
        """Ask for the balances of the channels whose providers tell them; one that has nothing left is switched off."""
        program = self._worker.snapshot.program
        due = [row for row in self._enabled() if upstreams.tells_balance(program, row)]
        results = _each(lease, due, self._balance)
        return _words(f"{len(results)} of {len(due)} balances asked for", results)

    def paid(self, lease: Lease) -> str:
        """Count down what operators said was paid in."""
        return DeclaredBalances(self._worker).count(lease)

    def _balance(self, row: Row) -> str:
        """What is wrong with one; nothing where there is money left."""
        worker, name = self._worker, f"channel {row.get('name')} (#{row['id']})"
        try:
            amount = upstreams.balance(worker.upstream.through, worker.snapshot.program, worker.db, row)
        except GatewrightError as error:
            return f"{name}: {error}"
        if amount > 0:
            return ""
        reason = f"its account has nothing left (balance ${amount:.2f})"
        if options.value_of(worker.options, "AutomaticDisableChannelEnabled") and row.get("auto_ban"):
            channel_rows.disable(worker.db, row["id"], None, reason)
            log.warning("%s is disabled: %s", name, reason)
        return f"{name}: {reason}"

    def models(self, lease: Lease) -> str:
        """Look which models came or went at upstreams of channels that ask for it; propose them, or take them up."""
        least = self._worker.settings.model_update_least
        due = [row for row in self._enabled() if updates.due(row, least)]
        results = _each(lease, due, self._models)
        came, gone, taken = (sum(counts[at] for counts, _ in results) for at in range(3))
        summary = f"{len(results)} of {len(due)} channels looked at: {came} models came, {gone} went, {taken} taken up"
        return _words(summary, [fault for _, fault in results])

    def _models(self, row: Row) -> tuple[tuple[int, int, int], str]:
        """How many models came, went and were taken up; and what was wrong."""
        worker, name = self._worker, f"channel {row.get('name')} (#{row['id']})"
        try:
            listed = upstreams.models_of(worker.upstream.through, worker.snapshot.program, row)
            before, differs = updates.proposed(row), updates.detect(worker.db, row["id"], listed)
        except GatewrightError as error:
            return (0, 0, 0), f"{name}: {error}"
        came, gone = differs["add_models"], differs["remove_models"]
        if (came, gone) != before:
            shown = [*(f"+{model}" for model in came), *(f"-{model}" for model in gone)]
            log.warning("models of the upstream of %s: %s", name, " ".join(shown[:_SHOWN]) or "as in its list")
        taken = updates.apply(worker.db, row["id"], came, [], [])["added_models"] if updates.takes_up(row) else []
        return (len(came), len(gone), len(taken)), ""

    def _enabled(self) -> list[Row]:
        order = channel_edits.order("id", descending=False, by_id=True)
        return channel_edits.listed(self._worker.db, channel_edits.conditions(status=True), order)


def _each(lease: Lease, due: Iterable[S], work: Callable[[S], T]) -> list[T]:
    """What came of each, some at a time; it ends early where the lease is lost, as another process goes on then."""
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="channels")
    futures = [pool.submit(work, subject) for subject in due]
    try:
        while lease.keep() and wait(futures, timeout=_LOOK).not_done:
            pass
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return [future.result() for future in futures if not future.cancelled()]


def _words(summary: str, faults: Sequence[str]) -> str:
    """A result with some of what was wrong."""
    faults = [fault for fault in faults if fault]
    more = f" and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    return f"{summary}; {'; '.join(faults[:_TOLD])}{more}" if faults else summary
