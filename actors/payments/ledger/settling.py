"""Transfers become payments, and payments settle orders: in one transaction with all its effects.

For each transfer that is new: the payment; for the order it names: its state by `orders.judge`, its
entitlement and its messages; for what does not settle: an entry in the review queue. The caller
holds the lock of the network's cursor, so transfers are recorded by one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.payments.chains.clock_skew import TOLERATED_MS
from actors.payments.chains.money import Method, Network
from actors.payments.ledger import order_book, queries, schema
from actors.payments.ledger.orders import (
    SETTLED,
    TRANSITIONS,
    Cause,
    Order,
    OrderState,
    PaymentKey,
    TransferCandidate,
    comment_in,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from actors.payments.chains.verdict import Transfer

ENTITLED_MS: Final = 7 * 86_400_000  # how long goods can be fetched


@dataclass(slots=True)
class Effect:
    """What one transaction did: how many transfers were new, and what became of them."""

    new: int = 0
    settled: int = 0
    review: int = 0


def subject(key: PaymentKey) -> str:
    """Name of a payment in the review queue."""
    return f"{key.network}:{key.tx_id}:{key.position}"


def record(connection: Connection, transfers: Sequence[Transfer], now_ms: int) -> Effect:
    """Record `transfers`, of one network, and all that follows from them."""
    effect = Effect()
    keys = {(one.tx_id, one.position): one for one in transfers}
    for known in _known(connection, transfers):
        keys.pop(known, None)
    new = list(keys.values())
    if not new:
        return effect
    effect.new = len(new)
    found = match(connection, new)
    rows = []
    touched: set[str] = set()
    for one, (order_id, settles) in zip(new, found, strict=True):
        rows.append(_row(one, order_id, settles=settles, now_ms=now_ms))
        if order_id is not None:
            touched.add(order_id)
    connection.execute(schema.payments.insert(), rows)
    unmatched = [
        _review(PaymentKey(one.network, one.tx_id, one.position), Cause.UNMATCHED, None, now_ms)
        for one, (order_id, _) in zip(new, found, strict=True)
        if order_id is None
    ]
    if unmatched:
        connection.execute(schema.reviews.insert(), unmatched)
    # Orders are locked in ascending order of id everywhere, so that transactions cannot deadlock.
    for order_id in sorted(touched):
        rejudge(connection, order_id, now_ms, effect)
    effect.review = effect.new - effect.settled
    return effect


def _known(connection: Connection, transfers: Sequence[Transfer]) -> set[tuple[str, int]]:
    if not transfers:
        return set()
    table = schema.payments.c
    query = sa.select(table.tx_id, table.position).where(table.network == str(transfers[0].network))
    rows = queries.select_in(connection, query, table.tx_id, (one.tx_id for one in transfers))
    return {(row.tx_id, row.position) for row in rows}


def match(connection: Connection, transfers: Sequence[Transfer]) -> list[tuple[str | None, bool]]:
    """Of each transfer: the order that it names or None, and whether it may settle it."""
    if transfers[0].network is Network.TRON:
        return _match_amounts(connection, transfers)
    return _match_comments(connection, transfers)


def _match_amounts(
    connection: Connection, transfers: Sequence[Transfer]
) -> list[tuple[str | None, bool]]:
    first = transfers[0]
    named = by_amount(connection, first.wallet, first.contract, {one.amount for one in transfers})
    found: list[tuple[str | None, bool]] = []
    for one in transfers:
        order = in_time(named.get(one.amount, ()), one.block_ms)
        found.append((order.id if order else None, one.settles))
    return found


def by_amount(
    connection: Connection, wallet: str, contract: str, amounts: Iterable[int]
) -> dict[int, list[Order]]:
    """TRON orders by the amount that they ask for."""
    table = schema.orders.c
    query = sa.select(schema.orders).where(
        table.method == str(Method.TRON), table.wallet == wallet, table.contract == contract
    )
    named: dict[int, list[Order]] = {}
    for row in queries.select_in(connection, query, table.amount, amounts):
        order = order_book.order_of(row)
        named.setdefault(order.amount, []).append(order)
    return named


def in_time(candidates: Iterable[Order], block_ms: int) -> Order | None:
    """The one of several orders for one amount whose reservation holds at a block's time.

    The order's time is the shop's, which may be a little ahead of the chain's.
    """
    orders = list(candidates)
    for early_ms in (0, TOLERATED_MS):
        for order in orders:
            if order.created_ms - early_ms <= block_ms <= order.reserved_until_ms:
                return order
    return None


def _match_comments(
    connection: Connection, transfers: Sequence[Transfer]
) -> list[tuple[str | None, bool]]:
    table = schema.orders.c
    # Other comments are not looked up: PostgreSQL refuses some of them, such as those with a NUL.
    comments = [comment_in(one.comment) for one in transfers]
    rows = queries.select_in(
        connection, sa.select(schema.orders), table.comment, filter(None, comments)
    )
    named = {row.comment: order_book.order_of(row) for row in rows}
    found: list[tuple[str | None, bool]] = []
    for one, comment in zip(transfers, comments, strict=True):
        order = named.get(comment)
        if order is None:
            found.append((None, False))
        else:
            asked = (order.method, order.wallet, order.contract)
            right = asked == (one.method, one.wallet, one.contract)
            found.append((order.id, right and one.settles))
    return found


def rejudge(connection: Connection, order_id: str, now_ms: int, effect: Effect) -> None:
    """Bring an order, its payments and their reviews to what `orders.judge` says of them."""
    order = order_book.fetch(connection, order_id, lock=True)
    rows = _payments_of(connection, order_id)
    holder = next((row for row in rows if row.role == "settling"), None)
    if holder is not None and holder.decision:
        # A person has decided which transfer settles it; later transfers go to review.
        judged = judge(order, [_candidate(row, decided=True) for row in rows])
        _keep_reviews(connection, rows, judged.causes, order_id, now_ms)
        return
    judged = judge(order, [_candidate(row, decided=bool(row.decision)) for row in rows])
    if holder is None or _key(holder) != judged.settling:
        _set_roles(connection, holder, judged.settling)
    if holder is None and judged.settling is not None:
        effect.settled += 1
    _keep_reviews(connection, rows, judged.causes, order_id, now_ms)
    if judged.state is None or judged.state not in TRANSITIONS[order.state]:
        return  # nothing has changed, or a person has decided about the present state
    if order.state not in SETTLED:
        advance(connection, order, judged.state, now_ms)
    else:
        order_book.change(connection, order, judged.state)


def advance(connection: Connection, order: Order, to: OrderState, now_ms: int) -> None:
    """Bring an order to a state that transfers, or a person, have decided, with what follows."""
    order_book.change(connection, order, to)
    if to not in SETTLED:
        say(connection, order, (str(to),), now_ms)
        return
    connection.execute(
        schema.entitlements.insert(),
        {"order_id": order.id, "granted_ms": now_ms, "expires_ms": now_ms + ENTITLED_MS},
    )
    # Messages about earlier states that were not sent yet are out of date.
    table = schema.outbox.c
    connection.execute(
        schema.outbox.update()
        .where(table.order_id == order.id, table.status == "due")
        .values(status="done", error="overtaken")
    )
    say(connection, order, (str(to), "delivery"), now_ms)


def say(connection: Connection, order: Order, kinds: Iterable[str], now_ms: int) -> None:
    """Put messages of these kinds into the outbox, each once an order."""
    table = schema.outbox.c
    said = set(connection.scalars(sa.select(table.kind).where(table.order_id == order.id)))
    rows = [
        {
            "order_id": order.id,
            "kind": kind,
            "channel": order.channel,
            "status": "due",
            "created_ms": now_ms,
            "due_ms": now_ms,
            "attempts": 0,
            "claim": "",
            "error": "",
        }
        for kind in kinds
        if kind not in said
    ]
    if rows:
        connection.execute(schema.outbox.insert(), rows)


def _payments_of(connection: Connection, order_id: str) -> Sequence[Any]:
    payments, reviews = schema.payments.c, schema.reviews.c
    return connection.execute(
        sa.select(
            schema.payments,
            sa.func.coalesce(reviews.decision, "").label("decision"),
            reviews.cause,
        )
        .join_from(
            schema.payments,
            schema.reviews,
            isouter=True,
        )
        .where(payments.order_id == order_id)
    ).all()


def _key(row: Any) -> PaymentKey:  # noqa: ANN401 - a row
    return PaymentKey(row.network, row.tx_id, row.position)


def _candidate(row: Any, *, decided: bool) -> TransferCandidate:  # noqa: ANN401 - a row
    return TransferCandidate(_key(row), row.amount, row.block_ms, decided, row.settles)


def _set_roles(connection: Connection, holder: Any, winner: PaymentKey | None) -> None:  # noqa: ANN401 - a row
    # First the old one: a unique index allows one settling payment for an order.
    if holder is not None:
        _set_role(connection, _key(holder), "review")
    if winner is not None:
        _set_role(connection, winner, "settling")


def _set_role(connection: Connection, key: PaymentKey, role: str) -> None:
    table = schema.payments.c
    connection.execute(
        schema.payments.update()
        .where(table.network == key.network, table.tx_id == key.tx_id)
        .where(table.position == key.position)
        .values(role=role)
    )


def _keep_reviews(
    connection: Connection,
    rows: Sequence[Any],
    causes: Mapping[PaymentKey, Cause],
    order_id: str,
    now_ms: int,
) -> None:
    # The cause of a review never changes: it depends on the transfer and the order alone.
    known = {_key(row) for row in rows if row.cause is not None}
    new = [
        _review(key, cause, order_id, now_ms) for key, cause in causes.items() if key not in known
    ]
    if new:
        connection.execute(schema.reviews.insert(), new)


def _review(key: PaymentKey, cause: Cause, order_id: str | None, now_ms: int) -> dict[str, object]:
    return {
        "subject": subject(key),
        "cause": str(cause),
        "order_id": order_id,
        "network": key.network,
        "tx_id": key.tx_id,
        "position": key.position,
        "opened_ms": now_ms,
        "status": "open",
        "decision": "",
        "decided_ms": None,
        "note": "",
        "refund_to": "",
        "refund_amount": None,
    }


def _row(one: Transfer, order_id: str | None, *, settles: bool, now_ms: int) -> dict[str, object]:
    return {
        "network": str(one.network),
        "tx_id": one.tx_id,
        "position": one.position,
        "method": str(one.method),
        "order_id": order_id,
        "wallet": one.wallet,
        "contract": one.contract,
        "sender": one.sender,
        "amount": one.amount,
        "block_ms": one.block_ms,
        "settles": settles,
        "role": "review",
        "recorded_ms": now_ms,
    }
