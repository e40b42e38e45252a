"""The watcher's loop: it goes on whatever happens, and wakes a person for two reasons."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretBytes, SecretStr

from actors.payments import scan as scanning
from actors.payments import watcher as watching
from actors.payments.chains.money import Method
from actors.payments.delivery import Delivery
from actors.payments.ledger.order_book import NewOrder
from actors.payments.ledger.orders import OrderState
from actors.payments.shop import Shop
from actors.payments.watcher import STALE_S, Watcher
from actors.runtime.alerting import AlertName
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.metrics import MemoryMetrics
from tests.unit.payments.http_chain import Answer, Chains, serving
from tests.unit.payments.shop import (
    DOWNLOAD,
    MINUTE,
    NOW,
    log,
    order,
    receipt,
    row,
    tron_chain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.payments.ledger.ledger import Ledger
    from actors.runtime.alerting import Alert


class Watched:
    """A watcher with everything that one can see of it."""

    def __init__(self, ledger: Ledger, url: str, tmp_path: Path, chains: Chains) -> None:
        self.ledger, self.url, self.chains = ledger, url, chains
        self.now = NOW + 5 * MINUTE
        self.off_ms = 0  # that the clock is off
        self.alerts: list[Alert] = []
        self.over: list[Alert] = []
        self.metrics = MemoryMetrics()
        chain = tron_chain(url)
        shop = Shop({chain.network: chain}, SecretStr("sqlite:////x"), tmp_path / "c", "", tmp_path)
        self._delivery = Delivery(shop, ledger, SecretBytes(b"k" * 32))
        self._chain = chain

    async def polls(self, count: int, *, step_s: float = 30, at: Any = None) -> Watcher:
        async with scanning.connect(self._chain) as api:
            api._pause_s = 0.0001
            watcher = at or Watcher(
                self._chain,
                self.ledger,
                self._delivery,
                api,
                errors=ErrorHandler("payments-tron", self.metrics, self._note),
                metrics=self.metrics,
                clock=lambda: self.now,
            )
            watcher._api = api
            for _ in range(count):
                self.chains.head_ms = self.now - self.off_ms
                await watcher.poll()
                self.now += int(step_s * 1000)
            return watcher

    def _note(self, alert: Alert) -> None:
        (self.alerts if alert.ended is None else self.over).append(alert)

    def told(self) -> list[tuple[AlertName, str]]:
        """Names and keys of the alerts, in their order."""
        return [(alert.name, alert.key) for alert in self.alerts]

    def critical(self) -> float:
        return sum(
            self.metrics.value(
                "x0tta6bl4_errors_total",
                error_type=kind,
                context="payments-tron",
                severity="critical",
            )
            for kind in ("CursorStale", "ChainRefused")
        )


@pytest.fixture
def watched(ledger: Ledger, tmp_path: Path) -> Iterator[Watched]:
    chains = Chains(head_ms=NOW + 5 * MINUTE)
    with serving(chains) as url:
        yield Watched(ledger, url, tmp_path, chains)


def test_a_poll_settles_and_delivers(watched: Watched) -> None:
    """Who asks by himself has his goods after one poll; the metrics say so."""
    one = order(watched.ledger)
    watched.chains.add(row(one.amount, "t"), receipt(log(one.amount), name="t"))

    async def run() -> None:
        watcher = await watched.polls(1)
        status = await watcher.status()
        assert (status.scans, status.error, status.network) == (1, "", "tron")
        assert (status.cursor, status.chain_ms) == (NOW + MINUTE, NOW + 5 * MINUTE)

    asyncio.run(run())
    assert watched.ledger.orders.get(one.id).state is OrderState.DELIVERED
    assert watched.metrics.value("x0tta6bl4_payments_settled_total", network="tron") == 1
    assert watched.metrics.value("x0tta6bl4_payments_reviews") == 0
    (paid,) = watched.alerts
    assert (paid.name, paid.key, paid.momentary) == (AlertName.ORDER_PAID, one.id, True)
    assert paid.summary.startswith(f"Order {one.id} of ")
    assert paid.summary.endswith(" USDT")
    asyncio.run(watched.polls(1))  # another watcher looks back: the same alert, which is told once
    assert watched.told() == [(AlertName.ORDER_PAID, one.id)] * 2


def test_an_outage_is_told_and_survived(watched: Watched) -> None:
    """Each failure is a warning; a person is woken once, when it has lasted; and once again."""
    watched.chains.fault = lambda _: Answer(503)

    async def run() -> None:
        watcher = await watched.polls(2)
        assert "does not answer" in (await watcher.status()).error
        assert watched.alerts == []
        watched.now += int(STALE_S * 1000)
        await watched.polls(3, at=watcher)
        stale = (AlertName.PAYMENT_CURSOR_STALE, "tron")
        assert watched.told() == [stale]
        watched.chains.fault = lambda _: None
        await watched.polls(1, at=watcher)
        assert (await watcher.status()).error == ""
        assert stale in [(alert.name, alert.key) for alert in watched.over]
        watched.chains.fault = lambda _: Answer(503)
        watched.now += int(STALE_S * 1000)
        await watched.polls(1, at=watcher)
        assert watched.told() == [stale] * 2

    asyncio.run(run())
    assert watched.metrics.value("x0tta6bl4_payments_cursor_age_seconds", network="tron") > STALE_S


def test_a_clock_that_is_wrong_wakes_a_person_once(watched: Watched) -> None:
    """And once more after it was right; a little is a warning."""

    async def run() -> None:
        watched.off_ms = -40_000
        watcher = await watched.polls(2)
        apart = (AlertName.CLOCKS_APART, "payments-tron")
        assert watched.told() == [apart]
        warned = watched.metrics.value(
            "x0tta6bl4_errors_total",
            error_type="ClockSkewed",
            context="payments-tron",
            severity="warning",
        )
        assert warned == 1
        for off_ms in (0, -50 * MINUTE, -50 * MINUTE, 0, 50 * MINUTE):
            watched.off_ms = off_ms
            await watched.polls(1, at=watcher)
        assert watched.told() == [apart] * 3
        assert [one.severity for one in watched.alerts] == ["warning", "error", "error"]
        assert [(one.name, one.key) for one in watched.over].count(apart) == 2

    asyncio.run(run())
    skew = watched.metrics.value("x0tta6bl4_payments_clock_skew_seconds", network="tron")
    assert skew == -(50 - 1) * 60


def test_a_former_wallet_that_cannot_be_read_is_told_once(watched: Watched) -> None:
    """Scans come to their end all the same."""
    former = replace(tron_chain(), wallet=row(1)["from"])
    new = NewOrder("request", DOWNLOAD, Method.TRON, "pull", "buyer")
    watched.ledger.orders.create(new, former, NOW)
    watched.chains.fault = lambda asked: Answer(500) if former.wallet in asked.path else None
    watcher = asyncio.run(watched.polls(2))
    assert asyncio.run(watcher.status()).error == ""
    told = watched.metrics.value(
        "x0tta6bl4_errors_total",
        error_type="FormerWalletUnread",
        context="payments-tron",
        severity="warning",
    )
    assert told == 1


def test_goods_that_cannot_be_made_hide_no_outage(watched: Watched) -> None:
    """They are told of at their polls, and a history that is not read still wakes a person."""
    one = order(watched.ledger, plan=DOWNLOAD)
    watched.chains.add(row(one.amount, "t"), receipt(log(one.amount), name="t"))

    async def run() -> None:
        watcher = await watched.polls(1)
        assert watched.ledger.orders.get(one.id).state is OrderState.DELIVERING
        watched.chains.fault = lambda _: Answer(503)
        watched.now += int(STALE_S * 1000)
        await watched.polls(1, at=watcher)

    asyncio.run(run())
    assert watched.told() == [
        (AlertName.PAYMENT_CONFIGURATION, "delivery-tron"),
        (AlertName.ORDER_PAID, one.id),
        (AlertName.PAYMENT_CURSOR_STALE, "tron"),
    ]
    told = watched.metrics.value(
        "x0tta6bl4_errors_total",
        error_type="ConfigurationError",
        context="payments-tron",
        severity="error",
    )
    assert told == 2


def test_goods_that_are_not_due_again_are_not_delivered(watched: Watched) -> None:
    """A poll that had nothing to carry does not tell that the fault is over."""
    one = order(watched.ledger, plan=DOWNLOAD)
    watched.chains.add(row(one.amount, "t"), receipt(log(one.amount), name="t"))
    asyncio.run(watched.polls(3, step_s=0.001))
    assert (AlertName.PAYMENT_CONFIGURATION, "delivery-tron") in watched.told()
    assert "delivery-tron" not in {alert.key for alert in watched.over}


def test_a_refused_key_wakes_a_person_once(watched: Watched) -> None:
    """At the first poll, not at every one."""
    watched.chains.fault = lambda _: Answer(401)
    asyncio.run(watched.polls(3))
    assert watched.told() == [(AlertName.PAYMENT_CONFIGURATION, "tron")]
    assert "X0TTA6BL4_TRON_API_KEY" in watched.alerts[0].details[0]


def test_another_watcher_scans_for_both(watched: Watched) -> None:
    """Its turn is skipped without a word."""
    with watched.ledger.database.alone("scan-tron", timeout_s=0):
        asyncio.run(watched.polls(1))
    assert watched.chains.asked == []
    assert watched.alerts == []
    asyncio.run(watched.polls(1))
    assert watched.chains.asked != []


def test_the_loop_goes_on_and_ends_when_cancelled(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pause that is jittered around half a minute."""
    pauses: list[float] = []

    def pause(pause_s: float) -> asyncio.Timeout:
        pauses.append(pause_s)
        if len(pauses) == 4:
            raise asyncio.CancelledError
        return asyncio.timeout(0)  # it is over at once

    async def run() -> None:
        watcher = await watched.polls(0)
        async with scanning.connect(tron_chain(watched.url)) as api:
            watcher._api = api
            quick = SimpleNamespace(timeout=pause, to_thread=asyncio.to_thread)
            monkeypatch.setattr(watching, "asyncio", quick)
            with pytest.raises(asyncio.CancelledError):
                await watcher.run()

    asyncio.run(run())
    assert len(pauses) == 4
    assert all(24 <= pause_s <= 36 for pause_s in pauses)
    assert len(set(pauses)) > 1


def test_what_waits_for_a_decision_is_one_alert_until_nothing_does(watched: Watched) -> None:
    """With its cause, amount and order; it changes with the queue."""
    one = order(watched.ledger)
    watched.chains.add(row(one.amount - 1, "t"), receipt(log(one.amount - 1), name="t"))

    async def run() -> None:
        watcher = await watched.polls(2)
        (alert,) = watched.alerts
        assert (alert.name, alert.key) == (AlertName.PAYMENT_IN_REVIEW, "reviews")
        assert alert.summary == "1 entry waits in the review queue of payments for a decision"
        (entry,) = watched.ledger.reviews.listing()
        assert alert.subjects == (entry.subject,)
        assert alert.details[0].startswith(f"{entry.cause}, ")
        watched.ledger.reviews.dismiss(entry.subject, watched.now)
        await watched.polls(1, at=watcher)
        assert (AlertName.PAYMENT_IN_REVIEW, "reviews") in [(a.name, a.key) for a in watched.over]

    asyncio.run(run())
