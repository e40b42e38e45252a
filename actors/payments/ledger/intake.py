"""What scans write: sightings, transfers, the cursor, and what the progress of the chain ends.

Invariants: the effects of a page and the cursor that it justifies are one transaction; a cursor
only moves forward; what was written before, and is written again, changes nothing. Writers of one
account take the lock of its cursor first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.payments.chains.money import Method, Network
from actors.payments.chains.verdict import Reason
from actors.payments.ledger import (
    order_book,
    orders,
    other_tokens,
    queries,
    schema,
    settling,
)
from actors.payments.ledger.orders import OrderState, PaymentKey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from actors.payments.chains.verdict import OtherTokens, Sighting, Transfer
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.settling import Effect
    from actors.payments.shop import ShopChain
    from actors.runtime.database import Database

CATCH_UP_MS: Final = 2 * 60_000  # how far an index may lag behind its chain
OVERLAP_MS: Final = 5 * 60_000
"""An index of TRON may list a transfer so much after a later one."""
RETRY_MS: Final = 20_000
"""Until a receipt that is not solid is asked for again, at least; the older, the longer."""
MOST_FORMER: Final = 5  # wallets that the shop had before, read beside its own
_VANISHED: Final = str(Reason.VANISHED)
_RETRY_SHARE: Final = 10  # the pause is this part of the transaction's age


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an account's history was read.

    Attributes:
        network: the network that the account is on.
        account: as `Transfer.wallet`.
        position: block time of the newest row (TRON, ms), last logical time (TON); 0 at first.
        mark: mark of the last transaction (TON, see `TonTransaction.mark`), or "".
        chain_ms: time of the chain up to which everything was read.
        completed_ms: time at which a scan was last completed; 0 for never.
        jetton_wallet: the shop's own for USDT on TON, once it was found; or "".
        jetton_master: the master that it is of.
    """

    network: Network
    account: str
    position: int
    mark: str
    chain_ms: int
    completed_ms: int
    jetton_wallet: str
    jetton_master: str

    def jetton_wallet_of(self, master: str) -> str:
        """The shop's jetton wallet for the tokens of `master`, once it was found; or ""."""
        return self.jetton_wallet if master and self.jetton_master == master else ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transaction on TRON whose receipt is to be read.

    Attributes:
        tx_id: id of the transaction.
        matched: whether an order waits for it, or may be.
        block_ms: time of its block, as it was listed; if it was listed without, when that was.
        asked: number of times that its receipt was asked for and was not solid.
    """

    tx_id: str
    matched: bool
    block_ms: int
    asked: int


@dataclass(frozen=True, slots=True)
class RecordedTransfer:
    """A transfer as the ledger has it.

    Attributes:
        subject: its name in the review queue, if it is there.
        method: the coin or token.
        amount: amount in the smallest unit.
        order_id: the order that it names; None for none.
        settles: it pays that order; else a person decides, or has decided.
    """

    subject: str
    method: Method
    amount: int
    order_id: str | None
    settles: bool


class Intake:
    """The writing side of scans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, network: Network, account: str) -> Cursor:
        """The cursor of an account; at first it is at the beginning of the history."""
        with self._database.writing() as connection:
            row = _cursor(connection, network, account)
            if row is None:
                connection.execute(
                    schema.cursors.insert(),
                    {
                        "network": str(network),
                        "account": account,
                        "position": 0,
                        "mark": "",
                        "chain_ms": 0,
                        "completed_ms": 0,
                        "jetton_wallet": "",
                        "jetton_master": "",
                    },
                )
                row = _cursor(connection, network, account)
        return _cursor_of(row)

    def cursors(self) -> list[Cursor]:
        """All cursors."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(schema.cursors)).all()
        return [_cursor_of(row) for row in rows]

    def pin_jetton_wallet(self, cursor: Cursor, master: str, wallet: str) -> Cursor:
        """Remember the shop's jetton wallet of a master; the one that is remembered of it wins."""
        with self._database.writing() as connection:
            row = _cursor(connection, cursor.network, cursor.account, lock=True)
            if not _cursor_of(row).jetton_wallet_of(master):
                connection.execute(
                    schema.cursors.update()
                    .where(_is(cursor))
                    .values(jetton_wallet=wallet, jetton_master=master)
                )
            return _cursor_of(_cursor(connection, cursor.network, cursor.account))

    def note(
        self,
        cursor: Cursor,
        contract: str,
        sightings: Sequence[Sighting],
        now_ms: int,
        *,
        position: int | None = None,
        dust: int = 0,
    ) -> tuple[int, int]:
        """Note what a page of TRON's index lists; orders that it names are seen.

        Args:
            cursor: the cursor of the wallet.
            contract: contract of the token.
            sightings: the rows of the page.
            now_ms: the time.
            position: the new one, if the page justifies one.
            dust: amount below which nobody asks for the receipt of what no order waits for.

        Returns:
            How many transactions are new, and how many of them no order waits for, dust aside.
        """
        with self._database.writing() as connection:
            _cursor(connection, cursor.network, cursor.account, lock=True)
            new, unmatched = _note(connection, cursor, contract, sightings, now_ms, dust)
            if position is not None:
                _move(connection, cursor, position, "")
        return new, unmatched

    def waiting(self, cursor: Cursor, now_ms: int, *, limit: int) -> list[Waiting]:
        """Transactions whose receipts are due, longest due first of those with the same claim.

        First those that an order waits for, then those that may be anybody's, as the index names
        no amount of them.
        """
        table = schema.sightings.c
        matched = sa.func.max(
            sa.case((table.order_id.is_not(None), 2), (table.amount == 0, 1), else_=0)
        )
        block_ms = sa.func.max(table.block_ms)
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(
                    table.tx_id,
                    matched.label("matched"),
                    block_ms.label("block_ms"),
                    sa.func.max(table.asked).label("asked"),
                )
                .where(
                    _of(cursor),
                    table.status == "waiting",
                    # Or so late as only a clock can have said that was ahead, and is not any more.
                    sa.or_(table.next_ms <= now_ms, table.next_ms > now_ms + _pause_ms(now_ms)),
                )
                .group_by(table.tx_id)
                .order_by(matched.desc(), sa.func.max(table.next_ms), block_ms, table.tx_id)
                .limit(limit)
            ).all()
        return [Waiting(row.tx_id, bool(row.matched), row.block_ms, row.asked) for row in rows]

    def count_waiting(self, cursor: Cursor) -> int:
        """How many transactions' receipts are not read, or not solid, yet."""
        table = schema.sightings.c
        with self._database.reading() as connection:
            count = connection.scalar(
                sa.select(sa.func.count(sa.distinct(table.tx_id))).where(
                    _of(cursor), table.status == "waiting"
                )
            )
        return count or 0

    def postpone(self, cursor: Cursor, tx_id: str, now_ms: int) -> None:
        """Ask for a receipt later: it is not solid yet."""
        table = schema.sightings.c
        with self._database.writing() as connection:
            connection.execute(
                schema.sightings.update()
                .where(_of(cursor), table.tx_id == tx_id, table.status == "waiting")
                .values(next_ms=now_ms + _pause_ms(now_ms), asked=table.asked + 1)
            )

    def defer(self, cursor: Cursor, tx_id: str, now_ms: int) -> None:
        """Ask for a receipt that failed after all others that are due by now."""
        table = schema.sightings.c
        with self._database.writing() as connection:
            connection.execute(
                schema.sightings.update()
                .where(_of(cursor), table.tx_id == tx_id, table.status == "waiting")
                .values(next_ms=now_ms)
            )

    def refuse(self, cursor: Cursor, tx_id: str, reason: Reason) -> None:
        """Note that a receipt contradicts the index: nothing came; who was seen is not."""
        with self._database.writing() as connection:
            _cursor(connection, cursor.network, cursor.account, lock=True)
            _close_sighting(connection, cursor, tx_id, "refused", reason)
            _unsee(connection, cursor, tx_id)

    def settle(
        self,
        cursor: Cursor,
        tx_id: str,
        transfers: Sequence[Transfer],
        now_ms: int,
        *,
        dust: Mapping[Method, int] | None = None,
    ) -> Effect:
        """Record what a solid receipt of TRON says; `dust` as in `settling.record`."""
        with self._database.writing() as connection:
            _cursor(connection, cursor.network, cursor.account, lock=True)
            effect = settling.record(connection, transfers, now_ms, dust)
            _close_sighting(connection, cursor, tx_id, "read", "")
            _unsee(connection, cursor, tx_id)
        return effect

    def apply(
        self,
        cursor: Cursor,
        transfers: Sequence[Transfer],
        now_ms: int,
        *,
        position: int,
        mark: str,
        dust: Mapping[Method, int] | None = None,
        notices: Sequence[OtherTokens] = (),
    ) -> Effect:
        """Record a page of TON transactions that follows the cursor without a gap.

        `dust` is as in `settling.record`, `notices` as in `other_tokens.note`.
        """
        with self._database.writing() as connection:
            _cursor(connection, cursor.network, cursor.account, lock=True)
            effect = settling.record(connection, transfers, now_ms, dust)
            effect.review += other_tokens.note(connection, notices, now_ms)
            _move(connection, cursor, position, mark)
        return effect

    def bring_in(
        self,
        cursor: Cursor,
        transfers: Sequence[Transfer],
        now_ms: int,
        *,
        dust: Mapping[Method, int] | None = None,
        notices: Sequence[OtherTokens] = (),
    ) -> Effect:
        """Record transfers on TON out of their turn; the cursor stays.

        `dust` is as in `settling.record`, `notices` as in `other_tokens.note`.
        """
        with self._database.writing() as connection:
            _cursor(connection, cursor.network, cursor.account, lock=True)
            effect = settling.record(connection, transfers, now_ms, dust)
            effect.review += other_tokens.note(connection, notices, now_ms)
            return effect

    def recorded(self, network: Network, tx_ids: Sequence[str]) -> list[RecordedTransfer]:
        """What is in the ledger of these transactions."""
        table = schema.payments.c
        query = (
            sa.select(schema.payments)
            .where(table.network == str(network))
            .order_by(table.tx_id, table.position)
        )
        with self._database.reading() as connection:
            rows = list(queries.select_in(connection, query, table.tx_id, tx_ids))
        return [
            RecordedTransfer(
                settling.subject(PaymentKey(row.network, row.tx_id, row.position)),
                Method(row.method),
                row.amount,
                row.order_id,
                row.role in order_book.PAYS,
            )
            for row in rows
        ]

    def former_wallets(self, chain: ShopChain, now_ms: int) -> list[tuple[str, str]]:
        """Wallets that the shop had before and that may still be paid to, newest first.

        Args:
            chain: the chain as it is set now.
            now_ms: the time.

        Returns:
            Wallet and contract, at most `MOST_FORMER`, that orders name whose payment would still
            be recognised.
        """
        table = schema.orders.c
        methods = [method for method in Method if method.network is chain.network]
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(table.wallet, sa.func.max(table.contract).label("contract"))
                .where(
                    queries.one_of(table.method, methods),
                    table.wallet != chain.wallet,
                    table.reserved_until_ms >= now_ms,
                )
                .group_by(table.wallet)
                .order_by(sa.func.max(table.created_ms).desc(), table.wallet)
                .limit(MOST_FORMER)
            ).all()
        return [(row.wallet, row.contract) for row in rows]

    def end_unpayable(self, chains: Collection[ShopChain], now_ms: int) -> int:
        """End orders past their time whose wallet or token the shop does not take any more.

        Where no scan reads their history, only the clock can: they would be open for ever. How
        many.

        Args:
            chains: all chains of the shop.
            now_ms: the time.
        """
        table = schema.orders.c
        taken = [
            sa.and_(
                table.method == str(method),
                table.wallet == chain.wallet,
                table.contract == chain.contract_of(method),
            )
            for chain in chains
            for method in chain.methods
        ]
        waits = sa.and_(queries.one_of(table.state, orders.OPEN), table.expires_ms < now_ms)
        over = sa.and_(table.reserved, table.reserved_until_ms < now_ms)
        left = sa.and_(sa.not_(sa.or_(sa.false(), *taken)), sa.or_(waits, over))
        with self._database.reading() as connection:
            if not connection.scalar(sa.select(sa.exists().where(left))):
                return 0
        with self._database.writing() as connection:
            rows = connection.execute(
                sa.select(schema.orders).where(left).order_by(table.id).with_for_update()
            ).all()
            found = [order_book.order_of(row) for row in rows]
            ended = [one for one in found if orders.has_expired(one, now_ms)]
            for one in ended:
                settling.advance(connection, one, OrderState.EXPIRED, now_ms)
            connection.execute(
                schema.orders.update()
                .where(left, over)
                .values(reserved=False, version=table.version + 1)
            )
        return len(ended)

    def complete(self, cursors: Sequence[Cursor], chain_ms: int, now_ms: int) -> int:
        """Note that a scan came to its end; how many orders expired by it.

        Args:
            cursors: the cursors of one network; the first is of the wallet that orders are paid to.
            chain_ms: time of the chain, asked before the history was, up to which it is complete;
                0 when it is not known, and then nothing expires.
            now_ms: the time.
        """
        network = cursors[0].network
        with self._database.writing() as connection:
            for cursor in sorted(cursors, key=lambda one: one.account):
                row = _cursor(connection, network, cursor.account, lock=True)
                connection.execute(
                    schema.cursors.update()
                    .where(_is(cursor))
                    .values(
                        chain_ms=max(row.chain_ms, chain_ms),
                        completed_ms=max(row.completed_ms, now_ms),
                    )
                )
            if not chain_ms:
                return 0
            return _end(connection, cursors[0], chain_ms - CATCH_UP_MS, now_ms)


def _is(cursor: Cursor) -> sa.ColumnElement[bool]:
    table = schema.cursors.c
    return sa.and_(table.network == str(cursor.network), table.account == cursor.account)


def _pause_ms(now_ms: int) -> sa.ColumnElement[int]:
    """Until a receipt is asked for again that is not solid at `now_ms`."""
    age_ms = (now_ms - schema.sightings.c.block_ms) / _RETRY_SHARE
    return sa.cast(sa.case((age_ms > RETRY_MS, age_ms), else_=RETRY_MS), sa.BigInteger)


def _of(cursor: Cursor) -> sa.ColumnElement[bool]:
    table = schema.sightings.c
    return sa.and_(table.network == str(cursor.network), table.account == cursor.account)


def _cursor(connection: Connection, network: Network, account: str, *, lock: bool = False) -> Any:  # noqa: ANN401 - a row
    table = schema.cursors.c
    query = sa.select(schema.cursors).where(table.network == str(network), table.account == account)
    return connection.execute(query.with_for_update() if lock else query).first()


def _cursor_of(row: Any) -> Cursor:  # noqa: ANN401 - a row
    values = queries.fields(row)
    values["network"] = Network(values["network"])
    return Cursor(**values)


def _move(connection: Connection, cursor: Cursor, position: int, mark: str) -> None:
    # Another watcher may have read further meanwhile.
    connection.execute(
        schema.cursors.update()
        .where(_is(cursor), schema.cursors.c.position < position)
        .values(position=position, mark=mark)
    )


def _note(
    connection: Connection,
    cursor: Cursor,
    contract: str,
    sightings: Sequence[Sighting],
    now_ms: int,
    dust: int,
) -> tuple[int, int]:
    listed = {(one.tx_id, one.amount or 0): one for one in sightings}
    known = _known(connection, cursor, sightings)
    gone = {key for key, reason in known.items() if reason == _VANISHED}
    for tx_id in sorted({key[0] for key in gone & set(listed) if listed[key].confirmed}):
        _ask_again(connection, cursor, tx_id, now_ms)
    new = [one for key, one in listed.items() if key not in known]
    if not new:
        return 0, 0
    seen = _seen_by(connection, cursor, contract, new, now_ms)
    noted = [
        _waiting(cursor, one, order, now_ms, dust) for one, order in zip(new, seen, strict=True)
    ]
    connection.execute(schema.sightings.insert(), noted)
    _see(connection, {order.id for order in seen if order is not None}, now_ms)
    return len(new), _count_unmatched(noted)


def _count_unmatched(noted: Sequence[Mapping[str, object]]) -> int:
    """How many rows no order waits for, dust aside."""
    return sum(row["status"] == "waiting" and row["order_id"] is None for row in noted)


def _known(
    connection: Connection, cursor: Cursor, sightings: Sequence[Sighting]
) -> dict[tuple[str, int], str]:
    """Of the transactions of these, what is noted already: why it was refused, by id and amount."""
    table = schema.sightings.c
    query = sa.select(table.tx_id, table.amount, table.reason).where(_of(cursor))
    rows = queries.select_in(connection, query, table.tx_id, (one.tx_id for one in sightings))
    return {(row.tx_id, row.amount): row.reason for row in rows}


def _seen_by(
    connection: Connection, cursor: Cursor, contract: str, new: Sequence[Sighting], now_ms: int
) -> list[Order | None]:
    """Of each sighting, the order that it would pay."""
    amounts = {one.amount for one in new if one.amount is not None}
    named = settling.by_amount(connection, cursor.account, contract, amounts)
    return [settling.in_time(named.get(one.amount or 0, ()), one.block_ms or now_ms) for one in new]


def _see(connection: Connection, order_ids: set[str], now_ms: int) -> None:
    """Bring orders that are listed as paid to where their buyers hear of it."""
    for order_id in sorted(order_ids):
        order = order_book.fetch(connection, order_id, lock=True)
        if order.state is OrderState.NEW:
            settling.advance(connection, order, OrderState.SEEN, now_ms)


def _ask_again(connection: Connection, cursor: Cursor, tx_id: str, now_ms: int) -> None:
    """Take up again what was in no block for long, and is in one now."""
    table = schema.sightings.c
    connection.execute(
        schema.sightings.update()
        .where(_of(cursor), table.tx_id == tx_id, table.reason == _VANISHED)
        .values(status="waiting", reason="", next_ms=now_ms, asked=0)
    )


def _waiting(
    cursor: Cursor, one: Sighting, order: Order | None, now_ms: int, dust: int
) -> dict[str, object]:
    """The row of a sighting whose receipt is still to be read, if it is worth that."""
    return {
        "network": str(cursor.network),
        "account": cursor.account,
        "tx_id": one.tx_id,
        "amount": one.amount or 0,
        "order_id": None if order is None else order.id,
        "block_ms": one.block_ms or now_ms,
        # What names no amount may be any.
        "status": "dust" if order is None and 0 < (one.amount or 0) < dust else "waiting",
        "reason": "",
        "next_ms": now_ms,
        "asked": 0,
    }


def _close_sighting(
    connection: Connection, cursor: Cursor, tx_id: str, status: str, reason: str
) -> None:
    table = schema.sightings.c
    connection.execute(
        schema.sightings.update()
        .where(_of(cursor), table.tx_id == tx_id)
        .values(status=status, reason=str(reason))
    )


def _unsee(connection: Connection, cursor: Cursor, tx_id: str) -> None:
    """Put orders back that were seen by this closed transaction alone, and that it did not pay."""
    table = schema.sightings.c
    mine = connection.scalars(
        sa.select(table.order_id).where(
            _of(cursor), table.tx_id == tx_id, table.order_id.is_not(None)
        )
    ).all()
    for order_id in sorted(set(mine)):
        others = connection.scalar(
            sa.select(sa.func.count()).where(table.order_id == order_id, table.status == "waiting")
        )
        order = order_book.fetch(connection, order_id, lock=True)
        if order.state is OrderState.SEEN and not others:
            order_book.change(connection, order, OrderState.NEW)


def _end(connection: Connection, cursor: Cursor, chain_ms: int, now_ms: int) -> int:
    """Expire orders and free reservations whose time is over on the chain.

    What is paid is kept until a second payment of the buyer's would be late.
    """
    table = schema.orders.c
    # Those of other wallets are left to their own scans, or to `end_unpayable`.
    mine = table.wallet == cursor.account
    waiting = queries.one_of(table.state, orders.OPEN)
    paid = queries.one_of(table.state, orders.SETTLED)
    until = sa.case((paid, table.expires_ms), else_=table.reserved_until_ms)
    over = sa.and_(table.reserved, until < chain_ms)
    # Locked in the order that all transactions use, before the update would lock them in its own.
    rows = connection.execute(
        sa.select(schema.orders)
        .where(mine, sa.or_(over, sa.and_(waiting, table.expires_ms < chain_ms)))
        .order_by(table.id)
        .with_for_update()
    ).all()
    waited = (order_book.order_of(row) for row in rows)
    expired = [order for order in waited if orders.has_expired(order, chain_ms)]
    for order in expired:
        settling.advance(connection, order, OrderState.EXPIRED, now_ms)
    connection.execute(
        schema.orders.update().where(mine, over).values(reserved=False, version=table.version + 1)
    )
    return len(expired)
