"""The ways to pay an order, right and wrong, as transactions on the sandbox's chains."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from actors.payments.chains.money import Method, Network
from actors.payments.sandbox.chain_clock import ChainClock
from actors.payments.sandbox.chain_ton import TonChain
from actors.payments.sandbox.chain_tron import TronChain
from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT: Final = (9, 10)  # of what was asked for
OVER: Final = (11, 10)


class PaymentKind(StrEnum):
    """How an order is paid."""

    EXACT = "exact"
    SHORT = "short"
    OVER = "over"
    TWICE = "twice"
    LATE = "late"
    ZERO = "zero"
    UNCONFIRMED = "unconfirmed"
    REVERTED = "reverted"
    FAKE_TOKEN = "fake-token"  # noqa: S105 - no secret
    APPROVAL = "approval"
    BATCH = "batch"
    UNLISTED = "unlisted"
    NO_COMMENT = "no-comment"
    BOUNCED = "bounced"
    FAKE_JETTON = "fake-jetton"
    SILENT = "silent"


_EVERY: Final = frozenset(Method)
_TRON: Final = frozenset({Method.TRON})
_TON: Final = frozenset({Method.TON, Method.TON_USDT})
APPLIES: Final[Mapping[PaymentKind, frozenset[Method]]] = {
    PaymentKind.EXACT: _EVERY,
    PaymentKind.SHORT: _EVERY,
    PaymentKind.OVER: _EVERY,
    PaymentKind.TWICE: _EVERY,
    PaymentKind.LATE: _EVERY,
    PaymentKind.ZERO: _EVERY,
    PaymentKind.UNCONFIRMED: _TRON,
    PaymentKind.REVERTED: _TRON,
    PaymentKind.FAKE_TOKEN: _TRON,
    PaymentKind.APPROVAL: _TRON,
    PaymentKind.BATCH: _TRON,
    PaymentKind.UNLISTED: _TRON,
    PaymentKind.NO_COMMENT: _TON,
    PaymentKind.BOUNCED: frozenset({Method.TON}),
    PaymentKind.FAKE_JETTON: _TON,
    PaymentKind.SILENT: frozenset({Method.TON_USDT}),
}
"""With which methods a kind exists."""

MEANING: Final[Mapping[PaymentKind, str]] = {
    PaymentKind.EXACT: "what was asked for",
    PaymentKind.SHORT: "nine tenths of it",
    PaymentKind.OVER: "eleven tenths of it",
    PaymentKind.TWICE: "what was asked for, two times",
    PaymentKind.LATE: "after the time to pay; puts the chains' clock forward",
    PaymentKind.ZERO: "a transfer of nothing",
    PaymentKind.UNCONFIRMED: "in a block that is given up, until `x0 pay sandbox confirm`",
    PaymentKind.REVERTED: "a call that fails, though the index lists it",
    PaymentKind.FAKE_TOKEN: "a worthless token that calls itself USDT",
    PaymentKind.APPROVAL: "a permission to take USDT, which moves none",
    PaymentKind.BATCH: "two transfers of what was asked for in one transaction",
    PaymentKind.UNLISTED: "on the chain, and the index lists it never",
    PaymentKind.NO_COMMENT: "what was asked for, without the comment",
    PaymentKind.BOUNCED: "a deposit that goes back at once",
    PaymentKind.FAKE_JETTON: "worthless jettons of another master, in the words of real ones",
    PaymentKind.SILENT: "jettons that arrive without a notice",
}


@dataclass(frozen=True, slots=True)
class Payment:
    """What is to be paid.

    Attributes:
        method: the coin or token that is paid.
        kind: what the payment is like.
        to: the wallet, as `Order.wallet`.
        amount: asked for, in the smallest unit.
        comment: asked for, on TON.
        sender: a name; the same name is the same account.
        not_before_ms: put the clock forward to this time first, ms since the Unix epoch.
    """

    method: Method
    kind: PaymentKind
    to: str
    amount: int
    comment: str = ""
    sender: str = "buyer"
    not_before_ms: int = 0


@dataclass(frozen=True, slots=True)
class Chains:
    """Both chains, and their clock."""

    clock: ChainClock
    tron: TronChain
    ton: TonChain

    @classmethod
    def of(cls, seed: str, *, clock: ChainClock | None = None, solid_after_ms: int = 0) -> Chains:
        """Empty chains whose addresses are a function of `seed`."""
        shared = clock or ChainClock()
        tron = TronChain(seed, shared, solid_after_ms=solid_after_ms)
        return cls(shared, tron, TonChain(seed, shared))


def check(kind: PaymentKind, method: Method) -> None:
    """Refuse a kind that does not exist with a method.

    Raises:
        InvalidInput: it does not.
    """
    if method not in APPLIES[kind]:
        ways = ", ".join(one for one in PaymentKind if method in APPLIES[one])
        raise InvalidInput(
            f"{kind} cannot be done with {method}",
            f"it ({MEANING[kind]}) exists with {', '.join(sorted(APPLIES[kind]))} only",
            f"Choose from {ways}.",
        )


def pay(chains: Chains, payment: Payment) -> list[str]:
    """Pay; the ids of the transactions that arose.

    Raises:
        InvalidInput: the kind does not exist with the method.
    """
    check(payment.kind, payment.method)
    chains.clock.forward_to(payment.not_before_ms)
    if payment.method.network is Network.TRON:
        return _pay_tron(chains.tron, payment)
    return _pay_ton(chains.ton, payment)


def amount(kind: PaymentKind, asked: int) -> int:
    """What is sent if `asked` is asked for."""
    share = {PaymentKind.SHORT: SHORT, PaymentKind.OVER: OVER}.get(kind, (1, 1))
    return 0 if kind is PaymentKind.ZERO else asked * share[0] // share[1]


def _pay_tron(chain: TronChain, one: Payment) -> list[str]:
    to, sender = one.to, one.sender
    units = amount(one.kind, one.amount)
    match one.kind:
        case PaymentKind.TWICE:
            made = [chain.transfer(sender, to, units) for _ in range(2)]
        case PaymentKind.BATCH:
            made = [chain.transfer_many(sender, [(to, units), (to, units)])]
        case PaymentKind.ZERO:  # anybody can move nothing of anybody
            made = [chain.transfer_from("forger", to, sender, 0)]
        case PaymentKind.UNCONFIRMED:
            made = [chain.transfer(sender, to, units, held=True)]
        case PaymentKind.REVERTED:
            made = [chain.transfer(sender, to, units, result="OUT_OF_ENERGY")]
        case PaymentKind.UNLISTED:
            made = [chain.transfer(sender, to, units, listed=False)]
        case PaymentKind.FAKE_TOKEN:
            made = [chain.transfer("forger", to, units, token=chain.fake_usdt)]
        case PaymentKind.APPROVAL:
            made = [chain.approve(sender, to, units)]
        case _:
            made = [chain.transfer(sender, to, units)]
    return [transaction.tx_id for transaction in made]


def _pay_ton(chain: TonChain, one: Payment) -> list[str]:
    to, sender = one.to, one.sender
    units = amount(one.kind, one.amount)
    text = "" if one.kind is PaymentKind.NO_COMMENT else one.comment
    if one.kind is PaymentKind.FAKE_JETTON:
        return [chain.pay_jettons("forger", to, units, text, master=chain.fake_master)[-1].tx_id]
    made = []
    for _ in range(2 if one.kind is PaymentKind.TWICE else 1):
        if one.method is Method.TON:
            bounce = one.kind is PaymentKind.BOUNCED
            made.append(chain.deposit(sender, to, units, text, bounce=bounce))
        else:
            notify = one.kind is not PaymentKind.SILENT
            made += chain.pay_jettons(sender, to, units, text, notify=notify)
    return [transaction.tx_id for transaction in made]
