"""One scan: read a chain's news about the shop's wallet into the ledger.

TRON: the time of the last solid block; the rows since the cursor, less five minutes, up to a frozen
moment, to the end of the pages; the receipts of transactions that orders wait for, and of a few
others. The cursor moves with the last page, to the newest confirmed row.

TON: the time of the masterchain; transactions of the wallet, and of its jetton wallet, as a chain
without a gap from the cursor; each page moves the cursor.

A wallet that the shop had before is read in the same way after it, while an order names it whose
payment would still be recognised; what fails there is told, and keeps nothing else from being read.

Invariants: what fails, fails before the cursor moves past it; an outage expires nothing, because
only the chain's own time does, as far as it was read; one process on a database scans a network at
a time, and if two did, the ledger would be the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actors.payments.chains import ton, ton_source, tron, tron_source
from actors.payments.chains.clock_skew import HEAD_LAG_MS, TOLERATED_MS, WARN_MS, skew_ms
from actors.payments.chains.money import Method, Network
from actors.payments.chains.ton import TonShop
from actors.payments.chains.tron_source import TronSource
from actors.payments.chains.verdict import Reason, Rejected
from actors.payments.errors import (
    ChainRefused,
    ChainUnavailable,
    ClockSkewed,
    FormerWalletUnread,
    HistoryForgotten,
    UntrustedHistory,
)
from actors.runtime.database import now_ms
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from actors.payments.chains.api import Api
    from actors.payments.chains.ton import TonTransaction
    from actors.payments.chains.ton_source import TonSource
    from actors.payments.chains.verdict import OtherTokens
    from actors.payments.ledger.cursors import Cursor
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.sightings import Waiting
    from actors.payments.shop import ShopChain

PageT = TypeVar("PageT")

OVERLAP_MS: Final = 5 * 60_000
"""An index of TRON may list a transfer so much after a later one."""
_LOOK_S: Final = 0.1  # between two attempts to be the only scanner
RECEIPTS_AT_ONCE: Final = 8
MATCHED: Final = 2_000  # most receipts of one scan that orders wait for
OTHERS: Final = 10  # most receipts of one scan that no order waits for, by default
GONE_MS: Final = 3_600_000
"""After which a transaction without a solid receipt is in no block: they are solid in a minute."""
GONE_ASKED: Final = 20
"""Times that it has been asked for by then, and was not there: one node of many that lags behind
must not make a payment forgotten that was made while nobody watched."""
AHEAD_MS: Final = 60_000  # how far the chain's clock may be ahead of ours


@dataclass(slots=True)
class ScanResult:
    """What one scan did.

    Attributes:
        pages: number of pages of history that were read.
        transfers: incoming ones that they list.
        settled: orders that got their payment.
        review: transfers, and notices of other tokens, that went to the review queue.
        waiting: transactions whose receipt is not solid yet, or not read yet.
        expired: orders given up.
        rejected: number of entries that were not transfers to the shop, by reason.
        cursor: block time in ms (TRON), or logical time (TON), of the last that was read.
        chain_ms: time of the chain up to which everything was read; 0 if it is not known.
        skew_ms: see `clock_skew.skew_ms`.
        requests: number of requests that were sent.
        unread: why a former wallet could not be read, by wallet.
    """

    network: Network
    pages: int = 0
    transfers: int = 0
    settled: int = 0
    review: int = 0
    waiting: int = 0
    expired: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    cursor: int = 0
    chain_ms: int = 0
    skew_ms: int = 0
    requests: int = 0
    unread: dict[str, FormerWalletUnread] = field(default_factory=dict)

    def add(self, other: ScanResult) -> None:
        """Count what was read of another wallet too."""
        for name in ("pages", "transfers", "settled", "review", "waiting", "expired"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rejected.update(other.rejected)

    @property
    def expires(self) -> bool:
        """Whether the clock is right enough for orders to expire."""
        return abs(self.skew_ms) <= TOLERATED_MS

    @property
    def skewed(self) -> ClockSkewed | None:
        """What a person is to be told of the clock, if anything."""
        if abs(self.skew_ms) < WARN_MS:
            return None
        return ClockSkewed(self.network, self.skew_ms, expires=self.expires)


def connect(chain: ShopChain) -> Api:
    """An `Api` for a chain, for one event loop."""
    return (
        tron_source.connect(chain) if chain.network is Network.TRON else ton_source.connect(chain)
    )


async def scan(
    chain: ShopChain,
    ledger: Ledger,
    api: Api,
    *,
    wait_s: float = 0.0,
    others: int = OTHERS,
    from_ms: int | None = None,
    clock: Callable[[], int] = now_ms,
) -> ScanResult:
    """Read a chain once.

    Args:
        chain: the chain to read.
        ledger: the ledger that records what is read.
        api: see `connect`.
        wait_s: how long to wait for another process that scans the same chain.
        others: most receipts to read of transactions that no order waits for.
        from_ms: read again what came in from this time on, however far everything was read: what an
            index listed too late is found so, and what is recorded stays as it is.
        clock: ms since the Unix epoch.

    Raises:
        Conflict: another process is at it.
        ChainUnavailable: the API does not answer.
        ChainRefused: a setting is wrong.
        UntrustedHistory: the API contradicts itself or the chain.
        Unavailable: the ledger's database does not answer.
    """
    async with _alone(ledger, f"scan-{chain.network}", wait_s):
        before = api.requests
        result = await _read_one(chain, ledger, api, others, clock, from_ms)
        for former in await former_chains(chain, ledger, clock()):
            try:
                result.add(await _read_one(former, ledger, api, others, clock, from_ms))
            except (ChainUnavailable, ChainRefused, UntrustedHistory) as error:
                result.unread[former.wallet] = FormerWalletUnread(former.shown_wallet(), error)
        result.requests = api.requests - before
        return result


async def _read_one(
    chain: ShopChain,
    ledger: Ledger,
    api: Api,
    others: int,
    clock: Callable[[], int],
    from_ms: int | None,
) -> ScanResult:
    if chain.network is Network.TRON:
        return await _TronScan(TronSource(chain, api), ledger, others, clock).run(from_ms)
    return await _TonScan(chain, ton_source.source(api), ledger, clock).run(from_ms)


async def former_chains(chain: ShopChain, ledger: Ledger, now_ms: int) -> list[ShopChain]:
    """The chain with each wallet that the shop had before and that may still be paid to."""
    found = await asyncio.to_thread(ledger.intake.former_wallets, chain, now_ms)
    return [
        replace(chain, wallet=wallet, contract=contract or chain.contract)
        for wallet, contract in found
    ]


@contextlib.asynccontextmanager
async def _alone(ledger: Ledger, name: str, wait_s: float) -> AsyncIterator[None]:
    """Hold the lock `name`; it is taken and let go of whole, also when this task is cancelled."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        lock = ledger.database.alone(name, timeout_s=0)
        taking = asyncio.ensure_future(asyncio.to_thread(lock.__enter__))
        try:
            await asyncio.shield(taking)
            break
        except asyncio.CancelledError:
            await asyncio.wait([taking])
            if taking.exception() is None:
                await asyncio.to_thread(lock.__exit__, None, None, None)
            raise
        except Conflict:
            if asyncio.get_running_loop().time() >= deadline:
                raise
        await asyncio.sleep(_LOOK_S)
    try:
        yield
    finally:
        await asyncio.shield(asyncio.to_thread(lock.__exit__, None, None, None))


class _TronScan:
    def __init__(
        self, source: TronSource, ledger: Ledger, others: int, clock: Callable[[], int]
    ) -> None:
        self._source = source
        self._others = others
        self._chain = source.chain
        self._ledger = ledger
        self._clock = clock
        self._result = ScanResult(Network.TRON)
        self._failure: Exception | None = None  # what reading a receipt failed at
        self._nameless = 0  # rows that name no transaction

    async def run(self, from_ms: int | None) -> ScanResult:
        intake = self._ledger.intake
        cursor = await asyncio.to_thread(intake.open, Network.TRON, self._chain.wallet)
        head_ms = await self._source.head_ms()
        self._result.skew_ms = skew_ms(Network.TRON, head_ms, self._clock())
        begin_ms = cursor.position - OVERLAP_MS
        if from_ms is not None:  # a later one would leave out what no scan has reached yet
            begin_ms = min(begin_ms, from_ms)
        since_ms = max(self._chain.since_ms, begin_ms)
        until_ms = max(self._clock(), head_ms) + AHEAD_MS
        await self._read(cursor, since_ms, until_ms, self._bound_ms(head_ms))
        await self._receipts(cursor, head_ms)
        if self._nameless:
            # Whoever paid in them may be anybody, so nothing was read to its end.
            raise UntrustedHistory(
                Network.TRON, f"rows of it that name no transaction: {self._nameless}"
            )
        self._result.expired = await asyncio.to_thread(
            intake.complete, [cursor], head_ms if self._result.expires else 0, self._clock()
        )
        after = await asyncio.to_thread(intake.open, Network.TRON, self._chain.wallet)
        self._result.cursor, self._result.chain_ms = after.position, head_ms
        self._result.waiting = await asyncio.to_thread(intake.count_waiting, cursor)
        if self._failure is not None:
            raise self._failure
        return self._result

    def _bound_ms(self, head_ms: int) -> int:
        """The time that no row is newer than; the clock may be wrong, and the chain is not."""
        now_ms = head_ms + HEAD_LAG_MS[Network.TRON] if head_ms else self._clock()
        return now_ms + AHEAD_MS

    async def _read(self, cursor: Cursor, since_ms: int, until_ms: int, bound_ms: int) -> None:
        frontier = _Frontier(bound_ms)
        listed: set[tuple[str, int | None]] = set()
        async for rows, is_last in _ahead(self._source.history(since_ms, until_ms)):
            self._result.pages += 1
            frontier.note(rows)
            sifted = tron.sift(
                rows,
                wallet=self._chain.wallet,
                contract=self._chain.contract,
                since_ms=self._chain.since_ms,
            )
            self._nameless += sifted.nameless
            self._result.rejected.update(str(one.reason) for one in sifted.rejected)
            listed.update((one.tx_id, one.amount) for one in sifted.sightings if one.confirmed)
            _, unmatched = await asyncio.to_thread(
                self._ledger.intake.note,
                cursor,
                self._chain.contract,
                sifted.sightings,
                self._clock(),
                position=frontier.position() if is_last and not self._nameless else None,
                dust=self._chain.dust.get(Method.TRON, 0),
            )
            self._result.review += unmatched
        self._result.transfers = len(listed)

    async def _receipts(self, cursor: Cursor, head_ms: int) -> None:
        """Read receipts; what fails here stays waiting, and the rest of the scan is valid."""
        waiting = await asyncio.to_thread(
            self._ledger.intake.waiting, cursor, self._clock(), limit=MATCHED
        )
        others = [one for one in waiting if not one.matched][: self._others]
        due = [one for one in waiting if one.matched] + others
        gate = asyncio.Semaphore(RECEIPTS_AT_ONCE)

        async def one_of(one: Waiting) -> None:
            async with gate:
                if self._failure is not None:
                    return
                try:
                    await self._receipt(cursor, one, head_ms)
                except Exception as error:  # noqa: BLE001 - raised again at the end of the scan
                    self._failure = error

        async with asyncio.TaskGroup() as group:
            for one in due:
                group.create_task(one_of(one))

    async def _receipt(self, cursor: Cursor, one: Waiting, head_ms: int) -> None:
        intake = self._ledger.intake
        try:
            found = await self._source.receipt(one.tx_id)
        except ChainUnavailable:
            # A receipt that always fails must not block those behind it for ever.
            await asyncio.to_thread(intake.defer, cursor, one.tx_id, self._clock())
            raise
        if found is None and head_ms > one.block_ms + GONE_MS and one.asked >= GONE_ASKED:
            found = Rejected(one.tx_id, Reason.VANISHED)
        if found is None:
            await asyncio.to_thread(intake.postpone, cursor, one.tx_id, self._clock())
        elif isinstance(found, Rejected):
            self._result.rejected[str(found.reason)] += 1
            await asyncio.to_thread(intake.refuse, cursor, one.tx_id, found.reason)
        else:
            effect = await asyncio.to_thread(
                intake.settle, cursor, one.tx_id, found, self._clock(), dust=self._chain.dust
            )
            self._result.settled += effect.settled
            if one.matched:  # the others were counted when the index listed them
                self._result.review += effect.review


class _Frontier:
    """How far the rows of a scan justify moving the cursor.

    To the newest confirmed row, but not past one that is only listed as unconfirmed, unless that is
    so old that its fate is known; and never into the future: a row may claim any time.
    """

    def __init__(self, bound_ms: int) -> None:
        self._bound_ms = bound_ms
        self._newest = 0
        self._confirmed: set[str | None] = set()
        self._unconfirmed: dict[str | None, int] = {}

    def note(self, rows: list[Any]) -> None:
        for row in rows:
            time_ms, tx_id = tron.row_ms(row), tron.row_id(row)
            if time_ms is None or time_ms > self._bound_ms:
                continue
            if tron.is_unconfirmed(row):
                earliest = self._unconfirmed.get(tx_id, time_ms)
                self._unconfirmed[tx_id] = min(earliest, time_ms)
            else:
                self._newest = max(self._newest, time_ms)
                self._confirmed.add(tx_id)

    def position(self) -> int:
        held = [at for tx_id, at in self._unconfirmed.items() if tx_id not in self._confirmed]
        return min([self._newest, *(at for at in held if at >= self._newest - GONE_MS)])


class _TonScan:
    def __init__(
        self, chain: ShopChain, source: TonSource, ledger: Ledger, clock: Callable[[], int]
    ) -> None:
        self._chain = chain
        self._source = source
        self._ledger = ledger
        self._clock = clock
        self._result = ScanResult(Network.TON)

    async def run(self, from_ms: int | None) -> ScanResult:
        intake = self._ledger.intake
        shop = await ton_shop(self._chain, self._ledger, self._source)
        head_ms = await self._source.head_ms()
        self._result.skew_ms = skew_ms(Network.TON, head_ms, self._clock())
        cursors = []
        for account in shop.accounts:
            cursors.append(await self._open(account))
            await self._read(cursors[-1], shop, from_ms)
        self._result.expired = await asyncio.to_thread(
            intake.complete, cursors, head_ms if self._result.expires else 0, self._clock()
        )
        after = await self._open(self._chain.wallet)
        self._result.cursor, self._result.chain_ms = after.position, head_ms
        return self._result

    async def _open(self, account: str) -> Cursor:
        return await asyncio.to_thread(self._ledger.intake.open, Network.TON, account)

    async def _read(self, cursor: Cursor, shop: TonShop, from_ms: int | None) -> None:
        lt, mark, since_ms = cursor.position, cursor.mark, self._chain.since_ms
        if from_ms is not None:
            lt, mark, since_ms = 0, "", max(since_ms, from_ms)
        async for page in _ahead(self._source.history(cursor.account, lt, since_ms)):
            self._result.pages += 1
            try:
                new = ton.chained(page, after_lt=lt, mark=mark, since_ms=since_ms)
            except ValueError as error:
                raise _broken(page, lt, error) from None
            if not new:
                continue
            transfers, rejected = ton.split(
                [ton.judge(one, shop, self._chain.since_ms) for one in new]
            )
            effect = await asyncio.to_thread(
                self._ledger.intake.apply,
                cursor,
                transfers,
                self._clock(),
                position=new[-1].lt,
                mark=new[-1].mark,
                dust=self._chain.dust,
                notices=other_tokens(new, shop, self._chain),
            )
            lt, mark = new[-1].lt, new[-1].mark
            self._result.transfers += len(transfers)
            self._result.settled += effect.settled
            self._result.review += effect.review
            self._result.rejected.update(str(one.reason) for one in rejected)


def _broken(page: Iterable[TonTransaction], after_lt: int, error: ValueError) -> UntrustedHistory:
    """Why a page does not follow what was read up to a logical time."""
    first = min((one for one in page if one.lt > after_lt), key=lambda one: one.lt)
    if after_lt and first.previous_lt == 0:
        return HistoryForgotten(first.time_s * 1000)
    return UntrustedHistory(Network.TON, str(error))


def other_tokens(
    transactions: Iterable[TonTransaction], shop: TonShop, chain: ShopChain
) -> list[OtherTokens]:
    """What transactions of the shop's accounts say of tokens that it does not take."""
    found = (ton.other_tokens(one, shop, chain.since_ms) for one in transactions)
    return [one for one in found if one is not None]


async def ton_shop(chain: ShopChain, ledger: Ledger, source: TonSource) -> TonShop:
    """The shop's accounts on TON; its jetton wallet is asked for once, and then remembered."""
    intake, master = ledger.intake, chain.contract
    cursor = await asyncio.to_thread(intake.open, Network.TON, chain.wallet)
    if master and not cursor.jetton_wallet_of(master):
        found = await source.jetton_wallet(chain.wallet, master)
        if found:
            cursor = await asyncio.to_thread(intake.pin_jetton_wallet, cursor, master, found)
    return TonShop(chain.wallet, master, cursor.jetton_wallet_of(master))


async def _ahead(pages: AsyncIterator[PageT]) -> AsyncIterator[PageT]:
    """The pages, the next of which is fetched while one is worked on."""
    coming = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await coming) is not None:
            coming = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        coming.cancel()
        await asyncio.wait([coming])
