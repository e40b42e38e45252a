"""What the commands of `x0 pay` work on, and how they show it: as values, and in words."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.payments.ledger import Ledger
    from actors.payments.money import Method
    from actors.payments.orders import Order
    from actors.payments.reviews import Review
    from actors.payments.scan import ScanResult
    from actors.payments.settings import Shop


def shop(*, on: bool = False) -> Shop:
    """The shop of the environment; `on`: which must offer something."""
    from actors.payments.errors import PaymentsOff  # noqa: PLC0415 - slow to import
    from actors.payments.settings import Shop  # noqa: PLC0415 - the same
    from actors.runtime import log  # noqa: PLC0415 - the same
    from actors.runtime.settings import Settings  # noqa: PLC0415 - the same

    settings = Settings.load()
    log.configure("WARNING" if settings.log_level == "INFO" else settings.log_level)
    shop = Shop.of(settings)
    if on and not shop.on:
        raise PaymentsOff
    return shop


@contextlib.contextmanager
def ledger(shop: Shop) -> Iterator[Ledger]:
    """The shop's ledger, open for the block."""
    from actors.payments.ledger import Ledger  # noqa: PLC0415 - slow to import

    with Ledger(shop.database_url) as ledger:
        yield ledger


def scan_values(result: ScanResult) -> dict[str, object]:
    """A scan, for `--json`."""
    return {
        "network": str(result.network),
        "pages": result.pages,
        "transfers": result.transfers,
        "settled": result.settled,
        "review": result.review,
        "rejected": dict(sorted(result.rejected.items())),
        "cursor": result.cursor,
        "waiting": result.waiting,
        "expired": result.expired,
        "chain_time": time_text(result.chain_ms) if result.chain_ms else None,
        "requests": result.requests,
    }


def scan_lines(result: ScanResult) -> dict[str, object]:
    """A scan, in words."""
    values = scan_values(result)
    rejected = ", ".join(f"{count} {why}" for why, count in sorted(result.rejected.items()))
    return {
        **values,
        "rejected": rejected or "none",
        "chain_time": values["chain_time"] or "unknown",
    }


def order_values(
    shop: Shop, ledger: Ledger, one: Order, *, with_goods: bool = False
) -> dict[str, Any]:
    """An order, for `--json`; with what it brings, where `with_goods` asks for that."""
    from actors.payments import money, tokens  # noqa: PLC0415 - slow to import
    from actors.payments.counter import shown_wallet  # noqa: PLC0415 - the same
    from actors.payments.delivery import Delivery  # noqa: PLC0415 - the same

    goods = None
    if with_goods:
        goods = Delivery(shop, ledger, tokens.ensure_key(shop.state_dir)).of(one)
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
        "created": time_text(one.created_ms),
        "expires": time_text(one.expires_ms),
        "channel": one.channel,
        "recipient": one.recipient,
        **({} if goods is None else {"delivers": goods.kind, "goods": goods.value}),
    }


def review_values(one: Review) -> dict[str, Any]:
    """An entry of the review queue, for `--json`."""
    from actors.payments import money  # noqa: PLC0415 - slow to import

    def text(amount: int | None) -> str | None:
        method: Method | None = one.method
        return None if amount is None or method is None else money.text(amount, method)

    return {
        "subject": one.subject,
        "cause": str(one.cause),
        "order": one.order,
        "method": None if one.method is None else str(one.method),
        "symbol": None if one.method is None else one.method.symbol,
        "amount": text(one.amount),
        "sender": one.sender,
        "block": None if one.block_ms is None else time_text(one.block_ms),
        "verified": one.verified,
        "decision": one.decision,
        "note": one.note,
        "refund_to": one.refund_to,
        "refund": text(one.refund_amount),
    }


def time_text(time_ms: int) -> str:
    """A time, ms since the Unix epoch, in ISO 8601."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
