"""Orders and scans as the commands of `x0 pay` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.payments.ledger import Ledger
    from actors.payments.orders import Order
    from actors.payments.scan import ScanResult
    from actors.payments.settings import Shop


def scan_values(result: ScanResult) -> dict[str, object]:
    """A scan, for `--json`."""
    from actors.payments import views  # noqa: PLC0415 - slow to import

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
        "chain_time": views.time(result.chain_ms) if result.chain_ms else None,
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
    from actors.payments import tokens, views  # noqa: PLC0415 - slow to import
    from actors.payments.delivery import Delivery  # noqa: PLC0415 - the same

    goods = None
    if with_goods:
        goods = Delivery(shop, ledger, tokens.ensure_key(shop.state_dir)).of(one)
    return views.order(shop, one, goods)
