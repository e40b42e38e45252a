"""What payments answer, to a command and over HTTP alike: one type for each answer.

Amounts are in whole coins, as text so that nothing is rounded. Times are in UTC, by ISO 8601.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from actors.payments.chains import money
from actors.payments.checkout import shown_wallet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.payments.bulk_decisions import BulkDecision, BulkOutcome, BulkProposal
    from actors.payments.catalogue import ShopPlan
    from actors.payments.delivery import Goods
    from actors.payments.ledger.cursors import Cursor
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.review_entries import Review
    from actors.payments.ledger.sums import LedgerSums
    from actors.payments.lookup import LookedUp
    from actors.payments.shop import Shop
    from actors.runtime.errors import X0Error

_AMOUNT: Final = "in whole coins, as text so that nothing is rounded"
ORDER_EXAMPLE: Final[dict[str, Any]] = {
    "id": "abcdefghijklmnop",
    "state": "new",
    "plan": "month",
    "method": "tron",
    "network": "tron",
    "symbol": "USDT",
    "amount": "9.9123",
    "price": "9.9",
    "pay_to": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    "comment": "",
    "created": "2026-01-01T12:00:00+00:00",
    "expires": "2026-01-01T12:45:00+00:00",
    "channel": "pull",
    "recipient": "",
}


class PaymentsAnswer(BaseModel):
    """Any answer of payments."""

    model_config = ConfigDict(frozen=True)

    def values(self) -> dict[str, Any]:
        """Its fields, for JSON; those that do not apply are left out."""
        return self.model_dump(exclude_unset=True)


def _example(**values: Any) -> ConfigDict:  # noqa: ANN401 - JSON is anything
    return ConfigDict(json_schema_extra={"examples": [values]})


class PlanSummary(PaymentsAnswer):
    """What can be bought."""

    id: str
    title: dict[str, str] = Field(description="by language")
    price: dict[str, str] = Field(description=f"by way to pay, {_AMOUNT}")
    delivers: str = Field(description="download or licence")
    file: str = Field(description='of a download, relative to the catalogue; else ""')
    refused: str = Field(description='why it is not sold; "" if it is')


class OrderSummary(PaymentsAnswer):
    """An order: what to pay, where, and what has become of it."""

    model_config = _example(**ORDER_EXAMPLE)
    id: str
    state: str = Field(
        description="new, seen, confirmed, overpaid, delivering, delivered; expired, paid_late, "
        "underpaid, review, closed"
    )
    plan: str
    method: str
    network: str
    symbol: str = Field(description=f"USDT or TON; TON is the coin {money.GRAM}")
    amount: str = Field(description=f"to be paid, exactly; {_AMOUNT}")
    price: str
    pay_to: str
    comment: str = Field(description="to be sent along, on TON")
    created: str
    expires: str
    channel: str
    recipient: str


class OrderPayment(PaymentsAnswer):
    """A transfer that is taken for an order's."""

    tx_id: str
    sender: str
    amount: str = Field(description=_AMOUNT)
    block: str = Field(description="time of its block")
    settles: bool = Field(
        description="it pays the order, or a part of it; else a person decides, or has decided"
    )


class ReviewEntry(PaymentsAnswer):
    """What came in and settles nothing by itself, or was too much, or cannot be delivered."""

    subject: str = Field(description="name of the entry")
    cause: str
    order: str | None
    likely: str | None = Field(description="order that it probably pays, where it names none")
    certain: bool = Field(description="the order, or the likely one, is no guess")
    method: str | None
    symbol: str | None
    amount: str | None
    sender: str = Field(description="where it came from, which may be an exchange's address")
    comment: str = Field(description="the text that came with it")
    block: str | None = Field(description="time of the transfer's block")
    verified: bool = Field(description="its receipt was read; hearsay cannot be decided about")
    decision: str
    note: str
    refund_to: str = Field(description="empty while the buyer has not said where to")
    refund: str | None
    refund_tx: str = Field(description="transaction that sent it; empty while nobody has")
    refund_sent: str | None = Field(description="when that was noted")


class BulkProposed(PaymentsAnswer):
    """What can be decided about an entry together with others."""

    subject: str
    cause: str
    order: str | None = Field(description="order that it concerns, or would pay")
    method: str | None
    symbol: str | None
    amount: str | None = Field(description="what came in")
    paid: str | None = Field(None, description="accept: what its order would be paid in all")
    price: str | None = Field(None, description="accept: what that order costs")


class BulkProposals(PaymentsAnswer):
    """What can be decided about many entries; nothing is decided yet."""

    model_config = _example(
        decision="accept",
        proposals=[
            {
                "subject": f"tron:{'0' * 64}:0",
                "cause": "late",
                "order": ORDER_EXAMPLE["id"],
                "method": "tron",
                "symbol": "USDT",
                "amount": "9.9123",
                "paid": "9.9123",
                "price": "9.9",
            }
        ],
        next=None,
    )
    decision: str
    proposals: list[BulkProposed]
    next: str | None = Field(description="give it as `after` for the next page; null: the last")


class BulkDecided(PaymentsAnswer):
    """What has become of the decision about one of many entries."""

    subject: str
    result: str = Field(description="decided now; decided so before; failed, and nothing changed")
    order: str | None = Field(description="order that it concerns, or pays now")
    error: str | None = Field(description="why it failed")


class BulkDecisions(PaymentsAnswer):
    """What has become of the decision about each of many entries."""

    model_config = _example(
        decision="dismiss",
        decisions=[
            {"subject": f"tron:{'0' * 64}:0", "result": "decided", "order": None, "error": None}
        ],
        failed=0,
    )
    decision: str
    decisions: list[BulkDecided]
    failed: int = Field(description="number of those that failed")


class OrderInFull(OrderSummary):
    """An order, with what came in for it, and what it brings."""

    model_config = _example(
        **ORDER_EXAMPLE | {"state": "delivered"},
        payments=[
            {
                "tx_id": "6f" * 32,
                "sender": "TJzXt1sZautjqXnpjQT4xSCBHNSYgBkDr3",
                "amount": ORDER_EXAMPLE["amount"],
                "block": ORDER_EXAMPLE["created"],
                "settles": True,
            }
        ],
        received=ORDER_EXAMPLE["amount"],
        reviews=[],
        delivers="licence",
        goods="X0-EXAMPLE",
        goods_until=None,
        goods_state="ready",
    )
    payments: list[OrderPayment]
    received: str = Field(description=f"what pays it, or came in time and counts for it, {_AMOUNT}")
    reviews: list[ReviewEntry] = Field(description="what waits for a person, or was decided")
    delivers: str | None = Field(None, description="of a paid order: download or licence")
    goods: str | None = Field(
        None, description="of a paid order: the link, or the code; null while it opens nothing"
    )
    goods_until: str | None = Field(None, description="when the link ends; null for a code")
    goods_state: str | None = Field(
        None,
        description="of a paid order: ready; ended, and the delivery has to be asked for again; "
        "missing, as long as the shop's directory lacks the file",
    )


class LicenceOf(PaymentsAnswer):
    """The paid order that a licence code belongs to."""

    model_config = _example(order="abcdefghijklmnop", plan="licence", state="delivered")
    order: str
    plan: str
    state: str


class MethodTakings(PaymentsAnswer):
    """What came in by one way to pay."""

    settled: int = Field(description="payments that settle orders")
    settled_amount: str
    excess: str = Field(description="of it, what was paid beyond what was asked")
    review: int = Field(description="payments that settle nothing")
    review_amount: str
    dust: int = Field(description="payments that name no order and are too small to be looked at")
    dust_amount: str
    refunds_proposed: str = Field(description="and not sent yet")
    refunds_sent: str


class FoundTransfer(PaymentsAnswer):
    """What a transaction brought the shop."""

    subject: str = Field(description="its name in the review queue, if it is there")
    method: str
    symbol: str
    amount: str
    order: str | None = Field(description="the order that it names")
    settles: bool = Field(
        description="it pays that order; else a person decides, or has decided, unless it is dust"
    )
    dust: bool = Field(description="it names no order and is too small for a person to look at")


class FoundTransaction(PaymentsAnswer):
    """What became of a transaction that was named."""

    network: str
    transaction: str
    outcome: str = Field(
        description="recorded now; known before; waiting until it is solid; nothing for the shop; "
        "not_found, or not yet"
    )
    reason: str | None = Field(description="why it brings nothing")
    transfers: list[FoundTransfer]


class ReadingProgress(PaymentsAnswer):
    """How far an account's history was read."""

    cursor: int
    completed: str | None = Field(description="when a scan last came to its end")


class LedgerReport(PaymentsAnswer):
    """Sums of the ledger."""

    model_config = _example(
        orders={"delivered": 1},
        takings={
            "tron": {
                "settled": 1,
                "settled_amount": "9.9123",
                "excess": "0",
                "review": 0,
                "review_amount": "0",
                "dust": 0,
                "dust_amount": "0",
                "refunds_proposed": "0",
                "refunds_sent": "0",
            }
        },
        reviews=0,
        unsent=0,
        read={
            "tron:TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t": {
                "cursor": 1767268800000,
                "completed": "2026-01-01T12:02:00+00:00",
            }
        },
    )
    orders: dict[str, int] = Field(description="by state")
    takings: dict[str, MethodTakings] = Field(description="by way to pay")
    reviews: int = Field(description="open entries of the review queue")
    unsent: int = Field(description="messages that are due")
    read: dict[str, ReadingProgress] = Field(description="by network and account")


def plan(one: ShopPlan, refusal: X0Error | None) -> PlanSummary:
    """A plan of the catalogue, and why it is not sold if it is not."""
    return PlanSummary(
        id=one.id,
        title=dict(one.titles),
        price={str(way): money.text(price, way) for way, price in one.prices.items()},
        delivers=one.delivers.kind,
        file=one.delivers.file,
        refused="" if refusal is None else f"{refusal.what}: {refusal.why}",
    )


def order(shop: Shop, one: Order) -> OrderSummary:
    """An order."""
    return OrderSummary(**_order(shop, one))


def order_in_full(
    shop: Shop, ledger: Ledger, one: Order, goods: Goods | None, now_ms: int
) -> OrderInFull:
    """An order, with what came in for it, what was decided about that, and what it brings."""
    payments = [
        OrderPayment(
            tx_id=paid.tx_id,
            sender=paid.sender,
            amount=money.text(paid.amount, paid.method),
            block=time(paid.block_ms),
            settles=paid.settles,
        )
        for paid in ledger.orders.payments(one.id)
    ]
    return OrderInFull(
        **_order(shop, one),
        payments=payments,
        received=money.text(ledger.orders.received(one), one.method),
        reviews=[review(entry) for entry in ledger.reviews.of_order(one.id)],
        **({} if goods is None else _goods(goods, now_ms)),
    )


def _goods(brought: Goods, now_ms: int) -> dict[str, Any]:
    state = "ready"
    if brought.is_missing:
        state = "missing"
    elif brought.has_ended(now_ms):
        state = "ended"
    return {
        "delivers": brought.kind,
        "goods": brought.value if state == "ready" else None,
        "goods_until": None if brought.until_ms is None else time(brought.until_ms),
        "goods_state": state,
    }


def _order(shop: Shop, one: Order) -> dict[str, str]:
    return {
        "id": one.id,
        "state": str(one.state),
        "plan": one.plan,
        "method": str(one.method),
        "network": str(one.method.network),
        "symbol": one.method.ticker,
        "amount": money.text(one.amount, one.method),
        "price": money.text(one.price, one.method),
        "pay_to": shown_wallet(shop, one),
        "comment": one.comment,
        "created": time(one.created_ms),
        "expires": time(one.expires_ms),
        "channel": one.channel,
        "recipient": one.recipient,
    }


def review(one: Review) -> ReviewEntry:
    """An entry of the review queue."""

    def text(amount: int | None) -> str | None:
        return None if amount is None or one.method is None else money.text(amount, one.method)

    return ReviewEntry(
        subject=one.subject,
        cause=str(one.cause),
        order=one.order,
        likely=one.likely,
        certain=one.is_certain,
        method=None if one.method is None else str(one.method),
        symbol=None if one.method is None else one.method.ticker,
        amount=text(one.amount),
        sender=one.sender,
        comment=one.comment,
        block=None if one.block_ms is None else time(one.block_ms),
        verified=one.verified,
        decision=one.decision,
        note=one.note,
        refund_to=one.refund_to,
        refund=text(one.refund_amount),
        refund_tx=one.refund_tx,
        refund_sent=None if one.sent_ms is None else time(one.sent_ms),
    )


def bulk_proposals(
    decision: BulkDecision, found: Sequence[BulkProposal], limit: int
) -> BulkProposals:
    """What can be decided about many entries, of which at most `limit` were asked for."""
    return BulkProposals(
        decision=str(decision),
        proposals=[_proposed(one) for one in found],
        next=found[-1].entry.subject if len(found) == limit else None,
    )


def _proposed(one: BulkProposal) -> BulkProposed:
    entry = review(one.entry)
    sums = {}
    if one.order is not None and one.paid is not None:
        way = one.order.method
        sums = {"paid": money.text(one.paid, way), "price": money.text(one.order.price, way)}
    return BulkProposed(
        subject=entry.subject,
        cause=entry.cause,
        order=one.entry.order if one.order is None else one.order.id,
        method=entry.method,
        symbol=entry.symbol,
        amount=entry.amount,
        **sums,
    )


def bulk_decisions(decision: BulkDecision, found: Sequence[BulkOutcome]) -> BulkDecisions:
    """What has become of the decision about each of many entries."""
    decided = [
        BulkDecided(
            subject=one.subject,
            result=str(one.result),
            order=one.order,
            error=None if one.error is None else str(one.error),
        )
        for one in found
    ]
    failed = sum(one.error is not None for one in found)
    return BulkDecisions(decision=str(decision), decisions=decided, failed=failed)


def looked_up(found: LookedUp) -> FoundTransaction:
    """What became of a transaction that was named."""
    return FoundTransaction(
        network=str(found.network),
        transaction=found.tx_id,
        outcome=str(found.outcome),
        reason=None if found.reason is None else str(found.reason),
        transfers=[
            FoundTransfer(
                subject=one.subject,
                method=str(one.method),
                symbol=one.method.ticker,
                amount=money.text(one.amount, one.method),
                order=one.order_id,
                settles=one.settles,
                dust=one.is_dust,
            )
            for one in found.transfers
        ],
    )


def licence(one: Order) -> LicenceOf:
    """The order that a licence code belongs to."""
    return LicenceOf(order=one.id, plan=one.plan, state=str(one.state))


def report(found: LedgerSums, cursors: Iterable[Cursor], reviews: int) -> LedgerReport:
    """Sums of a ledger, how far each account was read, and how many reviews are open."""
    return LedgerReport(
        orders=dict(found.orders),
        takings={
            str(way): MethodTakings(
                settled=sums.settled,
                settled_amount=money.text(sums.settled_amount, way),
                excess=money.text(sums.excess, way),
                review=sums.review,
                review_amount=money.text(sums.review_amount, way),
                dust=sums.dust,
                dust_amount=money.text(sums.dust_amount, way),
                refunds_proposed=money.text(found.refunds.get(way, 0), way),
                refunds_sent=money.text(found.refunded.get(way, 0), way),
            )
            for way, sums in found.takings.items()
        },
        reviews=reviews,
        unsent=found.unsent,
        read={
            f"{one.network}:{one.account}": ReadingProgress(
                cursor=one.position,
                completed=time(one.completed_ms) if one.completed_ms else None,
            )
            for one in cursors
        },
    )


def time(time_ms: int) -> str:
    """A time, ms since the Unix epoch, in UTC to the second."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
