"""The buyers of the demonstration, and how each of their orders must end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actors.payments.chains.money import Method
from actors.payments.ledger.orders import Cause, State
from actors.payments.sandbox.kinds import Kind

LICENCE: Final = "licence"
DOWNLOAD: Final = "month"


@dataclass(frozen=True, slots=True)
class DemoCase:
    """A buyer.

    Attributes:
        method: how the buyer pays.
        kind: what the payment is like; None for no payment.
        state: the state that the order must end in.
        causes: why its transfers must have been in the review queue.
        plan: id of the plan that is bought.
    """

    method: Method
    kind: Kind | None
    state: State
    causes: tuple[Cause, ...] = ()
    plan: str = LICENCE


def _paid(method: Method, kind: Kind, *causes: Cause) -> DemoCase:
    return DemoCase(method, kind, State.DELIVERED, causes)


def _unpaid(method: Method, kind: Kind | None, *causes: Cause) -> DemoCase:
    return DemoCase(method, kind, State.EXPIRED, causes)


MAIN: Final = (
    *(_paid(Method.TRON, Kind.EXACT) for _ in range(6)),
    DemoCase(Method.TRON, Kind.EXACT, State.DELIVERED, plan=DOWNLOAD),
    _paid(Method.TRON, Kind.UNCONFIRMED),
    _paid(Method.TRON, Kind.TWICE, Cause.DUPLICATE),
    _paid(Method.TRON, Kind.BATCH, Cause.DUPLICATE),
    # On TRON the amount names the order, so another amount names none.
    _unpaid(Method.TRON, Kind.SHORT, Cause.UNMATCHED),
    _unpaid(Method.TRON, Kind.OVER, Cause.UNMATCHED),
    _unpaid(Method.TRON, Kind.ZERO),
    _unpaid(Method.TRON, Kind.REVERTED),
    _unpaid(Method.TRON, Kind.FAKE_TOKEN),
    _unpaid(Method.TRON, Kind.APPROVAL),
    _unpaid(Method.TRON, None),
    DemoCase(Method.TON, Kind.EXACT, State.DELIVERED, plan=DOWNLOAD),
    _paid(Method.TON, Kind.OVER),
    _paid(Method.TON, Kind.TWICE, Cause.DUPLICATE),
    DemoCase(Method.TON, Kind.SHORT, State.UNDERPAID, (Cause.UNDERPAID,)),
    _unpaid(Method.TON, Kind.NO_COMMENT, Cause.UNMATCHED),
    _unpaid(Method.TON, Kind.ZERO),
    _unpaid(Method.TON, Kind.BOUNCED),
    _unpaid(Method.TON, Kind.FAKE_JETTON),
    _unpaid(Method.TON, None),
    _paid(Method.TON_USDT, Kind.EXACT),
    _paid(Method.TON_USDT, Kind.OVER),
    _paid(Method.TON_USDT, Kind.SILENT),
    _paid(Method.TON_USDT, Kind.TWICE, Cause.DUPLICATE),
    DemoCase(Method.TON_USDT, Kind.SHORT, State.UNDERPAID, (Cause.UNDERPAID,)),
    _unpaid(Method.TON_USDT, Kind.NO_COMMENT, Cause.UNMATCHED),
    _unpaid(Method.TON_USDT, Kind.ZERO),
    _unpaid(Method.TON_USDT, Kind.FAKE_JETTON),
)
"""Before anything fails for long."""
DURING_AN_OUTAGE: Final = tuple(_paid(method, Kind.EXACT) for method in Method)
"""Paid in time, and read only after the time to pay."""
LATE: Final = (
    _paid(Method.TRON, Kind.LATE, Cause.LATE),  # a person accepts it
    DemoCase(Method.TON, Kind.LATE, State.PAID_LATE, (Cause.LATE,)),
    DemoCase(Method.TON_USDT, Kind.LATE, State.PAID_LATE, (Cause.LATE,)),
)
