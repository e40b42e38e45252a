"""The ledger: everything about orders and payments that must not be forgotten, in one database.

    ledger = Ledger(shop.database_url)
    order = ledger.orders.create(NewOrder(...), shop.chain(network), now_ms())
    for message in ledger.outbox.claim("telegram", now_ms()): ...

All methods are synchronous and short; call them from a thread (see `database`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from actors.payments.ledger import schema, sums
from actors.payments.ledger.entitlements import Entitlements
from actors.payments.ledger.intake import Intake
from actors.payments.ledger.order_book import OrderBook
from actors.payments.ledger.outbox import MessageOutbox
from actors.payments.ledger.refunds import Refunds
from actors.payments.ledger.reviews import ReviewQueue
from actors.payments.ledger.signing_keys import SigningKeys
from actors.runtime.database import Database

if TYPE_CHECKING:
    import random

    from pydantic import SecretStr

    from actors.payments.ledger.sums import LedgerSums


class Ledger:
    """An open ledger; close it, or use it as a context manager.

    Attributes:
        database: the database that holds it.
        orders: makes and finds orders.
        entitlements: until when what orders bring can be fetched.
        intake: records what scans read.
        outbox: the messages that are owed to buyers.
        reviews: the queue of what a person decides.
        refunds: what is to go back, and what did.
        signing_keys: which key its links and licences are signed with.

    Raises:
        ConfigurationError: the database cannot be opened.
        Unavailable: it does not answer.
    """

    def __init__(self, url: SecretStr, rng: random.Random | None = None) -> None:
        self.database = Database(url, schema.TABLES)
        self.orders = OrderBook(self.database, rng)
        self.entitlements = Entitlements(self.database)
        self.intake = Intake(self.database)
        self.outbox = MessageOutbox(self.database)
        self.reviews = ReviewQueue(self.database)
        self.refunds = Refunds(self.database)
        self.signing_keys = SigningKeys(self.database)

    def report(self, *, since_ms: int = 0) -> LedgerSums:
        """See `sums.report`."""
        return sums.report(self.database, since_ms=since_ms)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
