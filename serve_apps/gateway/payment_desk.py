"""The shop behind the gateway: its ledger is opened when it is first asked, and asked by threads.

Invariants: nothing here blocks the event loop; a database that waits holds up payments and nothing
else, because the threads are its own; while no wallet is set, nothing is opened or written.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final, TypeVar

from actors.payments import answers, bulk_decisions, catalogue
from actors.payments.bulk_decisions import BulkDecision
from actors.payments.chains import money
from actors.payments.chains.money import Network
from actors.payments.checkout import Checkout, money_of
from actors.payments.contract import PaymentsWatcherContract, actor_name
from actors.payments.delivery import Delivery
from actors.payments.errors import PaymentsOff
from actors.payments.ledger.ledger import Ledger
from actors.runtime import remote
from actors.runtime.database import now_ms
from serve_apps.gateway.http.payment_documents import (
    Decided,
    OrderList,
    PlanList,
    RefundChanged,
    RefundList,
    ReviewList,
    ScanBegun,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.payments.answers import (
        BulkDecisions,
        BulkProposals,
        FoundTransaction,
        LedgerReport,
        LicenceOf,
        OrderInFull,
        OrderSummary,
    )
    from actors.payments.ledger.orders import Order, OrderState
    from actors.payments.ledger.review_entries import Review, ReviewFilter
    from actors.payments.shop import Shop
    from serve_apps.gateway.payment_requests import (
        BulkRequest,
        OrderRequest,
        RefundChange,
        ReviewDecision,
        ScanRequest,
    )
    from serve_apps.web.admission import Slots

T = TypeVar("T")

THREADS: Final = 4  # SQLite takes one writer at a time, PostgreSQL's pool five connections
WATCHER_S: Final = 60.0  # longest wait for a watcher, whose requests are paced
CHANNEL: Final = "pull"  # who orders over HTTP asks by himself what has become of it


@dataclass(frozen=True, slots=True)
class Desk:
    """What an open shop works with."""

    shop: Shop
    ledger: Ledger
    delivery: Delivery


class Payments:
    """A shop's orders, reviews and downloads.

    Args:
        shop: the shop that sells; None: there is none.
        slots: one for each request under way.
    """

    def __init__(self, shop: Shop | None, slots: Slots) -> None:
        self._shop = shop
        self._slots = slots
        self._desk: Desk | None = None
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="payments")

    async def ask(self, work: Callable[[Desk], T]) -> T:
        """What `work` returns, done by a thread.

        Raises:
            PaymentsOff: no wallet is set.
            TooBusy: too many requests are under way.
            Unavailable: the ledger's database does not answer.
        """
        shop = self._shop
        if shop is None or not shop.on:
            raise PaymentsOff
        with self._slots.one():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: work(self._opened(shop)))

    def watcher(self, network: Network) -> PaymentsWatcherContract:
        """The watcher of a chain, which has the keys of its API.

        Raises:
            PaymentsOff: no wallet is set.
            ConfigurationError: none is set for that network.
        """
        if self._shop is None:
            raise PaymentsOff
        self._shop.chain(network)
        return remote.proxy(PaymentsWatcherContract, actor_name(network), timeout_s=WATCHER_S)

    def _opened(self, shop: Shop) -> Desk:
        with self._opening:
            if self._desk is None:
                ledger = Ledger(shop.database_url)
                self._desk = Desk(shop, ledger, Delivery.opened(shop, ledger))
            return self._desk

    def close(self) -> None:
        """Close the ledger, once what is under way is done."""
        self._threads.shutdown()
        if self._desk is not None:
            self._desk.ledger.close()


# -- what is asked: each is done by a thread -----------------------------------------------------


def plans(desk: Desk) -> PlanList:
    """What can be bought, as the catalogue says now."""
    found = catalogue.load(desk.shop.catalogue)
    checkout = Checkout(desk.shop, found)
    return PlanList(plans=[answers.plan(one, checkout.refusal(one)) for one in found.plans])


def order(desk: Desk, wanted: OrderRequest, request: str) -> OrderSummary:
    """The order that a request has made, or makes now; raises as `Checkout.order`."""
    checkout = Checkout(desk.shop, catalogue.load(desk.shop.catalogue))
    made = checkout.order(
        desk.ledger,
        wanted.plan,
        checkout.method(wanted.plan, wanted.method),
        request=f"http:{request}",
        channel=CHANNEL,
        recipient=wanted.recipient,
        language=wanted.language,
    )
    return answers.order(desk.shop, made)


def orders(desk: Desk, states: list[OrderState], limit: int) -> OrderList:
    """Orders, newest first."""
    listed = desk.ledger.orders.listing(states=states, limit=limit)
    return OrderList(orders=[answers.order(desk.shop, one) for one in listed])


def one_order(desk: Desk, order_id: str) -> OrderInFull:
    """An order, with what came in for it, and what it brings once it is paid.

    Raises:
        UnknownOrder: there is none.
    """
    return _in_full(desk, desk.ledger.orders.get(order_id))


def deliver(desk: Desk, order_id: str) -> OrderInFull:
    """The order, after its delivery was begun once more; raises as `Delivery.again`."""
    return _in_full(desk, desk.delivery.again(order_id, now_ms()))


def _in_full(desk: Desk, one: Order) -> OrderInFull:
    return answers.order_in_full(desk.shop, desk.ledger, one, desk.delivery.of(one), now_ms())


def reviews(desk: Desk, limit: int, chosen: ReviewFilter, after: str | None) -> ReviewList:
    """The review queue, or what was decided.

    Raises:
        UnknownReview: there is no entry `after`.
    """
    queue = desk.ledger.reviews
    listed = queue.listing(chosen=chosen, limit=limit, after=after)
    return ReviewList(
        reviews=[answers.review(one) for one in listed],
        open=queue.count(),
        next=_following(listed, limit),
    )


def _following(listed: list[Review], limit: int) -> str | None:
    """What to go on from after a page of at most `limit`; None after the last."""
    return listed[-1].subject if len(listed) == limit else None


def decide(desk: Desk, subject: str, wanted: ReviewDecision) -> Decided:
    """Decide about an open entry; the order that it is about afterwards, if it is about one.

    Raises:
        As the methods of `ReviewQueue` and `Refunds`.
        InvalidInput: the amount of a refund is none.
    """
    queue = desk.ledger.reviews
    about, amounts = None, {}
    match wanted.decision:
        case "accept":
            about = queue.accept(
                subject, now_ms(), order_id=wanted.order, underpaid=wanted.underpaid
            )
            amounts = _amounts(desk, about)
        case "refund":
            units = money_of(desk.ledger, subject, wanted.amount)
            about = desk.ledger.refunds.propose(
                subject, now_ms(), to=wanted.to, amount=units, note=wanted.note
            ).order
        case "dismiss":
            queue.dismiss(subject, now_ms(), note=wanted.note)
        case "retry":
            about = queue.retry(subject, now_ms())
    return Decided(subject=subject, decision=wanted.decision, order=about, **amounts)


def _amounts(desk: Desk, order_id: str) -> dict[str, str]:
    """What an order was paid, and what it costs."""
    one = desk.ledger.orders.get(order_id)
    paid = sum(part.amount for part in desk.ledger.orders.payments(order_id) if part.settles)
    return {"paid": money.text(paid, one.method), "price": money.text(one.price, one.method)}


def propose_bulk(
    desk: Desk, decision: BulkDecision, limit: int, chosen: ReviewFilter, after: str | None
) -> BulkProposals:
    """What can be decided about many entries.

    Raises:
        UnknownReview: there is no entry `after`.
    """
    found = bulk_decisions.proposals(desk.ledger, decision, chosen, limit=limit, after=after)
    return answers.bulk_proposals(decision, found, limit)


def decide_bulk(desk: Desk, wanted: BulkRequest) -> BulkDecisions:
    """Decide about many entries, each by itself; raises as `bulk_decisions.decide`."""
    decision = BulkDecision(wanted.decision)
    decided = bulk_decisions.decide(
        desk.ledger, decision, wanted.subjects, now_ms(), note=wanted.note
    )
    return answers.bulk_decisions(decision, decided)


def refunds(desk: Desk, limit: int, after: str | None, *, sent: bool) -> RefundList:
    """Refunds that are still to be sent, or that were; raises as `Refunds.listing`."""
    listed = desk.ledger.refunds.listing(sent=sent, limit=limit, after=after)
    return RefundList(
        refunds=[answers.review(one) for one in listed],
        next=_following(listed, limit),
    )


def change_refund(desk: Desk, subject: str, wanted: RefundChange) -> RefundChanged:
    """Mark a refund as sent, correct it or take it back; raises as the methods of `Refunds`."""
    every = desk.ledger.refunds
    found: Review | None
    if wanted.sent is not None:
        found = every.sent(subject, wanted.sent, now_ms())
    elif wanted.withdraw:
        found = every.withdraw(subject, now_ms())
    else:
        units = money_of(desk.ledger, subject, wanted.amount)
        found = every.correct(subject, now_ms(), to=wanted.to, amount=units)
    return RefundChanged(review=None if found is None else answers.review(found))


def licence(desk: Desk, code: str) -> LicenceOf:
    """The paid order that a licence code belongs to.

    Raises:
        UnknownLicence: it is none of this shop's.
    """
    return answers.licence(desk.delivery.licensee(code))


async def scan(payments: Payments, wanted: ScanRequest) -> FoundTransaction | ScanBegun:
    """Have a chain's watcher bring in a transaction, or read again from a time on.

    Raises:
        As `Payments.watcher` and the methods of `PaymentsWatcherContract`.
    """
    watcher = payments.watcher(Network(wanted.network))
    begin = wanted.begin
    if begin is None:
        return answers.looked_up(await watcher.look_up(wanted.transaction or ""))
    aware = begin if begin.tzinfo is not None else begin.replace(tzinfo=UTC)
    from_ms = max(0, int(aware.timestamp() * 1000))
    await watcher.rescan(from_ms)
    return ScanBegun(network=wanted.network, begin=answers.time(from_ms))


def report(desk: Desk, since_ms: int) -> LedgerReport:
    """Sums of orders made, and payments whose block is, at or after `since_ms`."""
    ledger = desk.ledger
    found = ledger.report(since_ms=since_ms)
    return answers.report(found, ledger.intake.cursors(), ledger.reviews.count())


def download(desk: Desk, token: str) -> Path:
    """The file that a download token opens.

    Raises:
        TokenRefused: it opens nothing.
        Unavailable: the file is not there.
    """
    return desk.delivery.open(token, now_ms())
