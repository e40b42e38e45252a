"""Orders and scans as the commands of `x0 pay` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.scan import ScanResult
    from actors.payments.shop import Shop


def scan_values(result: ScanResult) -> dict[str, object]:
    """A scan, for `--json`."""
    from actors.payments import answers

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
        "chain_time": answers.time(result.chain_ms) if result.chain_ms else None,
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


def order_values(shop: Shop, ledger: Ledger, one: Order) -> dict[str, Any]:
    """An order for `--json`, with what came in for it, and what it brings."""
    from actors.payments import answers, tokens
    from actors.payments.delivery import Delivery

    goods = Delivery(shop, ledger, tokens.ensure_key(shop.state_dir)).of(one)
    return answers.order_in_full(shop, one, goods, ledger.orders.payments(one.id)).values()


def order_lines(values: Mapping[str, Any]) -> dict[str, object]:
    """The same, in words."""
    paid = [
        f"{one['amount']} in {one['tx_id']} from {one['sender']}, {one['block']}"
        + ("" if one["settles"] else ", which settles nothing")
        for one in values["payments"]
    ]
    return {**values, "payments": "\n".join(paid) or "none"}
