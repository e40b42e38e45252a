"""What the seller is told of one chain: orders, reviews, and faults that keep money from arriving.

Each fault is one alert for as long as it lasts. That an order is paid is told once: whoever is
killed between the two looks a while back, and what is told again within that time is one alert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.payments.chains import money
from actors.runtime.alerting import Alert, AlertName, AlertSeverity
from actors.runtime.standing_alert import StandingAlert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from actors.payments.chains.money import Network
    from actors.payments.errors import ClockSkewed, CursorStale
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.review_entries import Review
    from actors.runtime.errors import X0Error

BACK_MS: Final = 600_000  # how far a watcher looks back for orders that were paid
LISTED: Final = 10  # most entries of the review queue that an alert lists
REVIEWS_LINK: Final = "/v1/payments/reviews"


class SellerAlerts:
    """The alerts about one chain.

    Args:
        network: the chain.
        sink: is given the alerts.
    """

    def __init__(self, network: Network, sink: Callable[[Alert], None]) -> None:
        self._network = str(network)
        self._sink = sink
        labels = {"network": self._network}

        def standing(name: AlertName, key: str, over: str) -> StandingAlert:
            return StandingAlert(name, key, over, labels=labels, sink=sink)

        self._stale = standing(
            AlertName.PAYMENT_CURSOR_STALE,
            self._network,
            f"Payments on {network} are read again",
        )
        self._refused = standing(
            AlertName.PAYMENT_CONFIGURATION,
            self._network,
            f"The settings of payments on {network} work",
        )
        self._delivery = standing(
            AlertName.PAYMENT_CONFIGURATION,
            f"delivery-{self._network}",
            f"What orders on {network} bring can be delivered",
        )
        self._clock = standing(
            AlertName.CLOCKS_APART,
            f"payments-{self._network}",
            f"The clock agrees with that of {network}",
        )
        # All chains have one queue, so their watchers raise one alert.
        self._reviews = StandingAlert(
            AlertName.PAYMENT_IN_REVIEW, "reviews", "No payment waits for a decision", sink=sink
        )

    def stale(self, error: CursorStale | None, since: float) -> None:
        """The history was not read to its end for long; None: it was.

        Args:
            error: says so.
            since: Unix time, s.
        """
        if error is None:
            self._stale.over(since)
        elif not self._stale.lasts:  # its age grows with each look
            self._stale.holds(_said(error), since, details=(error.remedy,))

    def refused(self, error: X0Error | None, at: float) -> None:
        """A setting is wrong; None: they work."""
        follow(self._refused, error, at)

    def undelivered(self, error: X0Error | None, at: float) -> None:
        """What an order brings cannot be made; None: it can."""
        follow(self._delivery, error, at)

    def skewed(self, error: ClockSkewed | None, at: float, *, expires: bool = True) -> None:
        """The clock is off the chain's; None: it is not.

        Args:
            error: says so.
            at: Unix time, s.
            expires: orders expire all the same.
        """
        severity = AlertSeverity.WARNING if expires else AlertSeverity.ERROR
        if error is None:
            self._clock.over(at)
        elif self._clock.severity is not severity:  # how far it is off differs with each look
            details = (error.remedy,)
            self._clock.holds(_said(error), at, details=details, severity=severity)

    def in_review(self, entries: Sequence[Review], at: float) -> None:
        """Entries of the review queue that wait for a decision of a person, at a Unix time, s."""
        if self._delivery.lasts:  # which tells of deliveries that a setting keeps back
            entries = [one for one in entries if one.method is not None]
        number = len(entries)
        if not number:
            self._reviews.over(at)
            return
        what = "1 entry waits" if number == 1 else f"{number} entries wait"
        self._reviews.holds(
            f"{what} in the review queue of payments for a decision",
            at,
            details=tuple(_entry(one) for one in entries[:LISTED]),
            subjects=tuple(one.subject for one in entries[:LISTED]),
            link=REVIEWS_LINK,
        )

    def paid(self, orders: Iterable[Order], at: float) -> None:
        """Orders got their payment."""
        for order in orders:
            price = f"{money.text(order.amount, order.method)} {order.method.symbol}"
            self._sink(
                Alert(
                    AlertName.ORDER_PAID,
                    order.id,
                    f"Order {order.id} of {order.plan} is paid: {price}",
                    at,
                    labels={"network": self._network},
                    subjects=(order.id,),
                    momentary=True,
                )
            )


def follow(alert: StandingAlert, error: X0Error | None, at: float) -> None:
    """Raise an alert of what an error says at a Unix time, s; None: it is over."""
    if error is None:
        alert.over(at)
    else:
        alert.holds(_said(error), at, details=(error.remedy,))


def _said(error: X0Error) -> str:
    text = f"{error.what}: {error.why}"
    return text[:1].upper() + text[1:]


def _entry(review: Review) -> str:
    amount = ""
    if review.amount is not None and review.method is not None:
        amount = f", {money.text(review.amount, review.method)} {review.method.symbol}"
    order = f", order {review.order}" if review.order else ""
    return f"{review.cause}{amount}{order}"
