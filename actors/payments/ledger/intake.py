"""What scans write: each step of a scan is one transaction.

Invariants: the effects of a page and the cursor that it justifies are one transaction; what was
written before, and is written again, changes nothing. Writers of one account take the lock of its
cursor first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from actors.payments.chains.money import Method
from actors.payments.ledger import (
    cursors,
    expiry,
    order_book,
    other_tokens,
    queries,
    schema,
    settling,
    sightings,
)
from actors.payments.ledger.orders import PaymentKey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from actors.payments.chains.money import Network
    from actors.payments.chains.verdict import OtherTokens, Reason, Sighting, Transfer
    from actors.payments.ledger.cursors import Cursor
    from actors.payments.ledger.settling import Effect
    from actors.payments.ledger.sightings import Waiting
    from actors.payments.shop import ShopChain
    from actors.runtime.database import Database

CATCH_UP_MS: Final = 2 * 60_000  # how far an index may lag behind its chain
MOST_FORMER: Final = 5  # wallets that the shop had before, read beside its own


@dataclass(frozen=True, slots=True)
class RecordedTransfer:
    """A transfer as the ledger has it.

    Attributes:
        subject: its name in the review queue, if it is there.
        method: the coin or token.
        amount: amount in the smallest unit.
        order_id: the order that it names; None for none.
        settles: it pays that order; else a person decides, or has decided, unless it is dust.
        is_dust: it names no order and is too small for a person to look at.
    """

    subject: str
    method: Method
    amount: int
    order_id: str | None
    settles: bool
    is_dust: bool


class Intake:
    """The writing side of scans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, network: Network, account: str) -> Cursor:
        """The cursor of an account; at first it is at the beginning of the history."""
        with self._database.writing() as connection:
            return cursors.begin(connection, network, account)

    def cursors(self) -> list[Cursor]:
        """All cursors."""
        with self._database.reading() as connection:
            return cursors.listing(connection)

    def pin_jetton_wallet(self, cursor: Cursor, master: str, wallet: str) -> Cursor:
        """Remember the shop's jetton wallet of a master; the one that is remembered of it wins."""
        with self._database.writing() as connection:
            return cursors.pin_jetton_wallet(connection, cursor, master, wallet)

    def note(
        self,
        cursor: Cursor,
        contract: str,
        listed: Sequence[Sighting],
        now_ms: int,
        *,
        position: int | None = None,
        dust: int = 0,
    ) -> tuple[int, int]:
        """Note what a page of TRON's index lists; orders that it names are seen.

        Args:
            cursor: the cursor of the wallet.
            contract: contract of the token.
            listed: the rows of the page.
            now_ms: the time.
            position: the new one, if the page justifies one.
            dust: amount below which nobody asks for the receipt of what no order waits for.

        Returns:
            How many transactions are new, and how many of them no order waits for, dust aside.
        """
        with self._database.writing() as connection:
            cursors.lock(connection, cursor)
            new, unmatched = sightings.note(connection, cursor, contract, listed, now_ms, dust)
            if position is not None:
                cursors.move(connection, cursor, position, "")
        return new, unmatched

    def waiting(self, cursor: Cursor, now_ms: int, *, limit: int) -> list[Waiting]:
        """Transactions whose receipts are due, longest due first of those with the same claim.

        First those that an order waits for, then those that may be anybody's, as the index names
        no amount of them.
        """
        with self._database.reading() as connection:
            return sightings.due(connection, cursor, now_ms, limit=limit)

    def count_waiting(self, cursor: Cursor) -> int:
        """How many transactions' receipts are not read, or not solid, yet."""
        with self._database.reading() as connection:
            return sightings.count_waiting(connection, cursor)

    def postpone(self, cursor: Cursor, tx_id: str, now_ms: int) -> None:
        """Ask for a receipt later: it is not solid yet."""
        with self._database.writing() as connection:
            sightings.postpone(connection, cursor, tx_id, now_ms)

    def defer(self, cursor: Cursor, tx_id: str, now_ms: int) -> None:
        """Ask for a receipt that failed after all others that are due by now."""
        with self._database.writing() as connection:
            sightings.defer(connection, cursor, tx_id, now_ms)

    def refuse(self, cursor: Cursor, tx_id: str, reason: Reason) -> None:
        """Note that a receipt contradicts the index: nothing came; who was seen is not."""
        with self._database.writing() as connection:
            cursors.lock(connection, cursor)
            sightings.close(connection, cursor, tx_id, "refused", str(reason))

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
            cursors.lock(connection, cursor)
            effect = settling.record(connection, transfers, now_ms, dust)
            sightings.close(connection, cursor, tx_id, "read")
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
            cursors.lock(connection, cursor)
            effect = settling.record(connection, transfers, now_ms, dust)
            effect.review += other_tokens.note(connection, notices, now_ms)
            cursors.move(connection, cursor, position, mark)
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
            cursors.lock(connection, cursor)
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
                row.role == "dust",
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
        with self._database.reading() as connection:
            left = sa.exists().where(expiry.unpayable(chains, now_ms))
            if not connection.scalar(sa.select(left)):
                return 0  # nothing is written where there is nothing to end
        with self._database.writing() as connection:
            return expiry.end_unpayable(connection, chains, now_ms)

    def complete(self, read: Sequence[Cursor], chain_ms: int, now_ms: int) -> int:
        """Note that a scan came to its end; how many orders expired by it.

        Args:
            read: the cursors of one network; the first is of the wallet that orders are paid to.
            chain_ms: time of the chain, asked before the history was, up to which it is complete;
                0 when it is not known, and then nothing expires.
            now_ms: the time.
        """
        with self._database.writing() as connection:
            cursors.complete(connection, read, chain_ms, now_ms)
            if not chain_ms:
                return 0
            return expiry.end_unpaid(connection, read[0], chain_ms - CATCH_UP_MS, now_ms)
