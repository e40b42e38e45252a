"""Orders in the ledger: made once a request, found again.

Invariants: a request makes one order however often it is repeated, and nobody gets another's by
repeating it with other words; a new TRON order asks for an amount that no live reservation has, and
that no unpaid order of this amount could still be paid with; one recipient has few open orders,
and keeps few amounts from others by orders that it never paid; an order whose wallet nobody reads
any more ends with its time and locks nobody out.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from actors.payments.chains.money import Method
from actors.payments.errors import DamagedRecord, InvalidTransition, OrdersFull, UnknownOrder
from actors.payments.ledger import amount_tails, orders, queries, schema
from actors.payments.ledger.orders import Delivers, Order, OrderState
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection, Row

    from actors.payments.catalogue import ShopPlan
    from actors.payments.chains.money import Network
    from actors.payments.shop import ShopChain
    from actors.runtime.database import Database

WINDOW_MS: Final = 45 * 60_000  # how long an order may be paid, by default
RESERVED_MS: Final = 24 * 3_600_000  # how long after that a late payment is still recognised
MAX_OPEN: Final = 5  # most unpaid orders of one recipient
MAX_KEPT: Final = 20
"""Amounts on TRON that are kept for unpaid orders of one recipient, the expired ones included: they
are kept for a day, so that otherwise a few buyers could take all of a price for everybody."""
MAX_UNNAMED: Final = 20_000
"""Amounts of one price that are kept for unpaid orders without a recipient, so that whoever opens
those leaves more than half of all amounts to the others."""
PAYS: Final = ("settling", "part")
"""Roles of payments that an order is paid by."""
_ATTEMPTS: Final = 20  # attempts at a free amount, as others may take it at the same time
_MAX_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What somebody asks for.

    Attributes:
        request: a key of the caller's for this request, 1 to 128 characters.
        plan: a plan of the catalogue.
        method: how it is to be paid.
        channel: "telegram" or "pull".
        recipient: whom messages go to, up to 64 characters.
        language: language of the messages to the buyer.
    """

    request: str
    plan: ShopPlan
    method: Method
    channel: str
    recipient: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class ReceivedPayment:
    """A transfer that is taken for an order's.

    Attributes:
        tx_id: id of its transaction.
        method: the coin or token that came, which may be another than was asked for.
        sender: as `Transfer.sender`.
        amount: amount in the smallest unit.
        block_ms: time of its block, ms since the Unix epoch.
        settles: it pays the order, or a part of it; else it waits for a person, or a person has
            decided.
    """

    tx_id: str
    method: Method
    sender: str
    amount: int
    block_ms: int
    settles: bool


class OrderBook:
    """The orders.

    Args:
        database: the ledger's database.
        rng: draws the tails of amounts.
    """

    def __init__(self, database: Database, rng: random.Random | None = None) -> None:
        self._database = database
        self._rng = rng or random.SystemRandom()

    def create(self, new: NewOrder, chain: ShopChain, now_ms: int) -> Order:
        """The order that `new.request` has made, or makes now.

        Raises:
            UnknownPlan: the plan cannot be paid with that method.
            Conflict: the request has made an order for something or somebody else.
            OrdersFull: the recipient has too many open, or no amount is left for this price.
        """
        price = new.plan.price(new.method)
        for _ in range(_ATTEMPTS):
            try:
                with self._database.writing() as connection:
                    return self._create(connection, new, chain, price, now_ms)
            except IntegrityError:  # another process took the amount, or answered the request
                continue
        raise OrdersFull("others order at the same moment", retry_after_s=1.0)

    def _create(
        self, connection: Connection, new: NewOrder, chain: ShopChain, price: int, now_ms: int
    ) -> Order:
        made = connection.execute(
            sa.select(schema.orders).where(schema.orders.c.request == new.request)
        ).first()
        if made is not None:
            return _repeated(order_of(made), new)
        _check_open(connection, new, now_ms)
        contract = chain.contract_of(new.method)
        amount = price
        if new.method is Method.TRON:
            _check_unnamed(connection, new, chain.wallet, price, now_ms)
            amount = self._tail(connection, chain, contract, price, now_ms)
        order = Order(
            id=orders.new_id(),
            request=new.request,
            plan=new.plan.id,
            delivers=new.plan.delivers,
            method=new.method,
            wallet=chain.wallet,
            contract=contract,
            price=price,
            amount=amount,
            comment="" if new.method is Method.TRON else orders.new_comment(),
            channel=new.channel,
            recipient=new.recipient,
            language=new.language,
            created_ms=now_ms,
            expires_ms=now_ms + chain.window_ms,
            reserved_until_ms=now_ms + chain.window_ms + RESERVED_MS,
            reserved=True,
            state=OrderState.NEW,
            version=0,
            tolerance=chain.tolerated(new.method, price),
        )
        connection.execute(schema.orders.insert(), _values(order))
        return order

    def _tail(
        self, connection: Connection, chain: ShopChain, contract: str, price: int, now_ms: int
    ) -> int:
        table = schema.orders.c
        rows = connection.execute(
            sa.select(table.amount, _is_kept(now_ms).label("kept")).where(
                table.wallet == chain.wallet,
                table.contract == contract,
                table.amount.between(price, price + amount_tails.LARGEST),
                sa.or_(_is_kept(now_ms), table.reserved_until_ms >= now_ms),
            )
        ).all()
        taken = {row.amount for row in rows if row.kept}
        used = {row.amount for row in rows if not row.kept}
        amount = amount_tails.draw(price, taken, self._rng, used=used)
        if amount is None:
            raise OrdersFull(
                f"all {amount_tails.count(price)} amounts of this price are taken",
                retry_after_s=600.0,
            )
        return amount

    def get(self, order_id: str) -> Order:
        """The order of that id.

        Raises:
            UnknownOrder: there is no such order.
        """
        with self._database.reading() as connection:
            return fetch(connection, order_id)

    def payments(self, order_id: str) -> list[ReceivedPayment]:
        """What came in for an order, in the order of the chain; empty for one that is unknown."""
        table = schema.payments.c
        query = (
            sa.select(schema.payments)
            .where(table.order_id == order_id)
            .order_by(table.block_ms, table.tx_id, table.position)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return queries.readable(rows, _received_payment)

    def received(self, order: Order) -> int:
        """See the function `received`."""
        with self._database.reading() as connection:
            return received(connection, order)

    def entitled_until_ms(self, order_id: str) -> int | None:
        """Until when what the order brings can be fetched; None while it is not paid."""
        table = schema.entitlements.c
        with self._database.reading() as connection:
            until: int | None = connection.scalar(
                sa.select(table.expires_ms).where(table.order_id == order_id)
            )
        return until

    def paid_since(self, network: Network, after_ms: int) -> list[Order]:
        """The orders of a chain that got their payment after a time.

        Args:
            network: the chain.
            after_ms: the time, in ms since the Unix epoch.
        """
        granted, table = schema.entitlements.c.granted_ms, schema.orders.c
        methods = [method for method in Method if method.network is network]
        query = (
            sa.select(schema.orders)
            .join_from(schema.orders, schema.entitlements)
            .where(granted > after_ms, queries.one_of(table.method, methods))
            .order_by(granted)
            .limit(_MAX_LISTED)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return queries.readable(rows, order_of)

    def listing(
        self,
        *,
        states: Collection[OrderState] = (),
        channel: str | None = None,
        recipient: str | None = None,
        limit: int = 100,
    ) -> list[Order]:
        """Orders, newest first.

        Args:
            states: the states to list; empty for all.
            channel: the channel to list; None for all.
            recipient: the recipient to list; None for all.
            limit: most orders to return, up to 1000.
        """
        table = schema.orders.c
        query = sa.select(schema.orders).order_by(table.created_ms.desc(), table.id)
        if states:
            query = query.where(queries.one_of(table.state, states))
        if channel is not None:
            query = query.where(table.channel == channel)
        if recipient is not None:
            query = query.where(table.recipient == recipient)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(min(limit, _MAX_LISTED))).all()
        return queries.readable(rows, order_of)


def _received_payment(row: Row[Any]) -> ReceivedPayment:
    record = f"transfer {row.network}:{row.tx_id}"
    queries.sound(row, schema.payments, record)
    if row.method not in set(Method):
        raise DamagedRecord(record, f"{row.method!r} is no way to pay")
    return ReceivedPayment(
        row.tx_id, Method(row.method), row.sender, row.amount, row.block_ms, row.role in PAYS
    )


def _repeated(made: Order, new: NewOrder) -> Order:
    recipient = new.recipient or made.recipient  # a repeated request may leave the recipient out
    wanted = (new.plan.id, new.method, new.channel, recipient)
    if (made.plan, made.method, made.channel, made.recipient) != wanted:
        raise Conflict(
            f"request {new.request!r} makes no other order",
            "it has made one for another plan, method or recipient",
            "Use a key of its own for each order that is wanted.",
        )
    return made


def _check_open(connection: Connection, new: NewOrder, now_ms: int) -> None:
    if not new.recipient:
        return
    table = schema.orders.c
    mine = sa.and_(table.channel == new.channel, table.recipient == new.recipient)
    count = sa.select(sa.func.count()).where(mine)
    opened = connection.scalar(count.where(queries.one_of(table.state, orders.OPEN)))
    if (opened or 0) >= MAX_OPEN:
        raise OrdersFull(f"{MAX_OPEN} orders wait for their payment", retry_after_s=600.0)
    if new.method is not Method.TRON:
        return
    unpaid = sa.not_(queries.one_of(table.state, orders.SETTLED))
    kept = connection.scalar(
        count.where(table.method == str(Method.TRON), unpaid, _is_kept(now_ms))
    )
    if (kept or 0) >= MAX_KEPT:
        raise OrdersFull(f"{MAX_KEPT} orders of a day were not paid", retry_after_s=3600.0)


def _check_unnamed(
    connection: Connection, new: NewOrder, wallet: str, price: int, now_ms: int
) -> None:
    if new.recipient:
        return
    table = schema.orders.c
    kept = connection.scalar(
        sa.select(sa.func.count()).where(
            table.wallet == wallet,
            table.amount.between(price, price + amount_tails.LARGEST),
            table.recipient == "",
            sa.not_(queries.one_of(table.state, orders.SETTLED)),
            _is_kept(now_ms),
        )
    )
    if (kept or 0) >= MAX_UNNAMED:
        raise OrdersFull(
            f"{MAX_UNNAMED} orders of this price without a recipient were not paid",
            retry_after_s=600.0,
        )


def _is_kept(now_ms: int) -> sa.ColumnElement[bool]:
    """Whether an order's amount is kept from others: until its time is over, if it was paid."""
    table = schema.orders.c
    # A reservation may be over by the clock and not yet by the chain as far as it was read. A
    # payment may then still be found, so the amount stays taken.
    paid = queries.one_of(table.state, orders.SETTLED)
    until = sa.case((paid, table.expires_ms), else_=table.reserved_until_ms)
    return sa.or_(table.reserved, until >= now_ms)


def fetch(connection: Connection, order_id: str, *, lock: bool = False) -> Order:
    """The order of that id, in a transaction; `lock` keeps others from changing it.

    Raises:
        UnknownOrder: there is no such order.
        DamagedRecord: its record cannot be read.
    """
    query = sa.select(schema.orders).where(schema.orders.c.id == order_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise UnknownOrder(order_id)
    return order_of(row)


def received(connection: Connection, order: Order) -> int:
    """What pays an order, or came in time and counts towards its amount, in the smallest unit."""
    payments, reviews = schema.payments.c, schema.reviews.c
    waits = sa.and_(
        reviews.status == "open", payments.settles, payments.block_ms <= order.expires_ms
    )
    found = connection.scalar(
        sa.select(sa.func.sum(payments.amount))
        .join_from(schema.payments, schema.reviews, isouter=True)
        .where(
            payments.order_id == order.id,
            payments.method == str(order.method),
            payments.contract == order.contract,
            sa.or_(payments.role.in_(PAYS), waits),
        )
    )
    return int(found or 0)


def change(connection: Connection, order: Order, to: OrderState) -> Order:
    """Bring `order`, as it was read, to another state; what it is then.

    Raises:
        InvalidTransition: the state machine does not allow it, or the order was changed meanwhile.
    """
    orders.check(order, to)
    table = schema.orders.c
    changed = connection.execute(
        schema.orders.update()
        .where(table.id == order.id, table.version == order.version)
        .values(state=str(to), version=order.version + 1)
    )
    if changed.rowcount != 1:
        raise InvalidTransition(order.id, "changed by another", to)
    return replace(order, state=to, version=order.version + 1)


def change_all(connection: Connection, changed: Sequence[Order], to: OrderState) -> None:
    """Bring orders that this transaction has locked to another state, in a few statements.

    Raises:
        InvalidTransition: the state machine does not allow it.
    """
    for order in changed:
        orders.check(order, to)
    table = schema.orders.c
    change = schema.orders.update().values(state=str(to), version=table.version + 1)
    for some in queries.chunks(order.id for order in changed):
        connection.execute(change.where(table.id.in_(some)))


def order_of(row: Row[Any]) -> Order:
    """The order that a row of the table holds.

    Raises:
        DamagedRecord: it holds none.
    """
    record = f"order {row.id}"
    values = queries.sound(row, schema.orders, record)
    delivers = Delivers(values.pop("delivers"), values.pop("file"))
    try:
        values["method"] = Method(values["method"])
        values["state"] = OrderState(values["state"])
    except ValueError as error:
        raise DamagedRecord(record, str(error)) from None
    return Order(delivers=delivers, **values)


def _values(order: Order) -> dict[str, object]:
    values = asdict(order)
    delivers = values.pop("delivers")
    return {**values, "delivers": delivers["kind"], "file": delivers["file"]}
