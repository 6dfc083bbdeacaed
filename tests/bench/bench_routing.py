"""What choosing and limits cost: CPU of an order of channels, and of taking and settling limits; targets beside."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine.cluster.counters import Counters  # noqa: E402
from engine.cluster.rates import Ask, Rates  # noqa: E402
from engine.cluster.redis import Redis, RedisError  # noqa: E402
from engine.cluster.shared_rates import SharedRates  # noqa: E402
from engine.cluster.shared_space import SharedSpace  # noqa: E402
from engine.cluster.store import EmbeddedStore  # noqa: E402
from engine.cluster.veil import Veil  # noqa: E402
from engine.program.parts import RouteRules  # noqa: E402
from engine.routing.channel import LiveChannel  # noqa: E402
from engine.routing.order import Order, orders  # noqa: E402
from engine.routing.pulse import Pulse  # noqa: E402
from engine.routing.table import Table  # noqa: E402
from engine.strategies.tier import Scene  # noqa: E402

ROUNDS = 5_000
COMPOSED: tuple[dict[str, Any], ...] = (
    {"affinity": {}},
    {"split": {"shares": {"rest": 100}}},
    {"priority": {}},
    {"cheapest": {"within": 0.1}},
    {"latency": {}},
)


def microseconds(work: Callable[[], Any]) -> float:
    """CPU of one run, the best of five."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(ROUNDS):
            work()
        best = min(best, (time.process_time() - began) / ROUNDS * 1e6)
    return best


def table(serving: int) -> Table:
    """2,000 channels, of which so many serve the model."""
    provider: Any = SimpleNamespace(name="p")
    models = [frozenset({"m"} if number < serving else {"other"}) for number in range(2000)]
    return Table(
        LiveChannel(0, f"c{n}", provider, (), each, ("default",), n % 3, 1 + n % 5) for n, each in enumerate(models)
    )


def choosing(order: Order, serving: int, aside: int) -> Callable[[], Any]:
    """The first three channels that are not set aside."""
    channels, pulse, chance = table(serving), Pulse(), random.Random(1)
    gone = {f"/c{number * 7}" for number in range(aside)}
    call: Any = SimpleNamespace(
        asked="m", kept="/c7", account=SimpleNamespace(token_id=1, user_id=1), ip="", headers={}
    )

    def cost(channel: LiveChannel) -> float:
        return float(len(channel.name))

    def choose() -> Any:
        scene = Scene(call, chance, pulse, cost)
        drawn = order.channels(channels.candidates("default", "m"), scene)
        return list(islice((channel for channel in drawn if channel.mark not in gone), 3))

    return choose


def limits(counts: Any, number: int, bonds: Any = None) -> Callable[[], Any]:
    """A call's limits, taken and settled; with the channel that answered its conversation."""
    names = count()

    def take() -> None:
        name = next(names) % 500
        asks = [Ask(f"bench {each} {name}", 10**9, 60, 100) for each in range(number)]
        verdict = counts.take(asks, bonds.question(str(name)) if bonds else None)
        if bonds:
            bonds.get(str(name), verdict.beside[0])
            bonds.put(str(name), b"channel", 3600)
        counts.settle(asks, [100] * number)

    return take


def main() -> int:
    """Print the table; 1 if a target is missed."""
    (order,) = orders([RouteRules("r", (), {}, COMPOSED, {})])
    one = microseconds(choosing(order, 1, 0))
    many = microseconds(choosing(order, 200, 20))
    with tempfile.TemporaryDirectory() as folder:
        own = Rates(Path(folder) / "rates")
        counters = Counters(Path(folder) / "metrics")
        cells = [counters.place(f"m{number}") for number in range(10)]
        rows: list[tuple[str, float, float | None]] = [
            ("choose, one channel of 2,000", one, None),
            ("200 of them, 20 aside, five strategies: more", many - one, 15.0),
            ("a limit more, of one machine", (microseconds(limits(own, 4)) - microseconds(limits(own, 1))) / 3, 4.0),
            ("three limits, of one machine", microseconds(limits(own, 3)), None),
            ("ten counts of metrics", microseconds(lambda: counters.add((cell, 1) for cell in cells)), None),
        ]
        try:
            redis = Redis("redis://127.0.0.1:6379/9")
            redis.run(("PING",))
            bare, veiled = SharedRates(redis, own, Veil()), SharedRates(redis, own, Veil(b"k" * 32))
            bonds = SharedSpace(
                redis, EmbeddedStore(Path(folder) / "state.db").space("bonds"), "bonds", Veil(b"k" * 32)
            )
            rows += [
                ("three limits, over Redis", microseconds(limits(bare, 3)), 90.0),
                ("the same with CRYPTO_SECRET", microseconds(limits(veiled, 3)), 90.0),
                ("the same, and where a conversation stays", microseconds(limits(veiled, 3, bonds)), None),
            ]
            redis.close()
        except RedisError as error:
            print(f"no Redis here: {error}")
        counters.close()
        own.close()
    missed = 0
    for name, took, target in rows:
        missed += target is not None and took > target
        print(f"{name:<46}{took:7.2f} us" + (f"   target {target:g}" if target else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
