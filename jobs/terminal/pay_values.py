"""Orders, reviews and scans as the commands of `x0 pay` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        "clock_skew_s": result.skew_ms / 1000,
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


def coin(values: Mapping[str, Any]) -> str:
    """What the amounts of an answer are counted in, as people are told; "" if of no money.

    Its `symbol` is what programs know the coin by.
    """
    from actors.payments.chains.money import Method

    return "" if values["method"] is None else Method(values["method"]).symbol


def cells(values: Mapping[str, Any], columns: Sequence[str]) -> tuple[object, ...]:
    """An answer as a row of a table; what is not known is empty."""
    shown = {**values, "coin": coin(values)}
    return tuple("" if shown[name] is None else shown[name] for name in columns)


def found_lines(found: Mapping[str, Any]) -> dict[str, object]:
    """A transaction that was looked up, in words."""
    said = {
        "recorded": "recorded now",
        "known": "was recorded before",
        "waiting": "not solid yet: the next scans follow it",
        "nothing": f"brings the shop nothing: {found['reason']}",
        "not_found": "not found on the chain, or not yet",
    }
    lines: dict[str, object] = {"outcome": said[found["outcome"]]}
    for one in found["transfers"]:
        ends = f"pays order {one['order']}" if one["settles"] else "in review"
        ends = "counted as dust" if one["dust"] else ends
        lines[one["subject"]] = f"{one['amount']} {coin(one)} ({one['method']}): {ends}"
    return lines


def order_values(shop: Shop, ledger: Ledger, one: Order) -> dict[str, Any]:
    """An order for `--json`, with what came in for it, and what it brings."""
    from actors.payments import answers
    from actors.payments.ledger.orders import SETTLED
    from actors.runtime.database import now_ms
    from jobs.launch import own_shop

    goods = own_shop.delivery(shop, ledger).of(one) if one.state in SETTLED else None
    return answers.order_in_full(shop, ledger, one, goods, now_ms()).values()


def order_lines(values: Mapping[str, Any]) -> dict[str, object]:
    """The same, in words."""
    paid = [
        f"{one['amount']} in {one['tx_id']} from {one['sender']}, {one['block']}"
        + ("" if one["settles"] else ", which settles nothing")
        for one in values["payments"]
    ]
    shown: dict[str, object] = {
        name: value for name, value in values.items() if not name.startswith("goods")
    }
    shown["symbol"] = coin(values)
    return {
        **shown,
        "payments": "\n".join(paid) or "none",
        "reviews": "\n".join(_entry_line(one) for one in values["reviews"]) or "none",
        **_goods_lines(values),
    }


def _entry_line(one: Mapping[str, Any]) -> str:
    """What came in beside, and what was decided about it."""
    parts = [f"{one['subject']}: {one['cause']}", one["decision"] or "waits for a person"]
    if one["refund"]:
        parts.append(f"{one['refund']} to {one['refund_to'] or 'whom the buyer names'}")
    if one["refund_tx"]:
        parts.append(f"sent in {one['refund_tx']}")
    return ", ".join(parts)


def _goods_lines(values: Mapping[str, Any]) -> dict[str, object]:
    match values.get("goods_state"):
        case None:
            return {}
        case "ended":
            again = f"`x0 pay deliver {values['id']}` makes a new one"
            return {"goods": f"the link ended at {values['goods_until']}; {again}"}
        case "missing":
            return {"goods": "none: its file is not there; see `x0 pay catalogue`"}
    until = values["goods_until"]
    return {"goods": values["goods"], **({"goods until": until} if until else {})}
