"""What TON says, checked: transactions of an account, each from its own bag of cells.

Nothing that an API says about a transaction is used but the bag of cells (BoC) itself: its root
cell's hash must be the transaction's, and everything else is read from the cells (TL-B scheme
`Transaction`). Each transaction names its predecessor on the account by hash and logical time, so a
history is complete exactly if it is a chain from the last one read, or from one that has none
before it; a gap is no history. An account ends when it sends everything away and itself with it, or
when storage has used up the little that a wallet has which was never deployed; what is sent to it
later begins a chain of its own, and some APIs forget the one before.

What counts as a deposit: an internal message with a source, not bounced, after which no bounce
phase ran and no message went out. `success` is no guide in either direction: a bounced deposit can
be "successful", and a wallet without code yet keeps what an "aborted" transaction brought.

Jettons are counted where they arrive, at the shop's own jetton wallet: it has code, so it stays.
The notice that it sends to the shop's wallet says the same once more, and anybody can send such
bytes.

All functions are pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytoniq_core.boc.cell import Cell
from pytoniq_core.tlb.transaction import InternalMsgInfo, Transaction, TransactionOrdinary

from actors.payments.chains import addresses, ton_body
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.chains.ton_body import Comment, Excesses, InternalTransfer, Notification
from actors.payments.chains.verdict import OtherTokens, Reason, Rejected, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_BOC: Final = 2**20
"""Bytes. The chain lets anybody send the shop a message of 2^21 bits in 8192 cells (configuration
parameter 43, `size_limits_config`), which with the cells' own descriptors, references and hashes is
below this."""
DUST: Final = 10**7
"""Nanotons; less, beside a forged notice or as its carrier, is nobody's payment."""
NOTHING: Final = "00" * 32
"""Hash of what came before an account's first transaction, and mark of an account without code."""
CHANGE: Final = 10**9
"""Nanotons; at most so much comes back as the change of a jetton transfer."""


@dataclass(frozen=True, slots=True)
class TonMessage:
    """An internal message that an account received; addresses in raw form."""

    source: str
    destination: str
    value: int  # nanotons
    bounced: bool
    body: ton_body.Body


@dataclass(frozen=True, slots=True)
class TonTransaction:
    """A transaction whose hash was checked.

    Attributes:
        tx_id: the hash, 64 lower-case hex digits.
        account: raw form.
        lt: logical time.
        previous_id: hash of the account's transaction before, zeros for none.
        previous_lt: its logical time, 0 for none.
        time_s: time of its block, s since the Unix epoch.
        received: the internal message that set it off; None if something else did.
        sent: number of messages that it sent.
        bounce: how its bounce phase ended: "ok" (the value went back), another word (it could not),
            or "" for no such phase.
        aborted: whether its effects on the account's code and data were undone.
        lasting: whether the account has code after it. One without ends by itself when storage has
            used up what it was sent, and what comes then begins a chain of its own.
    """

    tx_id: str
    account: str
    lt: int
    previous_id: str
    previous_lt: int
    time_s: int
    received: TonMessage | None
    sent: int
    bounce: str
    aborted: bool
    lasting: bool

    @property
    def mark(self) -> str:
        """What the next transaction of the account calls its predecessor."""
        return self.tx_id if self.lasting else NOTHING

    def follows(self, lt: int, mark: str) -> bool:
        """Whether its predecessor has that logical time and mark."""
        if mark == NOTHING:  # the account is there no more, or it still is
            return self.previous_lt in {0, lt}
        return (self.previous_lt, self.previous_id) == (lt, mark)


@dataclass(frozen=True, slots=True)
class TonShop:
    """Whose transactions are read, and with which jetton: raw forms, empty for none."""

    wallet: str
    master: str
    jetton_wallet: str

    @property
    def accounts(self) -> tuple[str, ...]:
        """Those whose transactions count: the wallet, then the jetton wallet if it is known."""
        return (self.wallet, self.jetton_wallet) if self.jetton_wallet else (self.wallet,)


def parse(boc: bytes, *, tx_id: str, account: str) -> TonTransaction:
    """The transaction `tx_id` of `account` out of its bag of cells.

    Raises:
        ValueError: it is not one: too large, broken, of another hash or of another account.
    """
    if len(boc) > MAX_BOC:
        raise ValueError(f"a bag of cells of {len(boc)} bytes is no transaction")
    try:
        root = Cell.one_from_boc(boc)
        digest = root.hash.hex()
        read: Any = Transaction.deserialize(root.begin_parse()) if digest == tx_id else None
        found = None if read is None else _checked(read, digest, account)
    except ValueError:
        raise
    # For broken cells the library raises whatever its parser happens to raise.
    except Exception as error:
        raise ValueError(f"cells that are no transaction: {type(error).__name__}") from error
    if found is None:
        raise ValueError(f"cells with the hash {digest} came as transaction {tx_id[:64]}")
    return found


def _checked(read: Any, tx_id: str, account: str) -> TonTransaction:  # noqa: ANN401 - of an untyped library
    if read.account_addr.hex() != account.partition(":")[2]:
        raise ValueError(f"transaction {tx_id} is of another account")
    description = read.description
    ordinary = isinstance(description, TransactionOrdinary)
    bounce = description.bounce if ordinary else None
    received = _received(read.in_msg) if ordinary else None
    if received is not None and received.destination != account:
        raise ValueError(f"transaction {tx_id} took a message for another account")
    return TonTransaction(
        tx_id=tx_id,
        account=account,
        lt=read.lt,
        previous_id=read.prev_trans_hash.hex(),
        previous_lt=read.prev_trans_lt,
        time_s=read.now,
        received=received,
        sent=len(read.out_msgs),
        bounce="" if bounce is None else bounce.type_,
        aborted=bool(description.aborted) if ordinary else False,
        lasting=read.end_status.type_ == "active",
    )


def _received(message: Any) -> TonMessage | None:  # noqa: ANN401 - of an untyped library
    if message is None or not isinstance(message.info, InternalMsgInfo):
        return None
    info: Any = message.info
    return TonMessage(
        source=addresses.raw(info.src),
        destination=addresses.raw(info.dest),
        value=info.value_coins,
        bounced=bool(info.bounced),
        body=ton_body.read(message.body.begin_parse()),
    )


def chained(
    transactions: Iterable[TonTransaction], *, after_lt: int, mark: str, since_ms: int = 0
) -> list[TonTransaction]:
    """Transactions in the order of the chain, without those up to `after_lt` and repetitions.

    Args:
        transactions: transactions of one account, in any order.
        after_lt: logical time of the last one known; 0 for none.
        mark: its mark; "" for none.
        since_ms: what came before this time may be missing where none is known.

    Raises:
        ValueError: one is missing in between, or at the beginning.
    """
    by_lt = {one.lt: one for one in transactions if one.lt > after_lt}
    ordered = [by_lt[lt] for lt in sorted(by_lt)]
    last_lt = after_lt
    for one in ordered:
        if not _continues(one, last_lt, mark, since_ms):
            raise ValueError(f"between logical times {last_lt} and {one.lt} something is missing")
        last_lt, mark = one.lt, one.mark
    return ordered


def _continues(one: TonTransaction, lt: int, mark: str, since_ms: int) -> bool:
    if mark:
        return one.follows(lt, mark)
    return one.previous_lt == 0 or one.time_s * 1000 < since_ms


def judge(  # noqa: PLR0911 - a reason each
    one: TonTransaction, shop: TonShop, since_ms: int
) -> Transfer | Rejected:
    """What a transaction of one of the shop's accounts brings it.

    Args:
        one: a transaction of the shop's wallet, or of its jetton wallet.
        shop: the accounts of the shop.
        since_ms: transfers before this time do not concern the shop.
    """
    message = one.received
    if message is None:
        return Rejected(one.tx_id, Reason.OWN_TRANSFER)
    if one.time_s * 1000 < since_ms:
        return Rejected(one.tx_id, Reason.BEFORE_START)
    if message.bounced:
        return Rejected(one.tx_id, Reason.BOUNCED)
    if one.account != shop.wallet:
        return _jettons(one, message, shop)
    if isinstance(message.body, Notification):
        return _notified(one, message, shop)
    if isinstance(message.body, Excesses) and message.value <= CHANGE:
        return Rejected(one.tx_id, Reason.CHANGE)
    return _deposit(one, message)


def _deposit(one: TonTransaction, message: TonMessage) -> Transfer | Rejected:
    if one.bounce == "ok":
        return Rejected(one.tx_id, Reason.BOUNCED)
    if message.value == 0:
        return Rejected(one.tx_id, Reason.NOT_POSITIVE)
    comment = message.body.text if isinstance(message.body, Comment) else ""
    settles = not one.bounce and not one.sent
    return _transfer(one, Method.TON, "", message.source, message.value, comment, settles=settles)


def _notified(one: TonTransaction, message: TonMessage, shop: TonShop) -> Transfer | Rejected:
    if shop.jetton_wallet and message.source == shop.jetton_wallet:
        return Rejected(one.tx_id, Reason.NOTIFIED)
    if message.value >= DUST and one.bounce != "ok":
        return _transfer(one, Method.TON, "", message.source, message.value, "", settles=False)
    return Rejected(one.tx_id, Reason.FAKE_JETTON)


def other_tokens(one: TonTransaction, shop: TonShop, since_ms: int) -> OtherTokens | None:
    """What a transaction of the shop's wallet says of tokens that the shop does not take.

    Nothing of it counts, and anybody can say it; but its comment may name an order, whose buyer has
    then sent another token than was asked for. Arguments are as in `judge`.
    """
    message = one.received
    if message is None or message.bounced or one.time_s * 1000 < since_ms:
        return None
    body = message.body
    if not isinstance(body, Notification) or message.source == shop.jetton_wallet:
        return None
    return OtherTokens(one.tx_id, body.amount, body.sender, body.comment)


def _jettons(one: TonTransaction, message: TonMessage, shop: TonShop) -> Transfer | Rejected:
    """Tokens that reached the shop's jetton wallet, with a notice of it or without.

    The jetton wallet's code has checked the sender, or the transaction would have aborted.
    """
    body = message.body
    if not isinstance(body, InternalTransfer) or one.account != shop.jetton_wallet:
        return Rejected(one.tx_id, Reason.NOT_A_TRANSFER)
    if one.aborted or one.bounce:
        return Rejected(one.tx_id, Reason.BOUNCED)
    if body.amount == 0:
        return Rejected(one.tx_id, Reason.NOT_POSITIVE)
    if body.amount > MAX_AMOUNT:
        return Rejected(one.tx_id, Reason.ABSURD_AMOUNT)
    return Transfer(
        Method.TON_USDT,
        one.tx_id,
        one.lt,
        shop.wallet,
        shop.master,
        body.sender,
        body.amount,
        one.time_s * 1000,
        body.comment,
    )


def _transfer(
    one: TonTransaction,
    method: Method,
    contract: str,
    sender: str,
    amount: int,
    comment: str,
    *,
    settles: bool,
) -> Transfer | Rejected:
    if amount > MAX_AMOUNT:
        return Rejected(one.tx_id, Reason.ABSURD_AMOUNT)
    return Transfer(
        method,
        one.tx_id,
        one.lt,
        one.account,
        contract,
        sender,
        amount,
        one.time_s * 1000,
        comment,
        settles,
    )


def split(verdicts: Sequence[Transfer | Rejected]) -> tuple[list[Transfer], list[Rejected]]:
    """Transfers, and what is not a transfer, with the reason."""
    return (
        [one for one in verdicts if isinstance(one, Transfer)],
        [one for one in verdicts if isinstance(one, Rejected)],
    )
