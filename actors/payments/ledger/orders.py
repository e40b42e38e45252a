"""The life of an order, as a pure state machine over the set of transfers that name it.

    new -> seen -> confirmed -> delivering -> delivered

with the side states `expired`, `paid_late`, `underpaid`, `overpaid`, `review` and `closed`. What
settles an order is a function of the *set* of its transfers, not of the order in which they became
known: those on time by the time of their blocks, in the order of the chain, up to the first that
makes their sum sufficient; that one alone, where it is sufficient alone. So any permutation,
repetition or split of the history gives the same state; and an order that expired during an outage
is confirmed when the payment, made in time, is read at last.

Only time on the chain counts, never the clock on the wall.
"""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.payments.errors import InvalidTransition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.payments.chains.money import Method

ID_BYTES: Final = 10
COMMENT_BYTES: Final = 16  # size of a TON comment; 128 bits cannot be guessed
_COMMENT: Final = re.compile(rf"(?<![0-9a-z])[0-9a-f]{{{2 * COMMENT_BYTES}}}(?![0-9a-z])")


class OrderState(StrEnum):
    """Where an order stands."""

    NEW = "new"
    SEEN = "seen"  # on the chain, not yet solid
    CONFIRMED = "confirmed"  # paid; the entitlement exists
    OVERPAID = "overpaid"  # paid, with more than was asked for
    DELIVERING = "delivering"  # a relay is sending it
    DELIVERED = "delivered"
    EXPIRED = "expired"  # the chain was read to the end of its time without a payment
    PAID_LATE = "paid_late"  # a person decides
    UNDERPAID = "underpaid"  # a person decides
    REVIEW = "review"  # paid, and it cannot be delivered: a person decides
    CLOSED = "closed"  # a person has decided about all that came in, and it is not paid


_PAID: Final = frozenset({OrderState.CONFIRMED, OrderState.OVERPAID})
_JUDGED: Final = _PAID | {OrderState.PAID_LATE, OrderState.UNDERPAID}
TRANSITIONS: Final[Mapping[OrderState, frozenset[OrderState]]] = {
    OrderState.NEW: _JUDGED | {OrderState.SEEN, OrderState.EXPIRED},
    OrderState.SEEN: _JUDGED | {OrderState.NEW, OrderState.EXPIRED},
    OrderState.EXPIRED: _JUDGED,
    OrderState.UNDERPAID: _PAID | {OrderState.PAID_LATE, OrderState.CLOSED},
    OrderState.PAID_LATE: _PAID | {OrderState.UNDERPAID, OrderState.CLOSED},
    OrderState.CLOSED: _JUDGED,
    OrderState.CONFIRMED: frozenset({OrderState.OVERPAID, OrderState.DELIVERING}),
    OrderState.OVERPAID: frozenset({OrderState.CONFIRMED, OrderState.DELIVERING}),
    OrderState.DELIVERING: frozenset({OrderState.DELIVERED, OrderState.REVIEW}),
    OrderState.REVIEW: frozenset({OrderState.DELIVERING}),
    OrderState.DELIVERED: frozenset({OrderState.DELIVERING}),  # once more
}
OPEN: Final = frozenset({OrderState.NEW, OrderState.SEEN})
"""States of an order that waits for its payment."""
SETTLED: Final = _PAID | {OrderState.DELIVERING, OrderState.DELIVERED, OrderState.REVIEW}
"""States of an order that has its settling payment and its entitlement."""


@dataclass(frozen=True, slots=True)
class Delivers:
    """What an order brings: the download `file` (relative to the catalogue), or a licence code."""

    kind: str  # "download" or "licence"
    file: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """One order; times are ms since the Unix epoch.

    Attributes:
        id: 16 characters out of a-z2-7.
        request: key of the request that made it; the same request makes no second one.
        plan: id in the catalogue.
        wallet: address to pay to, as `Transfer.wallet`.
        contract: contract of the token, as `Transfer.contract`.
        price: price in the catalogue, in the smallest unit.
        amount: amount to pay: the price, and on TRON a tail that tells orders apart.
        tolerance: what may lack of it, such as the fee of an exchange; 0 on TRON, where the amount
            names the order.
        comment: text to send with the payment, on TON; empty on TRON.
        channel: how the buyer gets messages: "telegram", or "pull" if the buyer asks for them.
        recipient: address in that channel.
        language: language of its messages, "en" or "ru".
        expires_ms: end of the time to pay.
        reserved_until_ms: end of the time in which a payment is still recognised.
        reserved: nobody else is asked for this amount.
        version: grows with every change.
    """

    id: str
    request: str
    plan: str
    delivers: Delivers
    method: Method
    wallet: str
    contract: str
    price: int
    amount: int
    comment: str
    channel: str
    recipient: str
    language: str
    created_ms: int
    expires_ms: int
    reserved_until_ms: int
    reserved: bool
    state: OrderState
    version: int
    tolerance: int = 0

    @property
    def least(self) -> int:
        """Least sum that settles it."""
        return self.amount - self.tolerance


class PaymentKey(NamedTuple):
    """What identifies a transfer on its chain."""

    network: str
    tx_id: str
    position: int


@dataclass(frozen=True, slots=True)
class TransferCandidate:
    """A transfer that names an order.

    Attributes:
        decided: a person has disposed of it; it settles nothing any more by itself.
        settles: see `Transfer.settles`.
        asked: it is the coin or token that the order asks for.
    """

    key: PaymentKey
    amount: int
    block_ms: int
    decided: bool = False
    settles: bool = True
    asked: bool = True


class Cause(StrEnum):
    """Why a transfer is in review."""

    UNMATCHED = "unmatched"  # the transfer names no order
    UNDERPAID = "underpaid"
    LATE = "late"
    DUPLICATE = "duplicate"  # another transfer settles the order
    UNUSUAL = "unusual"  # it arrived in a way that may not settle an order
    WRONG_ASSET = "wrong_asset"  # another coin, or any other token, than the order asks for
    UNDELIVERABLE = "undeliverable"  # concerns an order, not a transfer
    OVERPAID = "overpaid"  # concerns what an order was paid beyond what was asked


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a set of transfers makes of an order.

    Attributes:
        settling: the transfer that settles it, or completes the sum that does; None if none does.
        parts: the others of that sum.
        excess: what that sum is beyond what was asked.
        state: the state that they give the order; None if they leave it as it is.
        causes: why each of the other transfers is in review.
    """

    settling: PaymentKey | None
    parts: frozenset[PaymentKey]
    excess: int
    state: OrderState | None
    causes: Mapping[PaymentKey, Cause]


def judge(order: Order, candidates: Iterable[TransferCandidate]) -> Judgement:
    """What `candidates`, all transfers that name `order`, make of it."""
    ranked = sorted(candidates, key=lambda one: (one.block_ms, one.key))
    causes = {one.key: _cause(order, one) for one in ranked}
    settled = _sufficient(order, ranked)
    if settled:
        for one in settled:
            del causes[one.key]
        excess = max(0, sum(one.amount for one in settled) - order.amount)
        state = OrderState.OVERPAID if excess else OrderState.CONFIRMED
        parts = frozenset(one.key for one in settled[:-1])
        return Judgement(settled[-1].key, parts, excess, state, causes)
    return Judgement(None, frozenset(), 0, _unpaid(ranked, causes), causes)


def _sufficient(order: Order, ranked: Iterable[TransferCandidate]) -> list[TransferCandidate]:
    """The transfers, in the order of the chain, whose sum settles the order; empty if none do."""
    counted: list[TransferCandidate] = []
    for one in ranked:
        if one.decided or not (one.settles and one.asked) or one.block_ms > order.expires_ms:
            continue
        if one.amount >= order.least:
            return [one]
        counted.append(one)
        if sum(part.amount for part in counted) >= order.least:
            return counted
    return []


def _unpaid(
    ranked: Iterable[TransferCandidate], causes: Mapping[PaymentKey, Cause]
) -> OrderState | None:
    waiting: set[Cause] = set()
    decided: set[Cause] = set()
    for one in ranked:
        (decided if one.decided else waiting).add(causes[one.key])
    if Cause.LATE in waiting:
        return OrderState.PAID_LATE
    if Cause.UNDERPAID in waiting:
        return OrderState.UNDERPAID
    return OrderState.CLOSED if decided & {Cause.LATE, Cause.UNDERPAID} else None


def _cause(order: Order, one: TransferCandidate) -> Cause:
    if not one.asked:
        return Cause.WRONG_ASSET
    if not one.settles:
        return Cause.UNUSUAL
    if one.amount < order.least:
        return Cause.UNDERPAID
    if one.block_ms > order.expires_ms:
        return Cause.LATE
    return Cause.DUPLICATE  # unless it is the first


def has_expired(order: Order, chain_ms: int) -> bool:
    """Whether an open order is given up, the chain having been read up to `chain_ms`.

    One that was seen gets as long as its payment would be recognised: it may become solid yet.
    """
    if order.state is OrderState.NEW:
        return chain_ms > order.expires_ms
    return order.state is OrderState.SEEN and chain_ms > order.reserved_until_ms


def check(order: Order, to: OrderState) -> None:
    """Refuse a change of state that is not in `TRANSITIONS`.

    Raises:
        InvalidTransition: it is not.
    """
    if to not in TRANSITIONS[order.state]:
        raise InvalidTransition(order.id, order.state, to)


def new_id() -> str:
    """Draw the id of an order."""
    return base64.b32encode(secrets.token_bytes(ID_BYTES)).decode().lower()


def new_comment() -> str:
    """Draw a comment that binds a payment on TON to its order."""
    return secrets.token_hex(COMMENT_BYTES)


def comment_in(text: str) -> str:
    """The comment of an order in what came with a payment; "" if there is none, or more than one.

    People and wallets add capitals, quotes, words, and characters that nobody sees.
    """
    seen = (one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) != "Cf")
    found = set(_COMMENT.findall("".join(seen).lower()))
    return found.pop() if len(found) == 1 else ""
