"""What a chain says about the shop's wallet, and what becomes of it.

A `Sighting` is hearsay: what an index of TRON lists, not yet checked against the receipt. A
`Transfer` is what the chain's authority confirms (the solid receipt, or the bag of cells whose
hash is the transaction's). Whatever is neither is `Rejected` for one of a fixed set of reasons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actors.payments.chains.money import Method, Network


_TX_ID: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")


class Reason(StrEnum):
    """Why something on the chain is no incoming transfer."""

    MALFORMED = "malformed"
    NOT_A_TRANSFER = "not_a_transfer"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a reason, no secret
    WRONG_RECIPIENT = "wrong_recipient"
    UNCONFIRMED = "unconfirmed"
    NOT_POSITIVE = "not_positive"
    BEFORE_START = "before_start"
    REVERTED = "reverted"
    NO_SUCH_LOG = "no_such_log"
    VANISHED = "vanished"  # it was listed, but the chain continued without it
    ABSURD_AMOUNT = "absurd_amount"
    OWN_TRANSFER = "own_transfer"
    BOUNCED = "bounced"
    FAKE_JETTON = "fake_jetton"
    CHANGE = "change"
    NOTIFIED = "notified"  # the arrival of the same jettons at the jetton wallet is counted instead


@dataclass(frozen=True, slots=True)
class Rejected:
    """A transaction, or a part of one, that brings the shop nothing."""

    tx_id: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Sighting:
    """One row of a TRC-20 history that would be an incoming transfer if its receipt agrees.

    Attributes:
        tx_id: 64 lower-case hex digits.
        amount: µUSDT, above 0; None if the row does not name it readably.
        block_ms: time of the block, ms since the Unix epoch; None in the same way.
        confirmed: the index calls it solid.
    """

    tx_id: str
    amount: int | None
    block_ms: int | None
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """An incoming transfer that the chain confirms.

    Attributes:
        method: the coin or token; a token is of the contract that the shop accepts.
        tx_id: 64 lower-case hex digits.
        position: index of the log in the receipt (TRON), logical time (TON).
        wallet: address that it reached: base58 (TRON), raw form `0:hex` (TON).
        contract: contract of the token, in the same form; empty for the coin itself.
        sender: address that it came from, in the same form.
        amount: amount in the smallest unit, above 0.
        block_ms: time of the block, ms since the Unix epoch.
        comment: the text that came with it, stripped; empty for none.
        settles: whether it may settle an order; if not, it arrived in a way to be looked at.
    """

    method: Method
    tx_id: str
    position: int
    wallet: str
    contract: str
    sender: str
    amount: int
    block_ms: int
    comment: str = ""
    settles: bool = True

    @property
    def network(self) -> Network:
        """The chain it is on."""
        return self.method.network


@dataclass(frozen=True, slots=True)
class OtherTokens:
    """A notice that tokens have arrived which the shop does not take, or which are forged.

    Attributes:
        tx_id: the transaction that received the notice, 64 lower-case hex digits.
        amount: how many, in units of their own, as the notice says.
        sender: whose they were, as it says, raw form; empty for nobody.
        comment: the text that came with them, stripped.
    """

    tx_id: str
    amount: int
    sender: str
    comment: str


def transaction_id(text: str) -> str | None:
    """The id of a transaction as 64 lower-case hex digits; None if the text is none."""
    found = _TX_ID.fullmatch(text.strip())
    return None if found is None else found[1].lower()
