"""Polls one chain for as long as it lives: the loop of a watcher, without Ray.

Every 30 s, give or take a fifth, so that many shops do not ask in step. A failed scan is reported
and tried again at the next poll. Two things wake a person: a setting that the API refuses, and a
history that was not read to its end for a while, however healthy each single answer looked. Those,
orders, reviews, and a clock that is off the chain's are told as `seller_alerts` tells them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Final

from actors.payments import lookup
from actors.payments import scan as scanning
from actors.payments.contract import WatcherStatus
from actors.payments.errors import CursorStale
from actors.payments.ledger.reviews import MAX_LISTED
from actors.payments.outbox_relay import OutboxRelay, Pull
from actors.payments.seller_alerts import BACK_MS, SellerAlerts
from actors.runtime.database import now_ms
from actors.runtime.errors import ConfigurationError, Conflict, Unavailable, X0Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.payments.chains.api import Api
    from actors.payments.delivery import Delivery
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.lookup import LookedUp
    from actors.payments.scan import ScanResult
    from actors.payments.shop import ShopChain
    from actors.runtime.error_handler import ErrorHandler, Severity
    from actors.runtime.metrics import Metrics

POLL_S: Final = 30.0
JITTER: Final = 0.2  # largest deviation of the pause, as a share of it
STALE_S: Final = 600.0  # time without a completed scan that raises an alert


class Watcher:
    """Reads one chain into the ledger, again and again.

    Args:
        chain: the chain to read.
        ledger: the ledger that records what is read.
        delivery: makes the goods of buyers of the channel "pull".
        api: the API of the chain, made in the running loop.
        errors: handles failures; critical ones raise alerts.
        metrics: counts scans.
        rng: draws the jitter.
        clock: ms since the Unix epoch.
    """

    def __init__(
        self,
        chain: ShopChain,
        ledger: Ledger,
        delivery: Delivery,
        api: Api,
        *,
        errors: ErrorHandler,
        metrics: Metrics,
        rng: random.Random | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._chain = chain
        self._alerts = SellerAlerts(chain.network, errors.alert)
        self._paid_told: set[str] = set()
        self._ledger = ledger
        self._relay = OutboxRelay(ledger, delivery, Pull(), clock)
        self._api = api
        self._errors = errors
        self._rng = rng or random.Random()
        self._clock = clock
        self._scans = 0
        self._error = ""
        self._started_ms = clock()
        self._stale_told = False
        self._skew_told = False
        self._former_told: set[str] = set()
        self._from_ms: int | None = None  # what is to be read again
        self._asked = asyncio.Event()
        network = ("network",)
        self._settled = metrics.counter(
            "x0tta6bl4_payments_settled_total", "Orders that got their payment", network
        )
        self._age = metrics.gauge(
            "x0tta6bl4_payments_cursor_age_seconds",
            "Time since a scan last came to its end",
            network,
        )
        self._skew = metrics.gauge(
            "x0tta6bl4_payments_clock_skew_seconds",
            "How far the clock is behind the chain's, at least; below 0: ahead",
            network,
        )
        self._reviews = metrics.gauge(
            "x0tta6bl4_payments_reviews", "Open entries of the review queue"
        )

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await self.poll()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S * (1 + self._rng.uniform(-JITTER, JITTER))):
                    await self._asked.wait()
            self._asked.clear()

    def rescan(self, from_ms: int) -> None:
        """Have what came in from a time on read again at the next poll, which is at once."""
        self._from_ms = from_ms if self._from_ms is None else min(from_ms, self._from_ms)
        self._asked.set()

    async def look_up(self, text: str) -> LookedUp:
        """Bring in one transaction; raises as `lookup.look_up`."""
        found = await lookup.look_up(self._chain, self._ledger, self._api, text, clock=self._clock)
        self._asked.set()  # what it paid for is due
        return found

    async def poll(self) -> ScanResult | None:
        """Scan once and carry what is due; None if that failed or another process is at it."""
        result = None
        try:
            result = await self._scan()
            self._scans += 1
            self._error = ""
            self._settled.inc(result.settled, network=str(self._chain.network))
            self._alerts.refused(None, self._now_s)
            self._watch_clock(result)
            self._watch_former(result)
        except Conflict:
            pass  # another watcher scans this chain now, into the same ledger
        except ConfigurationError as error:
            self._fail(error, critical=not self._error)
        except Exception as error:  # noqa: BLE001 - the loop goes on, and the handler tells
            self._fail(error, critical=False)
        with self._errors.guard():
            await self._carry()
        with self._errors.guard():
            self._reviews.set(await asyncio.to_thread(self._ledger.reviews.count))
            await self._tell_seller()
            await self._watch_age()
        return result

    @property
    def _now_s(self) -> float:
        return self._clock() / 1000

    async def _carry(self) -> None:
        try:
            arrived = await self._relay.round()
        except Unavailable:
            raise  # nothing is known of what is to be delivered
        except X0Error as error:
            self._alerts.undelivered(error, self._now_s)
            raise
        if arrived:  # what could not be delivered may just not be due again
            self._alerts.undelivered(None, self._now_s)

    async def _tell_seller(self) -> None:
        """Tell of orders that were paid, and of what waits for a decision."""
        paid = await asyncio.to_thread(
            self._ledger.orders.paid_since, self._chain.network, self._clock() - BACK_MS
        )
        self._alerts.paid((one for one in paid if one.id not in self._paid_told), self._now_s)
        self._paid_told = {one.id for one in paid}
        entries = await asyncio.to_thread(self._ledger.reviews.listing, limit=MAX_LISTED)
        # What only an index lists may yet turn out to be the payment of an order.
        self._alerts.in_review([one for one in entries if one.verified], self._now_s)

    async def _scan(self) -> ScanResult:
        from_ms = self._from_ms
        result = await scanning.scan(
            self._chain,
            self._ledger,
            self._api,
            others=scanning.OTHERS if from_ms is None else scanning.MATCHED,
            from_ms=from_ms,
            clock=self._clock,
        )
        if self._from_ms == from_ms:  # nobody has asked for more meanwhile
            self._from_ms = None
        return result

    def _fail(self, error: Exception, *, critical: bool) -> None:
        self._error = str(error)
        if isinstance(error, ConfigurationError):
            self._alerts.refused(error, self._now_s)
        self._errors.handle(
            error,
            severity="critical" if critical else "warning",
            alerted=True,
            network=str(self._chain.network),
        )

    def _watch_clock(self, result: ScanResult) -> None:
        self._skew.set(result.skew_ms / 1000, network=str(self._chain.network))
        skewed = result.skewed
        if skewed is not None and not self._skew_told:
            severity: Severity = "warning" if result.expires else "critical"
            self._errors.handle(skewed, severity=severity, alerted=True)
        self._alerts.skewed(skewed, self._now_s, expires=result.expires)
        self._skew_told = skewed is not None

    def _watch_former(self, result: ScanResult) -> None:
        for wallet in result.unread.keys() - self._former_told:
            self._errors.handle(result.unread[wallet], severity="warning")
        self._former_told = set(result.unread)

    async def _watch_age(self) -> None:
        status = await self.status()
        age_s = (self._clock() - (status.completed_ms or self._started_ms)) / 1000
        self._age.set(age_s, network=status.network)
        if age_s <= STALE_S:
            self._stale_told = False
            self._alerts.stale(None, self._now_s)
        elif not self._stale_told:
            self._stale_told = True
            error = CursorStale(self._chain.network, age_s)
            self._alerts.stale(error, self._now_s - age_s)
            self._errors.handle(error, severity="critical", alerted=True)

    async def status(self) -> WatcherStatus:
        """How it is."""
        cursors = await asyncio.to_thread(self._ledger.intake.cursors)
        mine = [one for one in cursors if one.account == self._chain.wallet]
        return WatcherStatus(
            network=str(self._chain.network),
            scans=self._scans,
            completed_ms=max((one.completed_ms for one in mine), default=0),
            chain_ms=max((one.chain_ms for one in mine), default=0),
            cursor=max((one.position for one in mine), default=0),
            error=self._error,
        )
