"""Many decisions about the review queue at once: first proposed, each by itself, then made.

Invariants: each is a transaction of its own, so one that fails costs one entry; one that was made
before is left as it is, so the same may be asked for again; nothing is accepted by guess, below its
price, or in a way that is to be looked at; a refund asks the buyer where to, and nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from actors.payments.ledger import reviews
from actors.payments.ledger.orders import SETTLED, Cause
from actors.runtime.errors import InvalidInput, Unavailable, X0Error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.review_entries import Review, ReviewFilter

_LOOKED_AT: Final = frozenset(
    {Cause.UNUSUAL, Cause.WRONG_ASSET}
)  # for a person to judge one by one


class BulkDecision(StrEnum):
    """What can be decided about many entries at once."""

    ACCEPT = "accept"
    REFUND = "refund"
    DISMISS = "dismiss"
    RETRY = "retry"

    @property
    def noted(self) -> str:
        """How the ledger notes it, see `Review.decision`."""
        return _NOTED[self]


_NOTED: Final = {
    BulkDecision.ACCEPT: "accepted",
    BulkDecision.REFUND: "refund",
    BulkDecision.DISMISS: "dismissed",
    BulkDecision.RETRY: "retried",
}


@dataclass(frozen=True, slots=True)
class BulkProposal:
    """What would be decided about an entry.

    Attributes:
        entry: the entry.
        order: the order that would be paid; None unless it is to be accepted.
        paid: what that order would be paid in all, in the smallest unit; None in the same way.
    """

    entry: Review
    order: Order | None = None
    paid: int | None = None


class BulkResult(StrEnum):
    """What has become of one of many decisions."""

    DECIDED = "decided"
    BEFORE = "before"  # it was decided so already
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """One of many decisions.

    Attributes:
        subject: name of the entry.
        result: what has become of it.
        order: id of the order that the entry concerns, or pays now; None if none is known.
        error: why it failed; None if it did not.
    """

    subject: str
    result: BulkResult
    order: str | None = None
    error: X0Error | None = None


def proposals(
    ledger: Ledger,
    decision: BulkDecision,
    chosen: ReviewFilter,
    *,
    limit: int,
    after: str | None = None,
) -> list[BulkProposal]:
    """Entries that can be decided so, in the order of the queue; no order is to be paid twice.

    Args:
        ledger: the ledger.
        decision: what would be decided.
        chosen: open entries to choose from.
        limit: most that are proposed.
        after: subject of the last entry of the page before.

    Raises:
        UnknownReview: there is no entry `after`.
    """
    found: list[BulkProposal] = []
    paid: set[str] = set()
    for entry in _entries(ledger, chosen, after):
        proposed = _proposal(ledger, decision, entry)
        if proposed is None or (proposed.order is not None and proposed.order.id in paid):
            continue
        if proposed.order is not None:
            paid.add(proposed.order.id)
        found.append(proposed)
        if len(found) == limit:
            break
    return found


def _entries(ledger: Ledger, chosen: ReviewFilter, after: str | None) -> Iterator[Review]:
    while page := ledger.reviews.listing(chosen=chosen, limit=reviews.MAX_LISTED, after=after):
        yield from page
        after = page[-1].subject


def _proposal(ledger: Ledger, decision: BulkDecision, entry: Review) -> BulkProposal | None:
    fits = entry.verified
    match decision:
        case BulkDecision.ACCEPT:
            return _acceptance(ledger, entry)
        case BulkDecision.REFUND:
            fits = entry.amount is not None and entry.order is not None
        case BulkDecision.RETRY:
            fits = entry.cause is Cause.UNDELIVERABLE
    return BulkProposal(entry) if fits else None


def _acceptance(ledger: Ledger, entry: Review) -> BulkProposal | None:
    if not _is_plain(entry) or entry.proposed is None:
        return None
    order = ledger.orders.get(entry.proposed)
    if order.state in SETTLED or order.method is not entry.method:
        return None
    paid = ledger.reviews.sum_for(order, entry)
    return BulkProposal(entry, order, paid) if reviews.suffices(order, paid) else None


def _is_plain(entry: Review) -> bool:
    return entry.is_certain and entry.cause not in _LOOKED_AT


def decide(
    ledger: Ledger, decision: BulkDecision, subjects: Iterable[str], now_ms: int, *, note: str = ""
) -> list[BulkOutcome]:
    """Decide so about each of these entries.

    Args:
        ledger: the ledger.
        decision: what is decided.
        subjects: names of entries; one that is repeated counts once.
        now_ms: the time.
        note: why, for those who read it later.

    Raises:
        Unavailable: the ledger's database does not answer; what was decided before stays so.
    """
    return [_one(ledger, decision, subject, now_ms, note) for subject in dict.fromkeys(subjects)]


def _one(
    ledger: Ledger, decision: BulkDecision, subject: str, now_ms: int, note: str
) -> BulkOutcome:
    try:
        return BulkOutcome(
            subject, BulkResult.DECIDED, _decided(ledger, decision, subject, now_ms, note)
        )
    except Unavailable:
        raise
    except X0Error as error:
        found = ledger.reviews.find(subject)
        if found is not None and found.decision == decision.noted:
            return BulkOutcome(subject, BulkResult.BEFORE, found.order)
        return BulkOutcome(subject, BulkResult.FAILED, found.order if found else None, error)


def _decided(
    ledger: Ledger, decision: BulkDecision, subject: str, now_ms: int, note: str
) -> str | None:
    """The order that an entry concerns, after it was decided about."""
    entry = ledger.reviews.get(subject)
    match decision:
        case BulkDecision.ACCEPT:
            if not _is_plain(entry):
                raise InvalidInput(
                    f"{subject} is not accepted with others",
                    f"its order is a guess, or it is {entry.cause}",
                    "Look at it, and accept it alone: x0 pay review accept SUBJECT --order ORDER.",
                )
            return ledger.reviews.accept(subject, now_ms, order_id=entry.proposed)
        case BulkDecision.REFUND:
            return ledger.refunds.propose(subject, now_ms, note=note).order
        case BulkDecision.DISMISS:
            ledger.reviews.dismiss(subject, now_ms, note=note)
        case BulkDecision.RETRY:
            return ledger.reviews.retry(subject, now_ms)
    return entry.order
