"""Each way to pay, through the sandbox's HTTP and the product's own scanner, to its right end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.payments.chains.money import Method, Network
from actors.payments.ledger.orders import Cause, OrderState
from actors.payments.ledger.sightings import RETRY_MS
from actors.payments.sandbox.faults import Fault, FaultPlan
from actors.payments.sandbox.kinds import APPLIES, Payment, PaymentKind
from tests.unit.payments import sandboxed

if TYPE_CHECKING:
    from pathlib import Path

TRON, TON, USDT = Method.TRON, Method.TON, Method.TON_USDT
NOT_PAID = (OrderState.NEW, ())
EXPECTED: dict[tuple[Method, PaymentKind], tuple[OrderState, tuple[Cause, ...]]] = {
    (TRON, PaymentKind.EXACT): (OrderState.CONFIRMED, ()),
    (TRON, PaymentKind.SHORT): (OrderState.NEW, (Cause.UNMATCHED,)),
    (TRON, PaymentKind.OVER): (OrderState.NEW, (Cause.UNMATCHED,)),
    (TRON, PaymentKind.TWICE): (OrderState.CONFIRMED, (Cause.DUPLICATE,)),
    (TRON, PaymentKind.BATCH): (OrderState.CONFIRMED, (Cause.DUPLICATE,)),
    (TRON, PaymentKind.LATE): (OrderState.PAID_LATE, (Cause.LATE,)),
    (TRON, PaymentKind.UNLISTED): NOT_PAID,
    (TRON, PaymentKind.UNCONFIRMED): (OrderState.SEEN, ()),
    (TRON, PaymentKind.ZERO): NOT_PAID,
    (TRON, PaymentKind.REVERTED): NOT_PAID,
    (TRON, PaymentKind.FAKE_TOKEN): NOT_PAID,
    (TRON, PaymentKind.APPROVAL): NOT_PAID,
    (TON, PaymentKind.EXACT): (OrderState.CONFIRMED, ()),
    (TON, PaymentKind.SHORT): (OrderState.UNDERPAID, (Cause.UNDERPAID,)),
    (TON, PaymentKind.OVER): (OrderState.OVERPAID, (Cause.OVERPAID,)),
    (TON, PaymentKind.TWICE): (OrderState.CONFIRMED, (Cause.DUPLICATE,)),
    (TON, PaymentKind.LATE): (OrderState.PAID_LATE, (Cause.LATE,)),
    (TON, PaymentKind.NO_COMMENT): (OrderState.NEW, (Cause.UNMATCHED,)),
    (TON, PaymentKind.ZERO): NOT_PAID,
    (TON, PaymentKind.BOUNCED): NOT_PAID,
    (TON, PaymentKind.FAKE_JETTON): (OrderState.NEW, (Cause.WRONG_ASSET,)),
    (USDT, PaymentKind.EXACT): (OrderState.CONFIRMED, ()),
    (USDT, PaymentKind.SHORT): (OrderState.UNDERPAID, (Cause.UNDERPAID,)),
    (USDT, PaymentKind.OVER): (OrderState.OVERPAID, (Cause.OVERPAID,)),
    (USDT, PaymentKind.TWICE): (OrderState.CONFIRMED, (Cause.DUPLICATE,)),
    (USDT, PaymentKind.LATE): (OrderState.PAID_LATE, (Cause.LATE,)),
    (USDT, PaymentKind.SILENT): (OrderState.CONFIRMED, ()),
    (USDT, PaymentKind.NO_COMMENT): (OrderState.NEW, (Cause.UNMATCHED,)),
    (USDT, PaymentKind.ZERO): NOT_PAID,
    (USDT, PaymentKind.FAKE_JETTON): (OrderState.NEW, (Cause.WRONG_ASSET,)),
}


def test_every_kind_is_expected_somewhere() -> None:
    """A new kind is not forgotten here."""
    assert set(EXPECTED) == {(method, kind) for kind in PaymentKind for method in APPLIES[kind]}


EACH = [
    (method, kind, dialect)
    for method, kind in sorted(EXPECTED)
    for dialect in ("/ton", "/ton/api/v2")[: 1 if method is TRON else 2]
]


@pytest.mark.parametrize(("method", "kind", "dialect"), EACH)
async def test_a_payment_ends_where_it_must(
    method: Method, kind: PaymentKind, dialect: str, tmp_path: Path
) -> None:
    """Also if the API filters nothing, and when everything is scanned once more."""
    with sandboxed.stall(tmp_path, dialect=dialect) as stall:
        order = stall.order(method)
        stall.pay(order, kind)
        stall.client.spoil(method.network, FaultPlan(next=(Fault.UNFILTERED,) * 20))
        for _ in range(2):
            await stall.scan(method.network)
            state, causes = EXPECTED[method, kind]
            assert stall.ledger.orders.get(order.id).state is state
            queue = stall.ledger.reviews.listing()
            assert tuple(one.cause for one in queue) == causes
            assert all(one.verified for one in queue)


async def test_an_unconfirmed_payment_counts_once_it_is_confirmed(tmp_path: Path) -> None:
    """Seen, then, in another block, solid: confirmed, and not before."""
    with sandboxed.stall(tmp_path) as stall:
        order = stall.order(TRON)
        stall.pay(order, PaymentKind.UNCONFIRMED)
        await stall.scan(Network.TRON)
        stall.forward(RETRY_MS)
        await stall.scan(Network.TRON)
        assert stall.ledger.orders.get(order.id).state is OrderState.SEEN
        stall.client.confirm()
        stall.forward(RETRY_MS)
        result = await stall.scan(Network.TRON)
        assert stall.ledger.orders.get(order.id).state is OrderState.CONFIRMED
        assert result.settled == 1


async def test_a_block_takes_its_time_to_become_solid(tmp_path: Path) -> None:
    """Within it an order is seen, after it confirmed."""
    with sandboxed.stall(tmp_path, solid_after_ms=57_000) as stall:
        order = stall.order(TRON)
        stall.pay(order)
        await stall.scan(Network.TRON)
        assert stall.ledger.orders.get(order.id).state is OrderState.SEEN
        stall.forward(57_000)
        await stall.scan(Network.TRON)
        assert stall.ledger.orders.get(order.id).state is OrderState.CONFIRMED


@pytest.mark.parametrize("method", list(Method))
async def test_many_pages_are_read_to_their_end(method: Method, tmp_path: Path) -> None:
    """More payments than any page holds, in any order, all settle."""
    with sandboxed.stall(tmp_path) as stall:
        made = [stall.order(method, number) for number in range(260)]
        stall.client.pay(
            [
                Payment(method, PaymentKind.EXACT, order.wallet, order.amount, order.comment)
                for order in made
            ]
        )
        stall.client.spoil(method.network, FaultPlan({Fault.REORDERED: 1.0}))
        result = await stall.scan(method.network)
        assert result.settled == 260
        assert result.pages >= 2
        states = {stall.ledger.orders.get(order.id).state for order in made}
        assert states == {OrderState.CONFIRMED}
