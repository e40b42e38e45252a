"""Plans, orders, reviews and sums as JSON shows them: amounts in whole coins, times in ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from actors.payments.chains import money
from actors.payments.checkout import shown_wallet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.payments.catalogue import Plan
    from actors.payments.delivery import Goods
    from actors.payments.ledger.intake import Cursor
    from actors.payments.ledger.order_book import OrderPayment
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.reports import LedgerReport
    from actors.payments.ledger.reviews import Review
    from actors.payments.shop import Shop


def plan(one: Plan) -> dict[str, Any]:
    """A plan of the catalogue."""
    return {
        "id": one.id,
        "title": dict(one.titles),
        "price": {str(way): money.text(price, way) for way, price in one.prices.items()},
        "delivers": one.delivers.kind,
        "file": one.delivers.file,
    }


def order_in_full(
    shop: Shop, one: Order, goods: Goods | None, payments: Iterable[OrderPayment]
) -> dict[str, Any]:
    """An order, with what came in for it and what it brings."""
    return {
        **order(shop, one),
        "payments": [
            {
                "tx_id": paid.tx_id,
                "sender": paid.sender,
                "amount": money.text(paid.amount, one.method),
                "block": time(paid.block_ms),
                "settles": paid.settles,
            }
            for paid in payments
        ],
        **({} if goods is None else {"delivers": goods.kind, "goods": goods.value}),
    }


def order(shop: Shop, one: Order) -> dict[str, Any]:
    """An order."""
    return {
        "id": one.id,
        "state": str(one.state),
        "plan": one.plan,
        "method": str(one.method),
        "network": str(one.method.network),
        "symbol": one.method.symbol,
        "amount": money.text(one.amount, one.method),
        "price": money.text(one.price, one.method),
        "pay_to": shown_wallet(shop, one),
        "comment": one.comment,
        "created": time(one.created_ms),
        "expires": time(one.expires_ms),
        "channel": one.channel,
        "recipient": one.recipient,
    }


def review(one: Review) -> dict[str, Any]:
    """An entry of the review queue."""

    def text(amount: int | None) -> str | None:
        return None if amount is None or one.method is None else money.text(amount, one.method)

    return {
        "subject": one.subject,
        "cause": str(one.cause),
        "order": one.order,
        "method": None if one.method is None else str(one.method),
        "symbol": None if one.method is None else one.method.symbol,
        "amount": text(one.amount),
        "sender": one.sender,
        "block": None if one.block_ms is None else time(one.block_ms),
        "verified": one.verified,
        "decision": one.decision,
        "note": one.note,
        "refund_to": one.refund_to,
        "refund": text(one.refund_amount),
    }


def report(found: LedgerReport, cursors: Iterable[Cursor], reviews: int) -> dict[str, Any]:
    """Sums of a ledger, how far each account was read, and how many reviews are open."""
    return {
        "orders": dict(found.orders),
        "takings": {
            str(way): {
                "settled": sums.settled,
                "settled_amount": money.text(sums.settled_amount, way),
                "excess": money.text(sums.excess, way),
                "review": sums.review,
                "review_amount": money.text(sums.review_amount, way),
                "refunds_proposed": money.text(found.refunds.get(way, 0), way),
            }
            for way, sums in found.takings.items()
        },
        "reviews": reviews,
        "unsent": found.unsent,
        "read": {
            f"{one.network}:{one.account}": {
                "cursor": one.position,
                "completed": time(one.completed_ms) if one.completed_ms else None,
            }
            for one in cursors
        },
    }


def time(time_ms: int) -> str:
    """A time, ms since the Unix epoch, in UTC to the second."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
