"""The buyers of the demonstration, and how each of their orders must end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actors.payments.chains.money import Method
from actors.payments.ledger.orders import Cause, OrderState
from actors.payments.sandbox.kinds import PaymentKind

LICENCE: Final = "licence"
DOWNLOAD: Final = "month"


@dataclass(frozen=True, slots=True)
class DemoCase:
    """A buyer.

    Attributes:
        method: how the buyer pays.
        kind: what the payment is like; None for no payment.
        state: the state that the order must end in, after a person has decided.
        causes: why its transfers must have been in the review queue.
        plan: id of the plan that is bought.
    """

    method: Method
    kind: PaymentKind | None
    state: OrderState
    causes: tuple[Cause, ...] = ()
    plan: str = LICENCE


def _paid(method: Method, kind: PaymentKind, *causes: Cause) -> DemoCase:
    return DemoCase(method, kind, OrderState.DELIVERED, causes)


def _unpaid(method: Method, kind: PaymentKind | None, *causes: Cause) -> DemoCase:
    return DemoCase(method, kind, OrderState.EXPIRED, causes)


MAIN: Final = (
    *(_paid(Method.TRON, PaymentKind.EXACT) for _ in range(6)),
    DemoCase(Method.TRON, PaymentKind.EXACT, OrderState.DELIVERED, plan=DOWNLOAD),
    _paid(Method.TRON, PaymentKind.UNCONFIRMED),
    _paid(Method.TRON, PaymentKind.TWICE, Cause.DUPLICATE),
    _paid(Method.TRON, PaymentKind.BATCH, Cause.DUPLICATE),
    # On TRON the amount names the order, so another amount names none.
    _unpaid(Method.TRON, PaymentKind.SHORT, Cause.UNMATCHED),
    _unpaid(Method.TRON, PaymentKind.OVER, Cause.UNMATCHED),
    _unpaid(Method.TRON, PaymentKind.ZERO),
    _unpaid(Method.TRON, PaymentKind.REVERTED),
    _unpaid(Method.TRON, PaymentKind.FAKE_TOKEN),
    _unpaid(Method.TRON, PaymentKind.APPROVAL),
    _unpaid(Method.TRON, None),
    DemoCase(Method.TON, PaymentKind.EXACT, OrderState.DELIVERED, plan=DOWNLOAD),
    _paid(Method.TON, PaymentKind.OVER, Cause.OVERPAID),
    _paid(Method.TON, PaymentKind.TWICE, Cause.DUPLICATE),
    DemoCase(Method.TON, PaymentKind.SHORT, OrderState.CLOSED, (Cause.UNDERPAID,)),
    _unpaid(Method.TON, PaymentKind.NO_COMMENT, Cause.UNMATCHED),
    _unpaid(Method.TON, PaymentKind.ZERO),
    _unpaid(Method.TON, PaymentKind.BOUNCED),
    _unpaid(Method.TON, PaymentKind.FAKE_JETTON, Cause.WRONG_ASSET),
    _unpaid(Method.TON, None),
    _paid(Method.TON_USDT, PaymentKind.EXACT),
    _paid(Method.TON_USDT, PaymentKind.OVER, Cause.OVERPAID),
    _paid(Method.TON_USDT, PaymentKind.SILENT),
    _paid(Method.TON_USDT, PaymentKind.TWICE, Cause.DUPLICATE),
    DemoCase(Method.TON_USDT, PaymentKind.SHORT, OrderState.CLOSED, (Cause.UNDERPAID,)),
    _unpaid(Method.TON_USDT, PaymentKind.NO_COMMENT, Cause.UNMATCHED),
    _unpaid(Method.TON_USDT, PaymentKind.ZERO),
    _unpaid(Method.TON_USDT, PaymentKind.FAKE_JETTON, Cause.WRONG_ASSET),
)
"""Before anything fails for long."""
DURING_AN_OUTAGE: Final = tuple(_paid(method, PaymentKind.EXACT) for method in Method)
"""Paid in time, and read only after the time to pay."""
LATE: Final = (
    _paid(Method.TRON, PaymentKind.LATE, Cause.LATE),  # a person accepts it
    DemoCase(Method.TON, PaymentKind.LATE, OrderState.CLOSED, (Cause.LATE,)),
    DemoCase(Method.TON_USDT, PaymentKind.LATE, OrderState.CLOSED, (Cause.LATE,)),
)
