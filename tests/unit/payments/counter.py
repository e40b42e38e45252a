"""One shop at one server whose chain can be changed, for many examples of a test; and what of the
chain's money is where in its ledger, told by the tables alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actors.payments import scan as scanning
from actors.payments.chains.money import Network
from actors.payments.ledger import schema
from actors.payments.ledger.orders import SETTLED, OrderState
from tests.unit.payments import ledgers
from tests.unit.payments.http_chain import Chains
from tests.unit.payments.shop import MINUTE, NOW, ton_chain, tron_chain

if TYPE_CHECKING:
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.scan import ScanResult
    from actors.payments.shop import ShopChain


class Counter:
    """The shop, on TRON, or on TON in one of the dialects of its APIs."""

    def __init__(
        self, ledger: Ledger, chains: Chains, url: str, network: Network = Network.TRON
    ) -> None:
        self.ledger = ledger
        self.chains = chains
        self.url = url
        self.network = network
        self.dialect = ""
        self.clock_ms = NOW + 5 * MINUTE

    def clear(self) -> Chains:
        """Begin again."""
        ledgers.wipe(self.ledger)
        self.chains.__dict__.update(Chains(head_ms=NOW + 5 * MINUTE).__dict__)
        self.clock_ms = NOW + 5 * MINUTE
        return self.chains

    def until(self, time_ms: int) -> None:
        """Let the chain and the clock come to a time."""
        self.chains.head_ms = self.clock_ms = time_ms

    def chain(self) -> ShopChain:
        """The shop's chain."""
        if self.network is Network.TRON:
            return tron_chain(self.url)
        return ton_chain(self.url + self.dialect)

    def scan(self, **kwargs: Any) -> ScanResult:
        """Scan once."""

        async def once() -> ScanResult:
            chain = self.chain()
            async with scanning.connect(chain) as api:
                api._pause_s = 0.001
                return await scanning.scan(
                    chain, self.ledger, api, clock=lambda: self.clock_ms, **kwargs
                )

        return asyncio.run(once())

    def state(self, one: Order) -> OrderState:
        """The state of an order."""
        return self.ledger.orders.get(one.id).state

    def recorded(self) -> set[str]:
        """The transactions that have a payment, or wait for their receipt where a person sees."""
        queued = {review.subject.split(":")[1] for review in self.ledger.reviews.listing(limit=999)}
        settled = {
            payment.tx_id
            for payment in ledgers.rows(self.ledger, schema.payments)
            if payment.role == "settling"
        }
        assert not queued & settled
        return queued | settled

    def places(self) -> dict[str, list[str]]:
        """Of each transaction in the ledger, where its money is; there must be one place."""
        found: dict[str, list[str]] = {}
        for payment in ledgers.rows(self.ledger, schema.payments):
            place = found.setdefault(payment.tx_id, [])
            if payment.role in {"settling", "part"}:
                place.append("settled")
            if payment.role == "dust":
                place.append("dust")
        for entry in ledgers.rows(self.ledger, schema.reviews):
            if entry.tx_id is not None and entry.decision != "accepted":
                found.setdefault(entry.tx_id, []).append("review")
        return found

    def check_heard(self) -> None:
        """Whoever paid has heard, or is owed, each state, and there is a next step for him."""
        ledgers.check(self.ledger)
        ledgers.check_told(self.ledger)
        said = ledgers.rows(self.ledger, schema.outbox)
        entries = ledgers.rows(self.ledger, schema.reviews)
        for one in self.ledger.orders.listing(limit=1000):
            kinds = {row.kind for row in said if row.order_id == one.id}
            mine = {entry.cause for entry in entries if entry.order_id == one.id}
            if one.state in SETTLED:
                assert kinds & {"confirmed", "overpaid"}
                assert "delivery" in kinds
            elif one.state is OrderState.PAID_LATE:
                assert "late" in mine
                assert "paid_late" in kinds
            elif one.state is OrderState.UNDERPAID:
                assert "underpaid" in mine & kinds
            else:
                assert one.state is OrderState.EXPIRED or not kinds - {"seen"}
                assert one.state is not OrderState.EXPIRED or "expired" in kinds
