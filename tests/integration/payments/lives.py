"""What the processes of these tests do: a shop's day, with a real SIGKILL where one is asked for.

Started through a fork server that has everything imported, so that a life costs milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretBytes, SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Engine

from actors.payments import scan as scanning
from actors.payments.chains import api as chain_api
from actors.payments.chains.money import Network
from actors.payments.delivery import Delivery
from actors.payments.errors import UnknownReview
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import NewOrder
from actors.payments.outbox_relay import OutboxRelay
from actors.payments.shop import Shop, ShopChain
from actors.payments.watcher import Watcher
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import Conflict
from actors.runtime.metrics import MemoryMetrics
from tests.unit.payments.shop import BUYER, DOWNLOAD, LICENCE, Method, ton_chain, tron_chain, tx_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from actors.payments.delivery import Goods
    from actors.payments.ledger.outbox import OwedMessage

PROCESSES: ForkServerContext = multiprocessing.get_context("forkserver")
# Also what the first request and the first statement would import.
PROCESSES.set_forkserver_preload(
    [__name__, "anyio._backends._asyncio", "httpcore", "h11", "sqlite3"]
)
chain_api._tls()  # the same: each life would load all certificates
KEY = SecretBytes(b"k" * 32)


@dataclass(frozen=True)
class Kill:
    """Where a life ends: before or after its commit number `commit`, from 1.

    Of all commits, those that make the tables included, or of those alone that `Database.writing`
    makes: a transaction that only reads leaves nothing to crash in.
    """

    commit: int
    side: Literal["before", "after"]
    of: Literal["all", "writing"] = "writing"


def arm(kill: Kill | None) -> None:
    """Have this process end by SIGKILL there."""
    if kill is None:
        return
    commits = 0

    def committing(connection: Connection) -> None:
        nonlocal commits
        if kill.of == "writing" and not _writes(connection):
            return
        commits += 1
        if kill.side == "before" and commits == kill.commit:
            os.kill(os.getpid(), signal.SIGKILL)

    def beginning(_connection: object) -> None:
        # The first thing after a commit has gone through.
        if kill.side == "after" and commits >= kill.commit:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", committing)
    event.listen(Engine, "begin", beginning)


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("x0_writes"))


class Postbox:
    """A transport that writes each message to a file before it says that it was sent.

    Beside it, how many writing commits came before each message.
    """

    channel = "pull"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commits = 0
        event.listen(Engine, "commit", self._committing)

    def _committing(self, connection: Connection) -> None:
        self._commits += _writes(connection)

    async def send(self, message: OwedMessage, goods: Goods | None) -> None:
        line = f"{message.order.request} {message.kind} {goods.value if goods else '-'}\n"
        with self._path.open("a") as file, self._path.with_suffix(".commits").open("a") as beside:
            file.write(line)
            beside.write(f"{self._commits}\n")


def shop_of(chains: list[ShopChain], directory: Path) -> Shop:
    """A shop on these chains, which has the file that it sells."""
    (directory / DOWNLOAD.delivers.file).write_bytes(b"goods")
    return Shop(
        {chain.network: chain for chain in chains},
        SecretStr("sqlite:////nowhere"),
        directory / "catalogue.yaml",
        "https://shop.example",
        directory,
    )


def day(database: str, url: str, directory: Path, now_ms: int, kill: Kill | None) -> None:
    """Open the ledger, take an order, scan, end what nobody reads, decide, carry what is due."""
    arm(kill)
    (directory / "a.zip").touch()  # what is sold

    async def live() -> None:
        postbox = Postbox(directory / "sent.txt")
        with Ledger(SecretStr(database), random.Random(5)) as ledger:
            ledger.signing_keys.note("the key of this shop", now_ms)
            new = NewOrder("request new", LICENCE, Method.TON, "pull", "buyer new")
            ledger.orders.create(new, ton_chain(), now_ms)
            chains = (tron_chain(url), ton_chain(url))

            async def scan(chain: ShopChain) -> None:
                async with scanning.connect(chain) as api:
                    await scanning.scan(chain, ledger, api, wait_s=30, clock=lambda: now_ms)

            for chain in chains:
                await scan(chain)
            ledger.intake.end_unpayable(chains, now_ms)
            decide(ledger, now_ms)
            await scan(chains[1])  # which lets go of what was accepted
            delivery = Delivery(shop_of([tron_chain(url)], directory), ledger, KEY)
            await OutboxRelay(ledger, delivery, postbox, lambda: now_ms).round()

    asyncio.run(live())


def decide(ledger: Ledger, now_ms: int) -> None:
    """What a person does about what is in the queue, who finds a part of it done after a crash."""
    orders = {one.request: one.id for one in ledger.orders.listing()}
    if "request less" not in orders:
        return
    again, stray, late = (f"tron:{tx_id(name)}:0" for name in ("again", "nobody's", "late"))
    (less,) = ledger.reviews.of_order(orders["request less"])
    refunds, reviews = ledger.refunds, ledger.reviews
    steps: tuple[Callable[[], object], ...] = (
        lambda: refunds.propose(again, now_ms, note="paid twice"),
        lambda: refunds.address_given(orders["request paid"], BUYER, now_ms),
        lambda: refunds.correct(again, now_ms, amount=1_000_000),
        lambda: refunds.sent(again, tx_id("refund"), now_ms),
        lambda: reviews.dismiss(stray, now_ms, note="nobody's"),
        lambda: reviews.dismiss(late, now_ms),
        lambda: reviews.accept(less.subject, now_ms, underpaid=True),
    )
    for step in steps:
        with contextlib.suppress(UnknownReview, Conflict):
            step()


def run(database: str, url: str, directory: Path, now_ms: int, kill: Kill | None = None) -> int:
    """Live a day in a process of its own; its exit code, negative for a signal."""
    process = PROCESSES.Process(target=day, args=(database, url, directory, now_ms, kill))
    process.start()
    process.join(300)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError("a life does not end")
    return process.exitcode


class ShopClock:
    """A clock beside made-up chains: what it is set to, and at most a minute on from there."""

    def __init__(self, set_to: Any) -> None:
        self._set_to = set_to  # shared by processes, ms
        self._seen_ms = 0
        self._since_s = 0.0

    def __call__(self) -> int:
        if self._seen_ms != self._set_to.value:
            self._seen_ms, self._since_s = self._set_to.value, time.monotonic()
        return self._seen_ms + min(60_000, int(1000 * (time.monotonic() - self._since_s)))


def watch(database: str, url: str, directory: Path, rate: float, seed: int, set_to: Any) -> None:
    """Watch both chains until ended, by a `ShopClock`."""
    clock = ShopClock(set_to)

    async def one(chain: ShopChain, ledger: Ledger) -> None:
        metrics = MemoryMetrics()
        delivery = Delivery(shop_of([chain], directory), ledger, KEY)
        errors = ErrorHandler(f"payments-{chain.network}", metrics)
        rng = random.Random(seed)
        async with scanning.connect(chain) as api:
            watcher = Watcher(
                chain, ledger, delivery, api, errors=errors, metrics=metrics, clock=clock
            )
            while True:
                await watcher.poll()
                await asyncio.sleep(rng.uniform(0.05, 0.3))  # instead of half a minute

    async def live() -> None:
        with Ledger(SecretStr(database)) as ledger:
            await asyncio.gather(
                one(tron_chain(url, rate), ledger), one(ton_chain(url, rate), ledger)
            )

    asyncio.run(live())


__all__ = ["KEY", "Kill", "Network", "Postbox", "run", "watch"]
