"""Cells of TON messages and transactions, by the TL-B scheme of the block format (block.tlb).

A transaction's id is the hash of its root cell, and names the one before it on its account. Hashes
of account states are made up, since no contract runs here: each is a hash of what came before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytoniq_core.boc.address import Address
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.hashmap.hashmap import HashMap
from pytoniq_core.tlb.block import CurrencyCollection
from pytoniq_core.tlb.transaction import InternalMsgInfo, MessageAny

from actors.payments.chains import ton_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytoniq_core.boc.cell import Cell

TRANSFER: Final = 0x0F8A7EA5  # what jettons are sent by (TEP-74)
FORWARD_FEE: Final = 266_669  # nanotons, of a small message
_FIRST_COMMENT: Final = 123  # bytes in a body's first cell, after its 32 bits
_NEXT_COMMENT: Final = 127
ACTIVE: Final = "active"  # states of an account
UNINIT: Final = "uninit"
NONEXIST: Final = "nonexist"
_STATES: Final = {ACTIVE: "10", UNINIT: "00", NONEXIST: "11"}
_FIRST_STATE: Final = hashlib.sha256(b"no state").digest()


@dataclass(frozen=True, slots=True)
class TonEnvelope:
    """An internal message.

    Attributes:
        source: raw form.
        destination: raw form.
        value: value in nanotons.
        body: body of the message.
        bounce: whether it wants to come back if nobody can take it.
        bounced: whether it is one that came back.
        created: logical time and time, s, at which it was sent.
    """

    source: str
    destination: str
    value: int
    body: Cell
    bounce: bool = False
    bounced: bool = False
    created: tuple[int, int] = (0, 0)

    def cell(self) -> Cell:
        """As `Message Any`."""
        info = InternalMsgInfo(
            ihr_disabled=True,
            bounce=self.bounce,
            bounced=self.bounced,
            src=Address(self.source),
            dest=Address(self.destination),
            value=CurrencyCollection(self.value),
            ihr_fee=0,
            fwd_fee=FORWARD_FEE,
            created_lt=self.created[0],
            created_at=self.created[1],
        )
        made: Cell = MessageAny(info, None, self.body).serialize()
        return made


@dataclass(frozen=True, slots=True)
class TonExternal:
    """A message from outside that a wallet has taken: its owner's.

    Attributes:
        destination: the wallet, raw form.
        message: as it came, a `Message Any`.
        sends: what it has the wallet send.
    """

    destination: str
    message: Cell
    sends: TonEnvelope

    def cell(self) -> Cell:
        """As `Message Any`."""
        return self.message


def comment(text: str) -> Cell:
    """The body of a text comment; empty for no text."""
    if not text:
        return _end(Builder())
    content = text.encode()
    pieces = [content[:_FIRST_COMMENT]]
    pieces += [
        content[at : at + _NEXT_COMMENT]
        for at in range(_FIRST_COMMENT, len(content), _NEXT_COMMENT)
    ]
    tail: Cell | None = None
    for piece in reversed(pieces[1:]):
        tail = _chained(Builder().store_bytes(piece), tail)
    return _chained(Builder().store_uint(0, 32).store_bytes(pieces[0]), tail)


def _chained(builder: Builder, tail: Cell | None) -> Cell:
    return _end(builder if tail is None else builder.store_ref(tail))


def _end(builder: Builder) -> Cell:
    made: Cell = builder.end_cell()
    return made


def notification(query: int, amount: int, sender: str, text: str) -> Cell:
    """`transfer_notification` of a jetton wallet to its owner (TEP-74)."""
    return _end(
        Builder()
        .store_uint(ton_body.NOTIFICATION, 32)
        .store_uint(query, 64)
        .store_coins(amount)
        .store_address(Address(sender))
        .store_bit(1)
        .store_ref(comment(text))
    )


def internal_transfer(query: int, amount: int, sender: str, forward: int, text: str) -> Cell:
    """`internal_transfer` of one jetton wallet to another (TEP-74).

    Args:
        query: id of the query that it answers.
        amount: number of the jetton's smallest units.
        sender: owner of the jettons, who gets the change.
        forward: nanotons for the notification; 0 for none.
        text: text of the comment.
    """
    return _end(
        Builder()
        .store_uint(ton_body.INTERNAL_TRANSFER, 32)
        .store_uint(query, 64)
        .store_coins(amount)
        .store_address(Address(sender))
        .store_address(Address(sender))
        .store_coins(forward)
        .store_bit(1)
        .store_ref(comment(text))
    )


def jetton_transfer(query: int, amount: int, to: str, owner: str, forward: int, text: str) -> Cell:
    """`transfer`: what an owner asks of the own jetton wallet (TEP-74).

    Args:
        query: id of the query.
        amount: number of the jetton's smallest units.
        to: whom they go to.
        owner: who gets the change.
        forward: nanotons for the notification; 0 for none.
        text: text of the comment.
    """
    return _end(
        Builder()
        .store_uint(TRANSFER, 32)
        .store_uint(query, 64)
        .store_coins(amount)
        .store_address(Address(to))
        .store_address(Address(owner))
        .store_bit(0)  # nothing for the jetton wallet's own use
        .store_coins(forward)
        .store_bit(1)
        .store_ref(comment(text))
    )


def excesses(query: int) -> Cell:
    """`excesses`: the change of a jetton transfer (TEP-74)."""
    return _end(Builder().store_uint(ton_body.EXCESSES, 32).store_uint(query, 64))


def bounced_body(body: Cell) -> Cell:
    """The body of a message that comes back: a mark, and the first 256 bits of what was sent."""
    start = body.begin_parse()
    kept = start.load_bits(min(256, start.remaining_bits))
    return _end(Builder().store_uint(0xFFFFFFFF, 32).store_bits(kept))


@dataclass(frozen=True, slots=True)
class TonRecord:
    """A transaction, as APIs list it.

    Attributes:
        tx_id: 64 lower-case hex digits, the hash of its root cell.
        boc: its bag of cells.
        account: raw form.
        lt: logical time.
        time_s: s since the Unix epoch.
        previous: logical time and id of the account's transaction before it.
        incoming: the message that caused it.
        outgoing: the messages that it sent.
        active: whether the account has code.
        bounced: whether the value went back.
        state: the made-up hash of the account's state after it.
        begins: the state that the account was in.
        ends: the state that it is left in.
    """

    tx_id: str
    boc: bytes
    account: str
    lt: int
    time_s: int
    previous: tuple[int, str]
    incoming: TonEnvelope | TonExternal
    outgoing: tuple[TonEnvelope, ...]
    active: bool
    bounced: bool
    state: bytes
    begins: str
    ends: str


def transaction(
    incoming: TonEnvelope | TonExternal,
    outgoing: Sequence[TonEnvelope],
    *,
    lt: int,
    time_s: int,
    before: TonRecord | None,
    active: bool,
    bounced: bool,
    ends: str,
) -> TonRecord:
    """The transaction that `incoming` sets off on the account that it is for.

    Args:
        incoming: the message.
        outgoing: the messages that it sends; the record has them with the time of that.
        lt: its logical time; the outgoing messages are made just after it.
        time_s: time of its block, s since the Unix epoch.
        before: the account's last transaction.
        active: whether the account has code, which runs and succeeds.
        bounced: whether the value goes back, to which `outgoing` belongs.
        ends: the state that the account is left in.
    """
    account = incoming.destination
    if before is not None and before.ends == NONEXIST:
        before = None  # what was there is forgotten
    previous = (0, "00" * 32) if before is None else (before.lt, before.tx_id)
    old = _FIRST_STATE if before is None else before.state
    begins = NONEXIST if before is None else before.ends
    arrived = incoming.cell()
    new = hashlib.sha256(old + arrived.hash).digest()
    sent = HashMap(15, value_serializer=lambda cell, builder: builder.store_ref(cell))
    outgoing = [
        replace(one, created=(lt + 1 + number, time_s)) for number, one in enumerate(outgoing)
    ]
    for number, one in enumerate(outgoing):
        sent.set_int_key(number, one.cell())
    messages = Builder().store_bit(1).store_ref(arrived)
    messages.store_dict(sent.serialize() if outgoing else None)
    update = Builder().store_uint(0x72, 8).store_bytes(old).store_bytes(new).end_cell()
    root = (
        Builder()
        .store_bits("0111")
        .store_bytes(bytes.fromhex(account.partition(":")[2]))
        .store_uint(lt, 64)
        .store_bytes(bytes.fromhex(previous[1]))
        .store_uint(previous[0], 64)
        .store_uint(time_s, 32)
        .store_uint(len(outgoing), 15)
        .store_bits(_STATES[begins] + _STATES[ends])
        .store_ref(messages.end_cell())
        .store_cell(CurrencyCollection(0).serialize())  # fees
        .store_ref(update)
        .store_ref(_description(incoming, len(outgoing), active=active, bounced=bounced))
        .end_cell()
    )
    return TonRecord(
        tx_id=root.hash.hex(),
        boc=root.to_boc(),
        account=account,
        lt=lt,
        time_s=time_s,
        previous=previous,
        incoming=incoming,
        outgoing=tuple(outgoing),
        active=active,
        bounced=bounced,
        state=new,
        begins=begins,
        ends=ends,
    )


def _description(
    incoming: TonEnvelope | TonExternal, sent: int, *, active: bool, bounced: bool
) -> Cell:
    """`trans_ord`: without a storage phase, with a credit phase if the message brings value."""
    first = (
        isinstance(incoming, TonExternal) or not incoming.bounce
    )  # credit_first: before a compute phase may bounce
    builder = Builder().store_bits("0000").store_bit(int(first))
    builder.store_bit(0)  # storage phase
    if isinstance(incoming, TonExternal):
        builder.store_bit(0)
    else:
        builder.store_bit(1).store_bit(0)  # credit phase, no fees were due
        builder.store_cell(CurrencyCollection(incoming.value).serialize())
    if active:
        builder.store_bits("1100").store_coins(400_000).store_ref(_computed())
        builder.store_bit(1).store_ref(_actions(sent))
    else:
        builder.store_bit(0).store_bits("00")  # compute phase skipped: there is no code
        builder.store_bit(0)  # action phase
    builder.store_bit(int(not active))  # aborted
    if bounced:
        builder.store_bit(1).store_bit(1)
        builder.store_uint(1, 3).store_uint(1, 8).store_uint(2, 3).store_uint(700, 16)  # its size
        builder.store_coins(FORWARD_FEE).store_coins(FORWARD_FEE)
    else:
        builder.store_bit(0)
    return _end(builder.store_bit(0))  # not destroyed


def _computed() -> Cell:
    """Figures of a successful run."""
    builder = Builder().store_uint(2, 3).store_uint(9_000, 16)  # gas used
    builder.store_uint(3, 3).store_uint(1_000_000, 24).store_bit(0)  # its limit, no credit
    builder.store_int(0, 8).store_int(0, 32).store_bit(0).store_uint(150, 32)
    return _end(builder.store_bytes(bytes(32)).store_bytes(bytes(32)))


def _actions(sent: int) -> Cell:
    """A successful action phase that sent so many messages."""
    builder = Builder().store_bits("110000").store_int(0, 32).store_bit(0)
    builder.store_uint(sent, 16).store_uint(0, 16).store_uint(0, 16).store_uint(sent, 16)
    builder.store_bytes(bytes(32))
    return _end(builder.store_uint(1, 3).store_uint(sent, 8).store_uint(0, 3))
