"""Transfers become payments, and payments settle orders: in one transaction with all its effects.

For each transfer that is new: the payment; for the order it names: its state by `orders.judge`, its
entitlement and its messages; for what does not settle: an entry in the review queue, of which the
buyer is told; what names no order and is less than the bound of dust is counted and nothing more.
The caller holds the lock of the network's cursor, so transfers are recorded by one at a time.
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
    Judgement,
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
MAX_COMMENT: Final = 120  # characters of a transfer's comment that are kept
# Of states that a transfer brings, the buyer is told with that transfer.
_TOLD_OF_TRANSFERS: Final = frozenset({OrderState.PAID_LATE, OrderState.UNDERPAID})
_OVERTAKEN: Final = ("seen", "expired", "paid_late", "underpaid")
"""Messages that are out of date once the order is paid."""


@dataclass(slots=True)
class Effect:
    """What one transaction did.

    Attributes:
        new: transfers that were not known.
        settled: orders that got their payment.
        review: entries that are new in the queue.
        dust: transfers that were counted and nothing more.
    """

    new: int = 0
    settled: int = 0
    review: int = 0
    dust: int = 0


def subject(key: PaymentKey) -> str:
    """Name of a payment in the review queue."""
    return f"{key.network}:{key.tx_id}:{key.position}"


def excess_subject(order_id: str) -> str:
    """Name of what an order was paid beyond what was asked, in the review queue."""
    return f"excess:{order_id}"


def record(
    connection: Connection,
    transfers: Sequence[Transfer],
    now_ms: int,
    dust: Mapping[Method, int] | None = None,
) -> Effect:
    """Record `transfers`, of one network, and all that follows from them.

    Args:
        connection: a writing transaction.
        transfers: transfers that the chain confirms.
        now_ms: the time.
        dust: amount below which a transfer that names no order is not queued, by method.
    """
    effect = Effect()
    keys = {(one.tx_id, one.position): one for one in transfers}
    for known in _known(connection, transfers):
        keys.pop(known, None)
    new = list(keys.values())
    if not new:
        return effect
    effect.new = len(new)
    rows, unmatched = [], []
    touched: set[str] = set()
    for one, (order_id, settles) in zip(new, match(connection, new), strict=True):
        is_dust = order_id is None and one.amount < (dust or {}).get(one.method, 0)
        role = "dust" if is_dust else "review"
        rows.append(_row(one, order_id, settles=settles, role=role, now_ms=now_ms))
        effect.dust += is_dust
        if order_id is not None:
            touched.add(order_id)
        elif not is_dust:
            key = PaymentKey(one.network, one.tx_id, one.position)
            unmatched.append(review(key, Cause.UNMATCHED, None, now_ms))
    connection.execute(schema.payments.insert(), rows)
    if unmatched:
        connection.execute(schema.reviews.insert(), unmatched)
    effect.review += len(unmatched)
    # Orders are locked in ascending order of id everywhere, so that transactions cannot deadlock.
    for order_id in sorted(touched):
        rejudge(connection, order_id, now_ms, effect)
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
        same = named.get(one.amount, ())
        order = in_time(same, one.block_ms)
        if order is None:
            found.append((None, one.settles))
        else:
            repeats = _may_repeat(connection, one, [other for other in same if other != order])
            found.append((order.id, one.settles and not repeats))
    return found


def _may_repeat(connection: Connection, one: Transfer, others: Sequence[Order]) -> bool:
    """Whether a transfer may be a second payment of another order, of the same amount.

    An amount that was paid is asked for again when no other is left. Who paid it before may pay it
    once more by mistake, and then the later order is not paid: a person decides.
    """
    paid = [
        other.id
        for other in others
        if other.state in SETTLED and other.created_ms <= one.block_ms <= other.reserved_until_ms
    ]
    if not paid:
        return False
    table = schema.payments.c
    by_sender = sa.exists().where(
        table.order_id.in_(paid), table.role.in_(order_book.PAYS), table.sender == one.sender
    )
    return bool(connection.scalar(sa.select(by_sender)))


def by_amount(
    connection: Connection, wallet: str, contract: str, amounts: Iterable[int]
) -> dict[int, list[Order]]:
    """TRON orders by the amount that they ask for."""
    table = schema.orders.c
    query = sa.select(schema.orders).where(
        table.method == str(Method.TRON), table.wallet == wallet, table.contract == contract
    )
    named: dict[int, list[Order]] = {}
    rows = queries.select_in(connection, query, table.amount, amounts)
    for order in queries.readable(rows, order_book.order_of):
        named.setdefault(order.amount, []).append(order)
    return named


def in_time(candidates: Iterable[Order], block_ms: int) -> Order | None:
    """The one of several orders for one amount whose reservation holds at a block's time.

    The order's time is the shop's, which may be a little ahead of the chain's. An amount that was
    paid may have been asked for again since: the latest order is meant.
    """
    orders = sorted(candidates, key=lambda one: (one.created_ms, one.id), reverse=True)
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
    named = {one.comment: one for one in queries.readable(rows, order_book.order_of)}
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
        # A person has decided which transfers settle it; later transfers go to review.
        judged = judge(order, [_candidate(order, row, decided=True) for row in rows])
        effect.review += _keep_reviews(connection, order, rows, judged.causes, now_ms)
        return
    judged = judge(order, [_candidate(order, row, decided=bool(row.decision)) for row in rows])
    _set_roles(connection, rows, judged)
    if holder is None and judged.settling is not None:
        effect.settled += 1
    order = _follow(connection, order, judged, now_ms)
    effect.review += _keep_reviews(connection, order, rows, judged.causes, now_ms)
    if judged.settling is not None:
        keep_excess(connection, order, judged.excess, now_ms)


def _follow(connection: Connection, order: Order, judged: Judgement, now_ms: int) -> Order:
    """Bring an order to the state that its transfers give it; what it is then."""
    to = judged.state
    if to is None and order.state in _TOLD_OF_TRANSFERS:
        to = OrderState.CLOSED  # what it was paid with is another order's by now
    if to is None or to not in TRANSITIONS[order.state]:
        return order  # nothing has changed, or a person has decided about the present state
    if order.state in SETTLED:
        order = order_book.change(connection, order, to)
        say(connection, order, (str(to),), now_ms)
        return order
    return advance(connection, order, to, now_ms)


def advance(connection: Connection, order: Order, to: OrderState, now_ms: int) -> Order:
    """Bring an order to a state that transfers, or a person, have decided, with what follows."""
    order = order_book.change(connection, order, to)
    if to not in SETTLED:
        if to not in _TOLD_OF_TRANSFERS | {OrderState.CLOSED}:
            say(connection, order, (str(to),), now_ms)
        return order
    connection.execute(
        schema.entitlements.insert(),
        {"order_id": order.id, "granted_ms": now_ms, "expires_ms": now_ms + ENTITLED_MS},
    )
    table = schema.outbox.c
    connection.execute(
        schema.outbox.update()
        .where(table.order_id == order.id, table.status == "due", table.kind.in_(_OVERTAKEN))
        .values(status="done", error="overtaken")
    )
    say(connection, order, (str(to), "delivery"), now_ms)
    return order


def keep_excess(connection: Connection, order: Order, excess: int, now_ms: int) -> None:
    """Keep the entry about what a settled order was paid beyond what was asked.

    One that a person has decided about stays as it was decided.
    """
    table, name = schema.reviews.c, excess_subject(order.id)
    known = connection.scalar(sa.select(table.status).where(table.subject == name))
    mine = sa.and_(table.subject == name, table.status == "open")
    if not excess:
        connection.execute(schema.reviews.delete().where(mine))
    elif known is None:
        entry = review(None, Cause.OVERPAID, order.id, now_ms)
        connection.execute(schema.reviews.insert(), {**entry, "subject": name, "amount": excess})
        say(connection, order, ("overpaid",), now_ms)
    else:
        connection.execute(schema.reviews.update().where(mine).values(amount=excess))


def say(
    connection: Connection,
    order: Order,
    kinds: Iterable[str],
    now_ms: int,
    *,
    about: str = "",
    again: bool = False,
) -> None:
    """Put messages of these kinds into the outbox, each once an order and review.

    Args:
        connection: a writing transaction.
        order: the order whose buyer is told.
        kinds: kinds of the messages.
        now_ms: the time.
        about: subject of the review that they tell of; empty for the order as a whole.
        again: say also what was said before, because it has changed.
    """
    table = schema.outbox.c
    mine = sa.and_(table.order_id == order.id, table.about == about)
    said = set(connection.scalars(sa.select(table.kind).where(mine)))
    rows = [_message(order, kind, now_ms, about) for kind in kinds if kind not in said]
    if rows:
        connection.execute(schema.outbox.insert(), rows)
    if again and said:
        connection.execute(
            schema.outbox.update()
            .where(mine, queries.one_of(table.kind, said & set(kinds)))
            .values(status="due", due_ms=now_ms, attempts=0, claim="", error="")
        )


def say_to_all(connection: Connection, orders: Sequence[Order], kind: str, now_ms: int) -> None:
    """Put a message of this kind into the outbox of each of these orders, once an order."""
    table = schema.outbox.c
    query = sa.select(table.order_id).where(table.kind == kind, table.about == "")
    found = queries.select_in(connection, query, table.order_id, (order.id for order in orders))
    said = {row.order_id for row in found}
    rows = [_message(order, kind, now_ms, "") for order in orders if order.id not in said]
    if rows:
        connection.execute(schema.outbox.insert(), rows)


def _message(order: Order, kind: str, now_ms: int, about: str) -> dict[str, object]:
    return {
        "order_id": order.id,
        "kind": kind,
        "channel": order.channel,
        "status": "due",
        "created_ms": now_ms,
        "due_ms": now_ms,
        "attempts": 0,
        "claim": "",
        "error": "",
        "about": about,
    }


def _payments_of(connection: Connection, order_id: str) -> Sequence[Any]:
    payments, reviews = schema.payments.c, schema.reviews.c
    rows = connection.execute(
        sa.select(
            schema.payments,
            sa.func.coalesce(reviews.decision, "").label("decision"),
            reviews.cause,
        )
        .join_from(schema.payments, schema.reviews, isouter=True)
        .where(payments.order_id == order_id)
    ).all()
    for row in rows:  # what settles an order is not judged by half of its transfers
        queries.sound(row, schema.payments, f"transfer {row.network}:{row.tx_id}")
    return rows


def _key(row: Any) -> PaymentKey:  # noqa: ANN401 - a row
    return PaymentKey(row.network, row.tx_id, row.position)


def _candidate(order: Order, row: Any, *, decided: bool) -> TransferCandidate:  # noqa: ANN401 - a row
    asked = (order.method, order.wallet, order.contract) == (row.method, row.wallet, row.contract)
    return TransferCandidate(_key(row), row.amount, row.block_ms, decided, row.settles, asked)


def _set_roles(connection: Connection, rows: Iterable[Any], judged: Judgement) -> None:
    roles = dict.fromkeys(judged.parts, "part")
    if judged.settling is not None:
        roles[judged.settling] = "settling"
    changed = [
        (_key(row), role) for row in rows if (role := roles.get(_key(row), "review")) != row.role
    ]
    # The settling one last: a unique index allows one for an order.
    for key, role in sorted(changed, key=lambda one: one[1] == "settling"):
        set_role(connection, key, role)


def set_role(connection: Connection, key: PaymentKey, role: str, **values: object) -> None:
    """Give a payment its role in the ledger, and other values."""
    table = schema.payments.c
    connection.execute(
        schema.payments.update()
        .where(table.network == key.network, table.tx_id == key.tx_id)
        .where(table.position == key.position)
        .values(role=role, **values)
    )


def _keep_reviews(
    connection: Connection,
    order: Order,
    rows: Sequence[Any],
    causes: Mapping[PaymentKey, Cause],
    now_ms: int,
) -> int:
    """Queue what does not settle, take out what does by now; how many entered the queue."""
    table = schema.reviews.c
    for row in rows:
        if row.cause is not None and _key(row) not in causes:
            connection.execute(
                schema.reviews.delete().where(
                    table.subject == subject(_key(row)), table.status == "open"
                )
            )
    # The cause of a review never changes: it depends on the transfer and the order alone.
    known = {_key(row) for row in rows if row.cause is not None}
    new = {key: cause for key, cause in causes.items() if key not in known}
    if new:
        connection.execute(
            schema.reviews.insert(),
            [review(key, cause, order.id, now_ms) for key, cause in new.items()],
        )
    for key, cause in new.items():
        say(connection, order, (told(order, cause),), now_ms, about=subject(key))
    return len(new)


def told(order: Order, cause: Cause) -> str:
    """The kind of the message that tells the buyer of a transfer in review."""
    if cause in {Cause.UNDERPAID, Cause.LATE} and order.state in SETTLED:
        return str(Cause.DUPLICATE)  # whatever else it is, its order needs it no more
    return str(OrderState.PAID_LATE if cause is Cause.LATE else cause)


def review(
    key: PaymentKey | None, cause: Cause, order_id: str | None, now_ms: int
) -> dict[str, object]:
    """The row of a new entry in the review queue; without a payment, its subject is still open."""
    return {
        "subject": "" if key is None else subject(key),
        "cause": str(cause),
        "order_id": order_id,
        "network": None if key is None else key.network,
        "tx_id": None if key is None else key.tx_id,
        "position": None if key is None else key.position,
        "opened_ms": now_ms,
        "status": "open",
        "decision": "",
        "decided_ms": None,
        "note": "",
        "refund_to": "",
        "refund_amount": None,
    }


def _row(
    one: Transfer, order_id: str | None, *, settles: bool, role: str, now_ms: int
) -> dict[str, object]:
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
        "role": role,
        "recorded_ms": now_ms,
        "comment": printable(one.comment),
    }


def printable(text: str) -> str:
    """What is kept of a text that anybody may have sent: no NUL, no control of a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:MAX_COMMENT])
